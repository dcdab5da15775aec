"""The interface of systems that train by backpropagation: a model, its batches, its loss.

    rows_at(step)      the examples of an optimizer step      split by the learner
    loss(part)         a scalar with gradients                called by the engine
    measure(batch)     sums over an evaluation's examples     summed over batches and processes
    summarize(sums)    the metrics of an evaluation

The learner and the engine (`resweep.training.gradient_learner`, `resweep.training.engine`) handle
micro-batches, ddp, ZeRO, compilation, saved gradients and resuming.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from resweep.config.training_section import Training
from resweep.training import schedule
from resweep.training.dropout import SampleKeys


class Objective(ABC):
    """A model, its data and its loss.

    Attributes:
        model: Its parameters with `requires_grad` are trained.
        shapes: Of all parameters by name, as built; an engine may shard them.
        sample_keys: Keys of dropout masks, set before each forward; None without dropout.
        loss_name: The training loss's name in metrics.jsonl.
        step_units: Number of the system's units per optimizer step.
        step_flops: Floating-point operations that the model needs per optimizer step.
        eval_splits: What each evaluation measures.
    """

    model: nn.Module
    shapes: Mapping[str, torch.Size]
    sample_keys: SampleKeys | None = None
    loss_name: str
    step_units: int
    step_flops: float | None = None
    eval_splits: tuple[str, ...] = ("val",)

    @property
    def size(self) -> int:
        """Number of parameters, frozen ones too; tied ones count once."""
        return sum(shape.numel() for shape in self.shapes.values())

    @abstractmethod
    def initialize(self) -> None:
        """Initialize all weights on the CPU, from the configuration's seeds alone."""

    def lr_scales(self) -> dict[str, float]:
        """Return learning-rate multipliers by parameter name; others use the schedule's rate."""
        return {}

    def learning_rate(self, step: int, training: Training, max_steps: int) -> float:
        """Return the learning rate of optimizer step `step` (from 0): of the shared schedules."""
        return schedule.learning_rate(step, training, max_steps)

    def recompute_blocks(self, on: bool) -> None:  # noqa: B027 (nothing, unless there are blocks)
        """Turn activation checkpointing on or off."""

    @abstractmethod
    def rows_at(self, step: int) -> np.ndarray:
        """Return the examples of an optimizer step, for all processes: (rows, ...).

        A pure function of seed and step, called from two threads.
        """

    @abstractmethod
    def loss(self, rows: Tensor) -> Tensor:
        """(rows, ...) -> their mean loss, a scalar with gradients."""

    @abstractmethod
    def measure(self, rows: Tensor) -> Tensor:
        """(rows, ...) -> sums over the rows, of the same shape for all batches; no gradients."""

    @abstractmethod
    def eval_batches(self, split: str, most_rows: int) -> Sequence[np.ndarray]:
        """Return the batches of an evaluation, always the same; none without examples.

        Args:
            split: One of `eval_splits`, or test (only measured at the end).
            most_rows: Maximum number of examples per batch.
        """

    @abstractmethod
    def summarize(self, split: str, sums: Tensor, rows: int) -> dict[str, float]:
        """Return the metrics of an evaluation.

        Args:
            split: As of `eval_batches`.
            sums: Of `measure`, over all examples; on the CPU, float64.
            rows: Number of examples.
        """

    def interval_metrics(self, step: int) -> dict[str, float]:
        """Return metrics of a line besides loss, learning rate and gradient norm."""
        return {}

    def begin(self) -> None:  # noqa: B027 (nothing, unless a system has something)
        """Called once, when the weights to start with are in place, drawn or loaded."""

    def after_step(self) -> None:  # noqa: B027 (nothing, unless a system has something)
        """Called after each update: for weight averages, for states carried between steps.

        Under ZeRO 3 the model's parameters are shards here.
        """

    def extra_state(self) -> dict[str, Tensor]:
        """Return the state of a checkpoint besides weights and moments, by name."""
        return {}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 (as above)
        """Restore the result of `extra_state`."""

    @abstractmethod
    def write(self, weights: Mapping[str, Tensor], folder: Path) -> None:
        """Write the model into an existing folder, with its weights in `model.safetensors`.

        Called from a background thread while training continues: use `weights`, not the model's
        parameters.

        Args:
            weights: All parameters by name, full tensors on the CPU.
            folder: The folder.
        """

    @abstractmethod
    def read(self, folder: Path) -> dict[str, Tensor]:
        """Read the parameters that `write` wrote, by name.

        Raises:
            ConfigError: Names or shapes do not fit the model.
        """

    def read_parent(self) -> dict[str, Tensor] | None:
        """Return the initial parameters; None if the configuration names no weights.

        Raises:
            ConfigError: Names or shapes do not fit the model.
        """
        return None
