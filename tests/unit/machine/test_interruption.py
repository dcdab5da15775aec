"""Ctrl-C in a process that runs jobs: quiet, with the command that continues."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import logging, os, signal, sys, threading
from resweep.machine import interruption

interruption.AGAIN_SECONDS = 0.05
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may ignore it
log = logging.getLogger()
log.setLevel(logging.INFO)
log.addHandler(logging.StreamHandler())
log.addHandler(logging.FileHandler("log"))
interruption.watch_interruption(log.handlers, "the end")
log.info("before")
press = lambda: os.kill(os.getpid(), signal.SIGINT)
"""
PLANNING = "press()"
RUNNING = """
try:
    press()
except KeyboardInterrupt:
    log.info("stopping")
    press()  # impatient
    log.error("a job failed")
    sys.exit(1)
"""
SWALLOWED = """
try:
    press()
except KeyboardInterrupt:
    pass
try:
    signal.sigtimedwait([], 10)
except KeyboardInterrupt:
    log.info("stopping")
    sys.exit(1)
"""
# A job that the terminal killed is seen to be dead before this process has handled the signal.
KILLED_FIRST = """
interruption.AGAIN_SECONDS = 60
seen = threading.Event()
log.handlers[0].filters.insert(0, lambda record: seen.set() or True)
job = threading.Thread(target=log.error, args=("it died with <Signals.SIGINT: 2>.",))
job.start()
seen.wait()
try:
    press()
except KeyboardInterrupt:
    job.join()
    log.info("stopping")
    sys.exit(1)
"""
KILLED_ALONE = 'log.error("it died with <Signals.SIGINT: 2>.")'
KILLED_LINE = "it died with <Signals.SIGINT: 2>."


@pytest.mark.parametrize(
    ("body", "code", "shown", "logged"),
    [
        (PLANNING, -signal.SIGINT, ["before", "the end"], ["before"]),
        (
            RUNNING,
            1,
            ["before", "stopping", "the end"],
            ["before", "stopping", "a job failed"],
        ),
        (SWALLOWED, 1, ["before", "stopping", "the end"], ["before", "stopping"]),
        (
            KILLED_FIRST,
            1,
            ["before", "stopping", "the end"],
            ["before", KILLED_LINE, "stopping"],
        ),
        (KILLED_ALONE, 0, ["before", KILLED_LINE], ["before", KILLED_LINE]),
    ],
)
def test_little_is_shown_after_it_and_everything_logged(
    body: str, code: int, shown: list[str], logged: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + body],
        cwd=tmp_path,
        text=True,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == code
    assert [line for line in done.stderr.splitlines() if line] == shown
    assert (tmp_path / "log").read_text().splitlines() == logged


def test_it_stays_ignored_where_it_is(tmp_path: Path) -> None:
    body = SCRIPT.replace("signal.default_int_handler", "signal.SIG_IGN") + "press(); log.info('x')"
    done = subprocess.run(
        [sys.executable, "-c", body], cwd=tmp_path, text=True, stderr=subprocess.PIPE, check=True
    )
    assert done.stderr.splitlines() == ["before", "x"]
