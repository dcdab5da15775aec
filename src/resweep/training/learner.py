"""What the loop, the store and the saver ask of whatever trains by steps.

A system that trains by backpropagation brings an objective (`resweep.training.objective`) and gets
`resweep.training.gradient_learner`. Any other way to learn is a class of the system's own with
these methods.
"""

from pathlib import Path
from typing import Protocol


class Snapshot(Protocol):
    """A training at one step, copied apart from it: training on does not change it."""

    @property
    def step(self) -> int:
        """Its step."""

    def write(self, folder: Path) -> None:
        """Write a checkpoint into an existing folder, from another thread than the training's.

        `model.safetensors` holds the weights, and everything that `Learner.load` reads is there.

        Raises:
            StoreError: It cannot be written.
        """


class Learner(Protocol):
    """A training in memory. A restored one continues bit for bit: all randomness follows from the
    seed and the step, or is part of the checkpoint.
    """

    @property
    def step(self) -> int:
        """Steps that are done."""

    @property
    def size(self) -> int | None:
        """Number of parameters; None where that says nothing."""

    @property
    def step_units(self) -> int:
        """What one step trains on, in the system's unit: tokens, images."""

    @property
    def step_flops(self) -> float | None:
        """Floating-point operations of one step that the model needs; None: not known."""

    def begin(self) -> None:
        """Start from the weights that the configuration names, if it names any."""

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint."""

    def snapshot(self) -> Snapshot:
        """Return all of the training as it is now."""

    def train_step(self, keep_gradients: bool = False) -> None:
        """Do one step.

        Args:
            keep_gradients: Keep its gradients for the next snapshot, if there are such.
        """

    def interval_metrics(self) -> dict[str, float]:
        """Return metrics of the steps since the last call, and start a new interval."""

    def evaluate(self) -> dict[str, float]:
        """Return the metrics of an evaluation; changes nothing."""

    def conclude(self) -> dict[str, float]:
        """Return the metrics that are logged at the end alone; changes nothing."""
