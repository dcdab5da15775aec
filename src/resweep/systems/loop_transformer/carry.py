"""What is carried from one optimizer step to the next: puzzles that are being worked on.

A batch has fixed places. In each of them a puzzle stays, with the states of the model, until it
halts; then the next step puts a new puzzle there.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from resweep.training.processes import Processes

NAMES = ("states", "puzzles", "steps", "earliest", "halted")


class Carry:
    """The places of a batch that belong to this process.

    Args:
        rows: Places of the whole batch.
        shape: (states, cells, width) of the states of a puzzle.
        device: Where they are.
        processes: They share the places evenly, in order.

    Attributes:
        states: (places, states, cells, width).
        puzzles: (places, 2, cells): the question and the answer as tokens.
        steps: (places,): supervision steps so far.
        earliest: (places,): the step before which the puzzle may not halt.
        halted: (places,) of bool.
    """

    def __init__(
        self,
        rows: int,
        shape: tuple[int, int, int],
        device: torch.device,
        processes: Processes,
    ):
        self.processes = processes
        here = rows // processes.world_size
        self.here = slice(processes.rank * here, (processes.rank + 1) * here)
        self.rows = rows
        cells = shape[1]
        self.states = torch.zeros(here, *shape, device=device)
        self.puzzles = torch.zeros(here, 2, cells, dtype=torch.int64, device=device)
        self.steps = torch.zeros(here, dtype=torch.int64, device=device)
        self.earliest = torch.ones(here, dtype=torch.int64, device=device)
        self.halted = torch.ones(here, dtype=torch.bool, device=device)

    def gathered(self) -> dict[str, Tensor]:
        """Return the places of all processes; each of them has to call it."""
        return {f"carry.{name}": self._gather(getattr(self, name)) for name in NAMES}

    def _gather(self, part: Tensor) -> Tensor:
        if self.processes.world_size == 1:
            return part
        small = part.to(torch.uint8) if part.dtype == torch.bool else part
        whole = torch.zeros(self.rows, *part.shape[1:], dtype=small.dtype, device=part.device)
        whole[self.here] = small
        return self.processes.sum(whole).to(part.dtype)

    def restore(self, gathered: Mapping[str, Tensor]) -> None:
        """Take this process's places of what `gathered` returned."""
        for name in NAMES:
            getattr(self, name).copy_(gathered[f"carry.{name}"][self.here])
