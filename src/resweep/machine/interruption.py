"""Ctrl-C in a process that runs jobs: they say what they saved, and it says how to continue.

A terminal sends the signal to all processes of a command. Each training saves and reports that
itself; that its command failed, with its whole text, would only hide it.
"""

import asyncio
import atexit
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable
from types import FrameType

SOON_SECONDS = 0.02  # to look again whether an exception may be raised
AGAIN_SECONDS = 2.0  # after which it is raised anyway, and one that nobody handles was swallowed
KILLED = repr(signal.SIGINT)  # in the message of a job that died of it


class Interruption(logging.Filter):
    """Raises KeyboardInterrupt at SIGINT; hides what follows from it, and prints a line at the end.

    A second SIGINT is ignored: it would not let trainings save. The exception waits while it would
    break an event loop or be swallowed by a logger, and is raised again if it is swallowed.

    Args:
        text: The line.

    Attributes:
        happened: Whether SIGINT was received.
        handled: Whether the exception was caught by what stops the jobs, or by nobody.
    """

    def __init__(self, text: str):
        super().__init__()
        self.text = text
        self.happened = False
        self.handled = False
        self._first = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is shown: after SIGINT only that the jobs are stopped."""
        if KILLED in record.getMessage():
            self._wait()
        if not self.happened:
            return True
        first = not self.handled and sys.exc_info()[0] is KeyboardInterrupt
        self.handled = self.handled or first
        return first

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT; raises KeyboardInterrupt."""
        if self.handled:
            return
        now = time.monotonic()
        if not self.happened:
            self._first = now
            self.happened = True
            sys.excepthook = self._end
            warnings.simplefilter("ignore")  # of coroutines that nobody awaits now
            logging.lastResort = logging.NullHandler()  # after all handlers are closed
            atexit.register(print, self.text, file=sys.stderr)
            print(file=sys.stderr, flush=True)  # after the terminal's ^C
        wait = _is_delicate(frame) and now - self._first < AGAIN_SECONDS
        again = threading.Timer(SOON_SECONDS if wait else AGAIN_SECONDS, self._repeat)
        again.daemon = True
        again.start()
        if not wait:
            raise KeyboardInterrupt

    def _wait(self) -> None:
        """Wait a moment for SIGINT: a job may die of the same before this process handles it."""
        end = time.monotonic() + AGAIN_SECONDS
        while not self.happened and time.monotonic() < end:
            time.sleep(SOON_SECONDS)

    def _end(self, *error: object) -> None:
        """Print no trace of the exception, or of what it caused."""
        self.handled = True

    def _repeat(self) -> None:
        if not self.handled:
            os.kill(os.getpid(), signal.SIGINT)


def _is_delicate(frame: FrameType | None) -> bool:
    """Whether an event loop runs in the main thread, or a handler shows a message."""
    while frame is not None and frame.f_code.co_name != "emit":
        frame = frame.f_back
    return frame is not None or asyncio._get_running_loop() is not None


def watch_interruption(handlers: Iterable[logging.Handler], text: str) -> Interruption:
    """End quietly at SIGINT from now on; log files still get everything.

    Args:
        handlers: Those of the process's messages.
        text: What to print at the end.

    Returns:
        What knows whether SIGINT was received.
    """
    interruption = Interruption(text)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
        return interruption
    for handler in handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(interruption)
    signal.signal(signal.SIGINT, interruption.receive)
    return interruption
