"""Low-rank adapters on frozen weights (LoRA, Hu et al. 2021), by peft.

    W x + lora_alpha / lora_rank * B A x        A, B are trained; A starts random, B at 0

A checkpoint holds the merged model, which transformers can load, and in `adapter/` the adapters in
peft's format. From the adapters and the initial weights, a training continues bit for bit.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear, LoraLayer
from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from resweep.errors import ConfigError, Problem
from resweep.systems.language.hf import HfModel
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.model_section import Model

ADAPTER = "adapter"
WEIGHTS = "adapter_model.safetensors"
ALL = "all-linear"
_PREFIX = "base_model.model."  # of names in peft's files


class LoraModel(HfModel):
    """A model of transformers of which only adapters are trained.

    Args:
        section: The resolved `model` section.
        parent: Folder of the frozen weights.

    Raises:
        ConfigError: transformers has no such model, or the model has no such `lora_targets`.
    """

    parent: Path

    def __init__(self, section: Model, parent: Path):
        super().__init__(section, parent)
        self.drawn: dict[str, Tensor] = {}

    def add_adapters(self) -> None:
        """Add adapters to the target layers; only they are trained."""
        section = self.section
        assert section.lora_rank is not None, "there are adapters"
        targets = section.lora_targets
        if targets is None:
            usual = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
            targets = tuple(usual.get(self.hf.config.model_type, [ALL]))
        alpha: Any = section.lora_alpha  # peft accepts any number, despite its type hint
        self.settings = LoraConfig(
            r=section.lora_rank,
            lora_alpha=alpha,
            lora_dropout=section.lora_dropout,
            fan_in_fan_out=any(isinstance(part, Conv1D) for part in self.hf.modules()),
            target_modules=ALL if list(targets) == [ALL] else list(targets),
            task_type="CAUSAL_LM",
            base_model_name_or_path=section.name_or_path or str(self.parent),
        )
        with torch.random.fork_rng(devices=[]):
            try:
                inject_adapter_in_model(self.settings, self.hf)
            except ValueError as error:
                raise _problem(targets, str(error).splitlines()[0]) from None
        self.layers: dict[str, Linear] = {}
        for name, part in self.hf.named_modules():
            if isinstance(part, LoraLayer):
                if not isinstance(part, Linear):
                    raise _problem(targets, f"{name} is not a linear layer")
                self.layers[name] = part
        self.settings.target_modules = sorted(self.settings.target_modules or ())

    @torch.no_grad()
    def initialize(self, settings: Initialization, generator: torch.Generator) -> None:
        """Initialize the adapters: A uniform below 1 / sqrt(inputs), like peft, and B zero."""
        for name, parameter in self.named_parameters():
            if ".lora_A." in name:
                bound = 1 / math.sqrt(parameter.shape[1])
                parameter.uniform_(-bound, bound, generator=generator)
            elif ".lora_B." in name:
                parameter.zero_()
            else:
                continue
            self.drawn[name] = parameter.detach().clone()

    def write(self, state: Mapping[str, Tensor], folder: Path) -> None:
        """Write the merged model, and the adapters beside it."""
        merged = {_plain(name): tensor for name, tensor in state.items() if ".lora_" not in name}
        for name, layer in self.layers.items():
            a, b = (state[f"{name}.lora_{part}.default.weight"] for part in "AB")
            change = layer.scaling["default"] * (b @ a)
            merged[f"{name}.weight"] = merged[f"{name}.weight"] + (
                change.T if layer.fan_in_fan_out else change
            )
        super().write(merged, folder)
        adapter = folder / ADAPTER
        adapter.mkdir()
        own = {_in_peft(name): tensor for name, tensor in state.items() if ".lora_" in name}
        save_file(own, adapter / WEIGHTS, metadata={"format": "pt"})
        self.settings.save_pretrained(str(adapter))

    def read(self, folder: Path) -> dict[str, Tensor]:
        """Return the adapters of a checkpoint, and their base weights."""
        stored = load_file(folder / ADAPTER / WEIGHTS)
        return self._on_parent({name: stored[_in_peft(name)] for name in self.drawn})

    def read_parent(self, folder: Path) -> dict[str, Tensor]:
        """Return the base weights, and the initial adapters."""
        return self._on_parent(self.drawn)

    def _on_parent(self, adapters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        base = self._read_whole(self.parent)
        names = [name for name, _ in self.named_parameters()]
        return {n: adapters[n] if n in adapters else base[_plain(n)] for n in names}


def _plain(name: str) -> str:
    """Return a parameter's name in the model without adapters."""
    return name.replace(".base_layer.", ".")


def _in_peft(name: str) -> str:
    return _PREFIX + name.replace(".default.", ".")


def _problem(targets: Any, hint: str) -> ConfigError:
    return ConfigError(Problem("trial", "model.lora_targets", list(targets), hint))
