"""The interface between training and the loop, the store and the saver.

A system that trains by backpropagation defines an objective (`resweep.training.objective`) and uses
`resweep.training.gradient_learner`. Any other way to learn is a class of the system with these
methods.
"""

from pathlib import Path
from typing import Protocol


class Snapshot(Protocol):
    """A copy of the training state at one step; further training does not change it."""

    @property
    def step(self) -> int:
        """Its step."""

    def write(self, folder: Path) -> None:
        """Write a checkpoint into an existing folder; runs in a background thread.

        `model.safetensors` holds the weights; everything that `Learner.load` reads is included.

        Raises:
            Exception: It cannot be written.
        """


class Learner(Protocol):
    """A training in memory.

    A restored one continues bit for bit: all randomness follows from the seed and the step, or is
    part of the checkpoint.
    """

    @property
    def step(self) -> int:
        """Steps that are done."""

    @property
    def size(self) -> int | None:
        """Number of parameters; None if not meaningful."""

    @property
    def step_units(self) -> int:
        """Number of units (tokens, images) per step."""

    @property
    def step_flops(self) -> float | None:
        """Floating-point operations that the model needs per step; None if unknown."""

    def begin(self) -> None:
        """Start from the weights that the configuration names, if it names any."""

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint."""

    def snapshot(self) -> Snapshot:
        """Return the complete state."""

    def train_step(self, keep_gradients: bool = False) -> None:
        """Do one step.

        Args:
            keep_gradients: Keep its gradients for the next snapshot, if it has any.
        """

    def interval_metrics(self) -> dict[str, float]:
        """Return metrics of the steps since the last call, and start a new interval."""

    def evaluate(self) -> dict[str, float]:
        """Return the metrics of an evaluation; changes nothing."""

    def conclude(self) -> dict[str, float]:
        """Return the metrics that are only logged at the end; changes nothing."""
