"""Signals that ask a training to save."""

import os
import signal
import subprocess
import sys

import pytest

from resweep.machine.signals import STOP, end_with_parent, watch_signals
from tests.support.in_fork import in_fork

WATCH = """
import signal
from resweep.machine.signals import watch_signals
received = watch_signals()
print("ready", flush=True)
input()
print(*received)
"""


def answer(number: signal.Signals, before: signal.Handlers) -> str:
    """What a process collects that is sent a signal, and had another answer to it at its start."""
    process = subprocess.Popen(
        [sys.executable, "-c", WATCH],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, before),
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    return process.communicate("\n")[0].strip()


@pytest.mark.parametrize("number", STOP)
def test_each_is_collected(number: signal.Signals) -> None:
    assert answer(number, signal.SIG_DFL) == str(number.value)


def test_under_nohup_a_closed_terminal_stops_nothing() -> None:
    assert answer(signal.SIGHUP, signal.SIG_IGN) == ""


@pytest.mark.parametrize("who", ["parent", "above", "gone"])
def test_a_process_whose_parent_is_gone_is_told(who: str) -> None:
    """A program between the two, as `conda run`, hides nothing."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    above = os.getpid()

    def told() -> list[int]:
        received = watch_signals()
        end_with_parent({"parent": os.getppid(), "above": above, "gone": gone.pid}[who])
        return received

    found = in_fork(told) if who == "parent" else in_fork(lambda: in_fork(told))
    assert found == ([signal.SIGTERM] if who == "gone" else [])
