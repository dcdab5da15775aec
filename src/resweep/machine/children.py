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
from dataclasses import dataclass, field
from typing import Any

from resweep.machine.signals import STOP, end_with_parent

MOST_READ = 65_536  # bytes: what a pipe holds
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
        """What ended it before its answer, for people."""
        if self.signal is None:
            return f"ended with exit code {self.code}"
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(self.signal).name}"
        return f"was killed by signal {self.signal}"


@dataclass
class _Child:
    """A child that runs; only it can write to the pipe, which therefore ends with it."""

    pid: int
    pipe: int
    text: bytearray = field(default_factory=bytearray)

    def read(self) -> bool:
        """Read what it wrote; returns whether that was the last."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.pipe, MOST_READ):
                self.text += part
            return True
        return False

    def reap(self, wait: bool) -> End | None:
        """Return how it ended; None while it runs, unless to wait for its end."""
        pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
        if pid == 0:
            return None
        self.read()  # a process that it left behind may hold the pipe open
        os.close(self.pipe)
        answer = None
        with contextlib.suppress(ValueError):  # it was killed while it wrote
            answer = json.loads(self.text) if self.text else None
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        return End(answer, killed, 0 if killed else os.WEXITSTATUS(status))


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

        Raises:
            OSError: The machine has no memory or no place for another process.
        """
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 (names are not read)
        assert threads == 1, f"{threads} threads: a fork would copy their locks, but not them"
        parent = os.getpid()
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal in between would be handled by the parent's handlers, into its lists.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        try:
            pid = os.fork()
            if pid == 0:
                _be_child(parent, writer, work)
        except OSError:
            os.close(reader)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
            os.close(writer)
        self._running[key] = _Child(pid, reader)
        return pid

    def wait(self, seconds: float) -> dict[Any, End]:
        """Wait until a child ends, at most for some seconds; returns those that have ended."""
        if not self._running:
            time.sleep(seconds)
            return {}
        pipes = [child.pipe for child in self._running.values()]
        ready, _, _ = select.select(pipes, [], [], seconds)
        ended = {}
        for key, child in self._running.items():
            end = child.reap(wait=child.pipe in ready and child.read())
            if end is not None:
                ended[key] = end
        for key in ended:
            del self._running[key]
        return ended

    def signal(self, number: int) -> None:
        """Send a signal to all of them."""
        for pid in self.pids:  # of none that has ended: each keeps its id until it is reaped
            os.kill(pid, number)


def _be_child(parent: int, pipe: int, work: Callable[[], Mapping[str, Any]]) -> None:
    """Do the work of a child; never returns."""
    code = CRASHED
    try:
        for number in STOP:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as SIGHUP is under nohup
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        end_with_parent(parent)
        for handler in logging.root.handlers[:]:
            logging.root.removeHandler(handler)
        with os.fdopen(pipe, "w") as answer:
            json.dump(work(), answer)
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
