"""Ctrl-C in a process that runs jobs: they say what they saved, and it says how to continue.

A terminal sends the signal to all processes of a command. Each training saves and reports that
itself; that its command failed, with its whole text, would only hide it.
"""

import atexit
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable
from types import FrameType

AGAIN_SECONDS = 2.0  # after which an exception that nobody handles was swallowed


class Interruption(logging.Filter):
    """Raises KeyboardInterrupt at SIGINT; hides what follows from it, and prints a line at the end.

    A second SIGINT is ignored: it would not let trainings save. But where a library swallows the
    exception, as some loggers do, it is raised again.

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

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is shown: after SIGINT only that the jobs are stopped."""
        if not self.happened:
            return True
        first = not self.handled and sys.exc_info()[0] is KeyboardInterrupt
        self.handled = self.handled or first
        return first

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT; raises KeyboardInterrupt."""
        if self.handled:
            return
        if not self.happened:
            self.happened = True
            sys.excepthook = self._end
            warnings.simplefilter("ignore")  # of coroutines that nobody awaits now
            atexit.register(print, self.text, file=sys.stderr)
            print(file=sys.stderr, flush=True)  # after the terminal's ^C
        again = threading.Timer(AGAIN_SECONDS, self._repeat)
        again.daemon = True
        again.start()
        raise KeyboardInterrupt

    def _end(self, *error: object) -> None:
        """Print no trace of the exception, or of what it caused."""
        self.handled = True

    def _repeat(self) -> None:
        if not self.handled:
            os.kill(os.getpid(), signal.SIGINT)


def watch_interruption(handlers: Iterable[logging.Handler], text: str) -> None:
    """End quietly at SIGINT from now on; log files still get everything.

    Args:
        handlers: Those of the process's messages.
        text: What to print at the end.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
        return
    interruption = Interruption(text)
    for handler in handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(interruption)
    signal.signal(signal.SIGINT, interruption.receive)
