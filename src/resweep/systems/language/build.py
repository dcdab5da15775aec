"""Building the model of a configuration."""

from pathlib import Path

from resweep.systems.language.gpt import GPT
from resweep.systems.language.language_model import LanguageModel
from resweep.systems.language.model_section import Model


def build_model(section: Model, parent: Path | None = None) -> LanguageModel:
    """Return the model of a resolved `model` section, with weights not set yet.

    Args:
        section: The section.
        parent: Folder of the initial weights, if any.

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

    assert parent is not None, "adapters need base weights"
    return LoraModel(section, parent)


def load_kind(section: Model) -> None:
    """Import what a kind of model needs besides torch."""
    if section.kind == "gpt":
        return
    from resweep.systems.language.hf import load_class

    load_class(section.config["model_type"])
    if section.lora_rank is not None:
        import resweep.systems.language.lora  # noqa: F401


def check_model(section: Model, from_weights: bool) -> None:
    """Check that transformers can build the model, without building it.

    Args:
        section: A resolved `model` section.
        from_weights: Whether it starts from existing weights.

    Raises:
        ConfigError: Names the key.
    """
    if section.kind == "hf":
        from resweep.systems.language.hf import make_config

        make_config(section, from_weights)
