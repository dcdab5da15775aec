"""What the processes beside rank 0 do: build the same trainer, and call what rank 0 calls."""

from typing import Any

import torch

from resweep.errors import ProcessLost
from resweep.training.gradient_learner import Trainer
from resweep.training.processes import Processes


def mirror_rank_zero(processes: Processes, device: torch.device) -> None:
    """Obey rank 0 until it says that this was all.

    Raises:
        ProcessLost: Another process is gone; there is nothing to mirror any more.
        Exception: Whatever the training raised here; the others are told why.
    """
    trainer: Any = None
    while True:
        with processes.watched():
            name, arguments = processes.listen()
        if name == "end":
            processes.part()
            return
        try:
            if name == "build":
                trainer = None  # the memory of the one before, first
                config, data, *limits = arguments
                trainer = Trainer(config, data, device, processes, *limits)
            else:
                getattr(trainer, name)(*arguments)
        except ProcessLost:
            raise
        except Exception as error:
            processes.leave_word(f"{type(error).__name__}: {error}")
            raise
