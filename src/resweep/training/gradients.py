"""The gradients of a checkpoint: which are requested, and whether a folder has them.

    gradients.pt         {name: gradient} of the step that led to the checkpoint, before clipping
    gradient_samples.pt  {name: (n, *shape)}, of n equal parts of that step's batch

Both are full float32 tensors on the CPU, whatever the engine; `torch.load(path)` reads them.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from resweep.config.training_section import Training

GRADIENTS = "gradients.pt"
SAMPLES = "gradient_samples.pt"
STATE = "trainer.json"
SAMPLE_COUNT = "gradient_samples"  # its key in trainer.json


@dataclass(frozen=True)
class GradientRequest:
    """Which gradients checkpoints should have.

    Attributes:
        gradients: Whether to save those of the whole batch.
        samples: Number of parts of the batch to save gradients of; None: none.
    """

    gradients: bool = False
    samples: int | None = None

    @classmethod
    def of(cls, training: Training) -> "GradientRequest":
        """Return the request of a `training` section."""
        return cls(training.save_gradients, training.gradient_samples)

    def is_met(self, checkpoint: Path) -> bool:
        """Whether a checkpoint folder has what is requested."""
        if not self.gradients:
            return True
        if not (checkpoint / GRADIENTS).is_file():
            return False
        if self.samples is None:
            return True
        try:
            counters = json.loads((checkpoint / STATE).read_text())
            return bool(counters.get(SAMPLE_COUNT) == self.samples)
        except (OSError, ValueError, AttributeError):  # damaged: set aside before it is used
            return False
