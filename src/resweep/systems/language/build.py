"""Which model a configuration means."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resweep.systems.language.gpt import GPT
from resweep.systems.language.language_model import LanguageModel


def build_model(config: Mapping[str, Any], parent: Path | None = None) -> LanguageModel:
    """Return the model that a resolved `model` section describes; its weights are not set yet.

    Args:
        config: The section.
        parent: Folder of the weights that it will start from.

    Raises:
        ConfigError: transformers or peft has no such model.
    """
    if config["kind"] == "gpt":
        return GPT(config, config["vocab_size"])
    if config["lora_rank"] is None:
        from resweep.systems.language.hf import HfModel  # transformers takes seconds to import

        return HfModel(config, parent)
    from resweep.systems.language.lora import LoraModel

    assert parent is not None, "adapters stand on weights"
    return LoraModel(config, parent)


def check_model(config: Mapping[str, Any], from_weights: bool) -> None:
    """Refuse what transformers would not build, without building it.

    Args:
        config: A resolved `model` section.
        from_weights: Whether it starts from weights.

    Raises:
        ConfigError: Names the key.
    """
    if config["kind"] == "hf":
        from resweep.systems.language.hf import make_config

        make_config(config, from_weights)
