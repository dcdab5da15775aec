"""A snapshot of a gradient learner in main memory: the content of its checkpoint.

model.safetensors ...            the model, as the objective writes it
optimizer.safetensors            both moments of every trained parameter
extra.safetensors                the objective's extra state, if any
trainer.json                     counters
gradients.pt                     of that step, if requested (resweep.training.gradients)
gradient_samples.pt              of parts of its batch, if requested
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from resweep.training.gradients import GRADIENTS, SAMPLES, STATE
from resweep.training.objective import Objective

OPTIMIZER = "optimizer.safetensors"
EXTRA = "extra.safetensors"


@dataclass(frozen=True, kw_only=True)
class GradientSnapshot:
    """A training at one step.

    Attributes:
        objective: Writes the model.
        weights: All parameters by name.
        moments: `exp_avg.NAME` and `exp_avg_sq.NAME`.
        extra_state: The objective's own, by name.
        counters: Content of trainer.json.
        gradients: By name; None if not requested.
        gradient_samples: By name, (n, *shape); None if not requested.
    """

    objective: Objective
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    extra_state: dict[str, Tensor]
    counters: dict[str, Any]
    gradients: dict[str, Tensor] | None = None
    gradient_samples: dict[str, Tensor] | None = None

    @property
    def step(self) -> int:
        """Its step."""
        return int(self.counters["step"])

    def write(self, folder: Path) -> None:
        """Write a checkpoint into an existing folder, while the training continues.

        Raises:
            Exception: Of a full disk, as `resweep.files.naming` expects it.
        """
        self.objective.write(self.weights, folder)
        save_file(self.moments, folder / OPTIMIZER)
        if self.extra_state:
            save_file(self.extra_state, folder / EXTRA)
        (folder / STATE).write_text(json.dumps(self.counters, indent=2) + "\n")
        for name, tensors in ((GRADIENTS, self.gradients), (SAMPLES, self.gradient_samples)):
            if tensors is not None:
                with (folder / name).open("wb") as file:  # by name, torch hides the disk's error
                    torch.save(tensors, file)


def read_moments(folder: Path) -> dict[str, Tensor]:
    """Return the moments of a checkpoint."""
    return load_file(folder / OPTIMIZER)


def read_extra_state(folder: Path) -> dict[str, Tensor]:
    """Return the extra state of a checkpoint; empty if it has none."""
    file = folder / EXTRA
    return load_file(file) if file.is_file() else {}


def read_counters(folder: Path) -> dict[str, Any]:
    """Return the counters of a checkpoint."""
    return dict(json.loads((folder / STATE).read_text()))


def to_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to main memory, so that further training does not change them."""
    return {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        if tensor.device.type == "cpu"
        else tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
    }
