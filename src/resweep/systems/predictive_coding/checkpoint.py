"""Checkpoints of a decoder.

model.safetensors            the weights
config.json                  model, patch size and inference: with the weights, all of a decoder
reconstructions.safetensors  some validation images, and what the model makes of them
optimizer.safetensors        both moments of every weight
trainer.json                 counters, and the best values so far
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from resweep.systems.predictive_coding.checkpoint_files import CONFIG, RECONSTRUCTIONS, WEIGHTS
from resweep.systems.predictive_coding.network import Decoder
from resweep.systems.predictive_coding.sections import Inference, Model
from resweep.training.gradients import STATE
from resweep.training.snapshot import OPTIMIZER

MODEL_TYPE = "predictive_coding"


@dataclass(frozen=True, kw_only=True)
class PredictiveCodingSnapshot:
    """A training at one step.

    Attributes:
        model, inference: The sections.
        patch_size: Pixels along an edge of a patch.
        weights: All parameters by name.
        moments: `exp_avg.NAME` and `exp_avg_sq.NAME`.
        images, reconstructions: (n, height, width, channels).
        counters: Content of trainer.json.
    """

    model: Model
    inference: Inference
    patch_size: int
    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    images: np.ndarray
    reconstructions: np.ndarray
    counters: Mapping[str, Any]

    @property
    def step(self) -> int:
        """Its step."""
        return int(self.counters["step"])

    def write(self, folder: Path) -> None:
        """Write a checkpoint into an existing folder, while the training continues.

        Raises:
            Exception: It cannot be written.
        """
        config = {
            "model_type": MODEL_TYPE,
            "patch_size": self.patch_size,
            "model": self.model.model_dump(mode="json"),
            "inference": self.inference.model_dump(mode="json"),
        }
        save_file(dict(self.weights), folder / WEIGHTS)
        save_file(dict(self.moments), folder / OPTIMIZER)
        shown = {"images": self.images, "reconstructions": self.reconstructions}
        save_arrays(shown, folder / RECONSTRUCTIONS)
        (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (folder / STATE).write_text(json.dumps(dict(self.counters), indent=2) + "\n")


def load_decoder(folder: str | Path) -> Decoder:
    """Return the decoder of a checkpoint."""
    config = json.loads((Path(folder) / CONFIG).read_text())
    decoder = Decoder(Model.model_validate(config["model"]), config["patch_size"])
    decoder.load_state_dict(load_file(Path(folder) / WEIGHTS))
    return decoder
