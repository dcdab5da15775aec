"""Model folders in the format of transformers: weight files and their tensors.

    model.safetensors  |  model.safetensors.index.json and its shards
    pytorch_model.bin  |  pytorch_model.bin.index.json and its shards

torch is only imported to read weights: planning just needs file names.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from resweep.errors import ConfigError, Problem

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
FORMS = (WEIGHTS, "pytorch_model.bin")


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files of a folder, sorted by name; empty without any.

    Includes missing shards that the index names.

    Raises:
        ConfigError: The index names a file outside the folder.
    """
    for name in FORMS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            names = set(json.loads(index.read_text())["weight_map"].values())
            outside = sorted(name for name in names if Path(name).name != name)
            if outside:
                raise ConfigError(
                    Problem(str(index), "weight_map", outside[0], "should be a file in this folder")
                )
            return [folder / name for name in sorted(names)]
    return []


def is_dropout(key: str) -> bool:
    """Whether a key of config.json is a dropout probability: attn_pdrop, attention_dropout."""
    return "dropout" in key or key.endswith("pdrop")


def read_tensors(folder: Path) -> Iterator[tuple[str, "Tensor"]]:
    """Yield the tensors of a folder by name, on the CPU, as they are stored."""
    import torch
    from safetensors.torch import load_file

    for file in weight_files(folder):
        if file.suffix == ".safetensors":
            yield from load_file(file).items()
        else:
            yield from torch.load(file, map_location="cpu", weights_only=True).items()
