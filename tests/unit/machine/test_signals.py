"""Signals that ask a training to save."""

import signal
import subprocess
import sys

import pytest

from resweep.machine.signals import STOP

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
