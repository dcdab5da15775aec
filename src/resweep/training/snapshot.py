"""All of a training at one step, in main memory, apart from the training: what a checkpoint holds.

model.safetensors config.json    transformers loads them
optimizer.safetensors            both moments of every trained parameter
trainer.json                     counters
tokenizer.json ...               where the data has one: AutoTokenizer loads it
gradients.pt                     of that step, if asked for (resweep.training.gradients)
gradient_samples.pt              of parts of its batch, if asked for
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from resweep.data.store import Prepared
from resweep.errors import StoreError
from resweep.systems.language.folder import CONFIG
from resweep.systems.language.language_model import LanguageModel
from resweep.training.gradients import GRADIENTS, SAMPLES, STATE

OPTIMIZER = "optimizer.safetensors"


@dataclass(frozen=True)
class Snapshot:
    """A training at one step.

    Attributes:
        model: Writes its weights.
        data: Its tokens are those of the model.
        weights: All parameters by name.
        moments: `exp_avg.NAME` and `exp_avg_sq.NAME`.
        counters: What trainer.json holds.
        gradients: By name; None if nobody wants them.
        gradient_samples: By name, (n, *shape); None if nobody wants them.
    """

    model: LanguageModel
    data: Prepared
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    counters: dict[str, Any]
    gradients: dict[str, Tensor] | None = None
    gradient_samples: dict[str, Tensor] | None = None

    @property
    def step(self) -> int:
        """Its step."""
        return int(self.counters["step"])

    def write(self, folder: Path) -> None:
        """Write all of it into an existing folder, while the training goes on.

        Raises:
            StoreError: It cannot be written: a full disk comes as an error of the library.
        """
        try:
            self.model.write(self.weights, folder)
            add_tokenizer(self.data, folder)
            save_file(self.moments, folder / OPTIMIZER)
            (folder / STATE).write_text(json.dumps(self.counters, indent=2) + "\n")
            if self.gradients is not None:
                torch.save(self.gradients, folder / GRADIENTS)
            if self.gradient_samples is not None:
                torch.save(self.gradient_samples, folder / SAMPLES)
        except (SafetensorError, RuntimeError) as error:
            raise StoreError(f"{folder}: cannot be written: {error}") from error


def add_tokenizer(data: Prepared, folder: Path) -> None:
    """Let a model's folder tell which tokens it knows, and with which one a text ends."""
    for file in data.tokenizer_files():
        shutil.copyfile(file, folder / file.name)
    for path in (folder / CONFIG, folder / "generation_config.json"):
        if not path.exists():
            continue
        config = json.loads(path.read_text())
        ends = config.get("eos_token_id")
        if data.end_of_text not in (ends if isinstance(ends, list) else [ends]):
            config |= dict.fromkeys(("bos_token_id", "eos_token_id"), data.end_of_text)
            path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_moments(folder: Path) -> dict[str, Tensor]:
    """Return the moments of a checkpoint."""
    return load_file(folder / OPTIMIZER)


def read_counters(folder: Path) -> dict[str, Any]:
    """Return the counters of a checkpoint."""
    return dict(json.loads((folder / STATE).read_text()))


def to_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to main memory, so that what is trained on does not change them."""
    return {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        if tensor.device.type == "cpu"
        else tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
    }
