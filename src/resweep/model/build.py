"""Which model a configuration means."""

from collections.abc import Mapping
from typing import Any

from resweep.model.gpt import GPT
from resweep.model.language_model import LanguageModel


def build_model(config: Mapping[str, Any]) -> LanguageModel:
    """Return the model that a resolved `model` section describes; its weights are not set yet."""
    return GPT(config, config["vocab_size"])
