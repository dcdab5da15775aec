"""Which model a configuration means."""

from pathlib import Path

from resweep.systems.language.gpt import GPT
from resweep.systems.language.language_model import LanguageModel
from resweep.systems.language.model_section import Model


def build_model(section: Model, parent: Path | None = None) -> LanguageModel:
    """Return the model that a resolved `model` section describes; its weights are not set yet.

    Args:
        section: What it is.
        parent: Folder of the weights that it will start from.

    Raises:
        ConfigError: transformers or peft has no such model.
    """
    if section.kind == "gpt":
        assert section.vocab_size is not None, "resolved"
        return GPT(section, section.vocab_size)
    if section.lora_rank is None:
        from resweep.systems.language.hf import HfModel  # transformers takes seconds to import

        return HfModel(section, parent)
    from resweep.systems.language.lora import LoraModel

    assert parent is not None, "adapters stand on weights"
    return LoraModel(section, parent)


def check_model(section: Model, from_weights: bool) -> None:
    """Refuse what transformers would not build, without building it.

    Args:
        section: A resolved `model` section.
        from_weights: Whether it starts from weights.

    Raises:
        ConfigError: Names the key.
    """
    if section.kind == "hf":
        from resweep.systems.language.hf import make_config

        make_config(section, from_weights)
