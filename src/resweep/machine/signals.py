"""Signals that mean: save and stop."""

import signal

SAVED_AND_STOPPED = 75  # EX_TEMPFAIL: the same command continues


def watch_signals() -> list[int]:
    """Collect SIGTERM, SIGUSR1 and SIGINT from now on; the list fills as they arrive."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda number, _: received.append(number))
    return received
