"""Signals that mean: save and stop."""

import ctypes
import os
import signal

from resweep.machine.programs import is_running

SAVED_AND_STOPPED = 75  # EX_TEMPFAIL: the same command continues
STOP = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG = 1


def watch_signals() -> list[int]:
    """Collect the signals of `STOP` from now on; the list fills as they arrive.

    SIGHUP, of a terminal that was closed, stays ignored where it is: under nohup.
    """
    received: list[int] = []
    for number in STOP:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: received.append(number))
    return received


def ignore_signals() -> None:
    """Ignore the signals of `STOP`, in a process that ends when its parent lets it."""
    for number in STOP:
        signal.signal(number, signal.SIG_IGN)


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel send SIGTERM when the parent process dies, however it dies.

    Args:
        parent: The parent, or a process above it, if that may have died already: then the signal is
            sent at once.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if parent is not None and os.getppid() != parent and not is_running(parent):
        os.kill(os.getpid(), signal.SIGTERM)
