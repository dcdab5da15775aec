"""What a system brings that trains by backpropagation: a model, its batches, its loss.

    rows_at(step)      the examples of an optimizer step      cut into parts by the learner
    loss(part)         a scalar with gradients                through the engine
    measure(batch)     sums over an evaluation's examples     added up over batches and processes
    summarize(sums)    the metrics of an evaluation

Micro-batches, ddp, ZeRO, compilation, saved gradients and resuming are the learner's and the
engine's (`resweep.training.gradient_learner`, `resweep.training.engine`): an objective knows none.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from resweep.training.dropout import SampleKeys


class Objective(ABC):
    """A model, and what it is trained to do.

    Attributes:
        model: Whose parameters are trained, those with `requires_grad`.
        shapes: Of all parameters by name, as built: an engine may cut them into shards.
        sample_keys: From which dropout draws masks, set before each forward; None without dropout.
        loss_name: The training loss's name in metrics.jsonl.
        step_units: What an optimizer step trains on, in the system's unit.
        step_flops: Floating-point operations of an optimizer step that the model needs.
    """

    model: nn.Module
    shapes: Mapping[str, torch.Size]
    sample_keys: SampleKeys | None = None
    loss_name: str
    step_units: int
    step_flops: float | None = None

    @property
    def size(self) -> int:
        """Number of parameters, frozen ones too; tied ones count once."""
        return sum(shape.numel() for shape in self.shapes.values())

    @abstractmethod
    def initialize(self) -> None:
        """Draw all weights, on the CPU, from the configuration's seeds alone."""

    def lr_scales(self) -> dict[str, float]:
        """Return how many times the schedule's rate some parameters learn at, by name."""
        return {}

    def recompute_blocks(self, on: bool) -> None:  # noqa: B027 (nothing, unless there are blocks)
        """Keep each block's input alone for backward, and compute the rest again: or stop it."""

    @abstractmethod
    def rows_at(self, step: int) -> np.ndarray:
        """Return the examples of an optimizer step, of all processes: (rows, ...).

        A pure function of seed and step, called from two threads.
        """

    @abstractmethod
    def loss(self, rows: Tensor) -> Tensor:
        """(rows, ...) -> the mean loss over them, a scalar with gradients."""

    @abstractmethod
    def measure(self, rows: Tensor) -> Tensor:
        """(rows, ...) -> sums over them, of one shape for all batches; without gradients."""

    @abstractmethod
    def eval_batches(self, split: str, most_rows: int) -> Sequence[np.ndarray]:
        """Return the batches of an evaluation, the same ones each time; none without examples.

        Args:
            split: val, or test for what is measured at the end alone.
            most_rows: Examples of a batch.
        """

    @abstractmethod
    def summarize(self, split: str, sums: Tensor, rows: int) -> dict[str, float]:
        """Return the metrics of an evaluation.

        Args:
            split: val or test.
            sums: Of `measure`, over all examples; on the CPU, float64.
            rows: How many examples there were.
        """

    def interval_metrics(self, step: int) -> dict[str, float]:
        """Return metrics of a line beside the loss, the learning rate and the gradient's norm."""
        return {}

    def after_step(self) -> None:  # noqa: B027 (nothing, unless a system has something)
        """Follow an update of the weights: for averages of them, for states that are carried on."""

    def extra_state(self) -> dict[str, Tensor]:
        """Return what a checkpoint needs beside weights and moments, by name."""
        return {}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 (as above)
        """Restore what `extra_state` gave."""

    @abstractmethod
    def write(self, weights: Mapping[str, Tensor], folder: Path) -> None:
        """Write the model into an existing folder, `model.safetensors` with its weights.

        Called from another thread while the model is trained on: its parameters move, `weights`
        do not.

        Args:
            weights: All parameters by name, whole and on the CPU.
            folder: Where to.
        """

    @abstractmethod
    def read(self, folder: Path) -> dict[str, Tensor]:
        """Return the parameters by name that `write` wrote.

        Raises:
            ConfigError: Names or shapes do not fit the model.
        """

    def read_parent(self) -> dict[str, Tensor] | None:
        """Return the parameters to start with; None where the configuration names no weights.

        Raises:
            ConfigError: Names or shapes do not fit the model.
        """
        return None
