"""Forked children: each does one piece of work in a copy of this process.

    parent   one thread, no locks, no GPU  --fork-->  child   its own signals, locks, log, device
             waits for ends and signals    <--pipe--          its answer, then os._exit

A child starts with all that the parent has imported, which takes milliseconds where an import takes
seconds. What it breaks is its own copy. It is asked to stop when its parent dies.
"""

import contextlib
import json
import logging
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resweep.machine.launch import end_with_parent
from resweep.machine.signals import STOP

MOST_READ = 65_536  # bytes: what a pipe holds without a reader
CRASHED = 70  # exit code of a bug: EX_SOFTWARE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """How a child ended.

    Attributes:
        answer: What its work returned; None if it did not get so far.
        signal: The signal that killed it, or None.
        code: Its exit code; 0 if a signal killed it.
    """

    answer: Mapping[str, Any] | None
    signal: int | None
    code: int

    @property
    def text(self) -> str:
        """What killed it, for people."""
        if self.signal is None:
            return f"ended with exit code {self.code}"
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(self.signal).name}"
        return f"was killed by signal {self.signal}"


@dataclass(frozen=True)
class _Child:
    pid: int
    handle: int  # a pidfd: readable when the child has ended
    pipe: int


class Children:
    """The children of this process; keys are the caller's names for them."""

    def __init__(self) -> None:
        self._running: dict[Any, _Child] = {}

    def __len__(self) -> int:
        return len(self._running)

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [child.pid for child in self._running.values()]

    def start(self, key: Any, work: Callable[[], Mapping[str, Any]]) -> int:
        """Fork a child that does some work and ends; returns its process id.

        Args:
            key: Names it.
            work: Called in the child; its result, as JSON, is the child's answer. What it raises is
                a bug: its trace is printed.
        """
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 (names are not read)
        assert threads == 1, f"{threads} threads: a fork would copy their locks, but not them"
        parent = os.getpid()
        reader, writer = os.pipe()
        os.set_blocking(reader, False)  # of a process that a child left
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal in between would be handled by the parent's handlers, into its lists.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        try:
            pid = os.fork()
            if pid == 0:
                _be_child(parent, writer, work)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        os.close(writer)
        self._running[key] = _Child(pid, os.pidfd_open(pid), reader)
        return pid

    def wait(self, seconds: float) -> dict[Any, End]:
        """Wait until a child ends, at most for some seconds; returns those that have ended."""
        by_handle = {child.handle: key for key, child in self._running.items()}
        if not by_handle:
            time.sleep(seconds)
            return {}
        ready, _, _ = select.select(list(by_handle), [], [], seconds)
        return {by_handle[handle]: self._reap(by_handle[handle]) for handle in ready}

    def signal(self, number: int) -> None:
        """Send a signal to all of them."""
        for child in self._running.values():
            signal.pidfd_send_signal(child.handle, number)

    def _reap(self, key: Any) -> End:
        child = self._running.pop(key)
        _, status = os.waitpid(child.pid, 0)
        text = b""
        with contextlib.suppress(BlockingIOError):
            text = os.read(child.pipe, MOST_READ)
        os.close(child.pipe)
        os.close(child.handle)
        answer = None
        with contextlib.suppress(ValueError):  # it was killed while it wrote
            answer = json.loads(text) if text else None
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        return End(answer, killed, 0 if killed else os.WEXITSTATUS(status))


def _be_child(parent: int, pipe: int, work: Callable[[], Mapping[str, Any]]) -> None:
    """Do the work of a child; never returns."""
    code = CRASHED
    try:
        for number in STOP:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        end_with_parent()
        if os.getppid() != parent:  # it died before the line above
            os._exit(CRASHED)
        for handler in logging.root.handlers[:]:
            logging.root.removeHandler(handler)
        text = json.dumps(work())
        os.write(pipe, text.encode())
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        end_now(code)


def end_now(code: int) -> None:
    """End this process without the interpreter's shutdown, which takes half a second with torch.

    What is open is written first; what others registered for the exit is not called.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
