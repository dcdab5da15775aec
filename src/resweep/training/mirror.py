"""What the processes beside rank 0 do: build the same learner, and call what rank 0 calls."""

from collections.abc import Callable
from typing import Any

from resweep.errors import ProcessLost
from resweep.training.processes import Processes


def mirror_rank_zero(processes: Processes, build: Callable[..., Any]) -> None:
    """Obey rank 0 until it says that this was all.

    Args:
        processes: This one among them.
        build: Returns a learner, given what rank 0 sends for it.

    Raises:
        ProcessLost: Another process is gone; there is nothing to mirror any more.
        Exception: Whatever the training raised here; the others are told why.
    """
    learner: Any = None
    while True:
        with processes.watched():
            name, arguments = processes.listen()
        if name == "end":
            processes.part()
            return
        try:
            if name == "build":
                learner = None  # the memory of the one before, first
                learner = build(*arguments)
            else:
                getattr(learner, name)(*arguments)
        except ProcessLost:
            raise
        except Exception as error:
            processes.leave_word(f"{type(error).__name__}: {error}")
            raise
