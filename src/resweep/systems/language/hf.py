"""Any causal language model of transformers.

    model.config                        content of config.json, with model_type
    AutoModelForCausalLM.from_config    builds the module; never runs code of a model folder

Weights are float32 and have transformers' names, tied ones once. Attention is torch's fused one.
`model.dropout` sets all dropout probabilities.
"""

import contextlib
import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig
from transformers.core_model_loading import revert_weight_conversion
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
)
from transformers.utils import logging

from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem
from resweep.systems.language.folder import WEIGHTS, is_dropout
from resweep.systems.language.initialization import draw_matrices
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.language_model import LanguageModel
from resweep.systems.language.masked_attention import DROPPING, require_no_other_dropout, use_keys
from resweep.systems.language.model_section import Model

# Names that config classes accept although they are not fields.
ALSO_KNOWN = frozenset({"rope_theta", "rope_scaling", "partial_rotary_factor", "n_ctx"})
SPECIAL_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")

logging.set_verbosity_error()
logging.disable_progress_bar()


def make_config(section: Model, from_weights: bool) -> PreTrainedConfig:
    """Return the configuration of transformers that a resolved `model` section describes.

    Args:
        section: The section.
        from_weights: Whether it starts from weights, whose config.json may have other keys too.

    Raises:
        ConfigError: transformers does not know a key or value, or the context is too long.
    """
    vocab_size, given = section.vocab_size, dict(section.config)
    assert vocab_size is not None, "resolved"
    model_type = given.pop("model_type")
    if model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or model_type not in CONFIG_MAPPING:
        meant = nearest(str(model_type), sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
        hint = f"; did you mean {meant}?" if meant else ""
        raise _problem("config.model_type", model_type, f"not a causal language model{hint}")
    kind: Any = CONFIG_MAPPING[model_type]
    known = {*kind.__dataclass_fields__, *kind.attribute_map, *ALSO_KNOWN}
    for key in given.keys() - known:
        meant = nearest(key, sorted(known))
        if meant:
            raise _problem(f"config.{key}", given[key], f"did you mean {meant}?")
        if not from_weights:
            raise _problem(f"config.{key}", given[key], f"not a key of a {model_type} config")
    try:
        config: PreTrainedConfig = kind(**given, vocab_size=vocab_size)
    except (StrictDataclassError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise _problem("config", None, f"rejected by transformers: {reason}") from None
    if config.is_encoder_decoder or getattr(config, "is_decoder", True) is False:
        hint = "not a decoder: tokens see later tokens; set model.config.is_decoder: true"
        raise _problem("config.model_type", model_type, hint)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and section.context_length > positions:
        hint = f"should be at most {positions}, the number of positions in model.config"
        raise _problem("context_length", section.context_length, hint)
    for key, value in config.to_dict().items():
        if is_dropout(key) and type(value) in (float, int):
            setattr(config, key, section.dropout)
        default_token = key in SPECIAL_TOKENS and key not in given and isinstance(value, int)
        if default_token and value >= vocab_size:
            setattr(config, key, None)  # a default for another vocabulary
    return config


def load_class(model_type: str) -> None:
    """Import the class of a kind of model; one that cannot be had is reported when it is built."""
    with contextlib.suppress(ImportError, LookupError):
        MODEL_FOR_CAUSAL_LM_MAPPING[CONFIG_MAPPING[model_type]]


class HfModel(LanguageModel):
    """A model of transformers, trained like our own.

    Args:
        section: The resolved `model` section.
        parent: Folder of the initial weights, if any.

    Raises:
        ConfigError: transformers has no such model, or its dropout is not reproducible.
    """

    def __init__(self, section: Model, parent: Path | None = None):
        super().__init__()
        assert section.vocab_size is not None, "resolved"
        self.section = section
        self.parent = parent
        self.vocab_size = section.vocab_size
        self.context_length = section.context_length
        hf_config = make_config(section, parent is not None)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # for weights that `initialize` leaves as they are
            try:
                self.hf = AutoModelForCausalLM.from_config(
                    hf_config,
                    attn_implementation=DROPPING if section.dropout else "sdpa",
                    dtype=torch.float32,
                    trust_remote_code=False,
                )
            except (ImportError, LookupError, TypeError, ValueError) as error:
                # Constructors raise any of these for invalid values.
                reason = (str(error).strip().splitlines() or [""])[0]
                kind = hf_config.model_type
                hint = f"cannot be built from model.config: {type(error).__name__}: {reason}"
                raise _problem("config.model_type", kind, hint) from None
        self.add_adapters()
        self.note_shapes()
        self.sample_keys = None
        if max(section.dropout, section.lora_dropout) > 0:
            self.sample_keys = use_keys(self.hf, section.dropout)
            require_no_other_dropout(self.hf, self.sample_keys)

    def add_adapters(self) -> None:
        """Hook to change the module before use; does nothing here."""

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield parameters under transformers' names."""
        yield from self.hf.named_parameters(prefix, recurse, remove_duplicate)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens) of int64 -> logits (batch, tokens, vocab_size)."""
        logits: Tensor = self.hf(input_ids=tokens, use_cache=False).logits
        return logits

    def initialize(self, settings: Initialization, generator: torch.Generator) -> None:
        """Initialize all matrices; vectors keep transformers' values."""
        layers = self.hf.config.num_hidden_layers
        draw_matrices(self.named_parameters(), settings, layers, generator)

    def checkpoint_blocks(self, on: bool) -> None:
        """Turn activation checkpointing on or off."""
        if on:
            self.hf.activation_checkpointing_enable({"use_reentrant": False})
        else:
            self.hf.activation_checkpointing_disable()

    def flops_per_token(self) -> float:
        """Floating-point operations of one training step per token.

        6 per parameter, and 12 layers width context_length for attention (PaLM, Chowdhery et al.
        2022, appendix B). Embeddings that are only looked up do not count; frozen parameters need
        no gradient and count 4. All experts count.
        """
        head = self.hf.get_output_embeddings()
        used = None if head is None else head.weight
        embeddings = [part for part in self.hf.modules() if isinstance(part, nn.Embedding)]
        looked_up = {id(part.weight) for part in embeddings if part.weight is not used}
        products = sum(
            self.shapes[name].numel() * (6 if parameter.requires_grad else 4)
            for name, parameter in self.named_parameters()
            if id(parameter) not in looked_up
        )
        config = self.hf.config
        heads = config.num_attention_heads
        width = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
        attention = 12 * config.num_hidden_layers * width * self.context_length
        return products + attention

    def write(self, state: Mapping[str, Tensor], folder: Path) -> None:
        """Write a model folder for transformers, with weights in one file.

        `save_pretrained` does the same, but imports DeepSpeed first, which takes seconds.
        """
        constants = {name for name, _ in self.hf.named_buffers()}
        kept = {name: t for name, t in self.hf.state_dict().items() if name in constants}
        stored = revert_weight_conversion(self.hf, {**kept, **state})
        whole = {name: tensor.contiguous() for name, tensor in stored.items()}
        save_file(whole, folder / WEIGHTS, metadata={"format": "pt"})
        config = copy.deepcopy(self.hf.config)
        config.architectures, config.dtype = [type(self.hf).__name__], "float32"
        config.save_pretrained(folder)
        if self.hf.can_generate():
            self.hf.generation_config.save_pretrained(folder)

    def read(self, folder: Path) -> dict[str, Tensor]:
        """Read the parameters of a model folder; raises ConfigError."""
        return self._read_whole(folder)

    def _read_whole(self, folder: Path) -> dict[str, Tensor]:
        """Read the parameters of a folder, under the names of the model without adapters."""
        found: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=self.hf.config,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        loaded, info = found
        mismatches = [
            *(f"{name} is missing from the weights" for name in sorted(info["missing_keys"])),
            *(
                f"{name} is {_shape(stored)} in the weights, {_shape(own)} in the model"
                for name, stored, own in sorted(info["mismatched_keys"])
            ),
            *(f"{name} is not in the model" for name in sorted(info["unexpected_keys"])),
        ]
        if mismatches:
            hint = f"does not fit the model of model.config: {mismatches[0]}"
            raise ConfigError(Problem(str(folder), "", None, hint))
        return {name: parameter.detach() for name, parameter in loaded.named_parameters()}


def _shape(shape: Any) -> str:
    return "x".join(map(str, shape))


def _problem(key: str, value: Any, hint: str) -> ConfigError:
    return ConfigError(Problem("trial", f"model.{key}", value, hint))
