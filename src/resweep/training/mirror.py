"""The other processes: they build the same learner and repeat the calls of rank 0."""

from collections.abc import Callable
from typing import Any

from resweep.errors import ProcessLost
from resweep.training.processes import Processes


def mirror_rank_zero(processes: Processes, build: Callable[..., Any]) -> None:
    """Repeat the calls of rank 0 until it ends the training.

    Args:
        processes: Those that train together.
        build: Returns a learner, from the arguments that rank 0 sends.

    Raises:
        ProcessLost: Another process died.
        Exception: Whatever the training raised in this process; it is reported to the others.
    """
    learner: Any = None
    while True:
        with processes.watched():
            name, arguments = processes.receive()
        if name == "end":
            processes.leave()
            return
        try:
            if name == "build":
                learner = None  # free the memory of the previous one first
                learner = build(*arguments)
            else:
                getattr(learner, name)(*arguments)
        except ProcessLost:
            raise
        except Exception as error:
            processes.report_failure(f"{type(error).__name__}: {error}")
            raise
