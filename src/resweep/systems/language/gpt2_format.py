"""Checkpoints for `transformers.AutoModelForCausalLM.from_pretrained`.

Written without importing transformers: `config.json` of a GPT-2, and `model.safetensors` with its
parameter names. Models without biases get zero biases, since GPT-2 has biases.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from resweep.errors import ConfigError, Problem
from resweep.systems.language.folder import CONFIG, WEIGHTS, read_tensors
from resweep.systems.language.model_section import Model
from resweep.systems.language.token_data import END_OF_TEXT

_POSITIONS = "transformer.wpe.weight"


def gpt2_config(section: Model, vocab_size: int) -> dict[str, Any]:
    """Return the `config.json` of a GPT-2 that computes the same as our model."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_pytorch_tanh",
        "attn_pdrop": section.dropout,
        "embd_pdrop": section.dropout,
        "resid_pdrop": section.dropout,
        "bos_token_id": END_OF_TEXT,
        "eos_token_id": END_OF_TEXT,
        "layer_norm_epsilon": 1e-5,
        "n_ctx": section.context_length,
        "n_embd": section.n_embd,
        "n_head": section.n_head,
        "n_inner": None,
        "n_layer": section.n_layer,
        "n_positions": section.context_length,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": vocab_size,
    }


def write_model(state: Mapping[str, Tensor], section: Model, vocab_size: int, folder: Path) -> None:
    """Write the weights and config of a model into an existing folder.

    Args:
        state: Its parameters by name, full tensors on the CPU.
        section: The `model` section of its configuration.
        vocab_size: Number of tokens.
        folder: The folder.
    """
    weights = dict(state)
    if not section.bias:
        weights |= _zero_biases(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    text = json.dumps(gpt2_config(section, vocab_size), indent=2, sort_keys=True)
    (folder / CONFIG).write_text(text + "\n")


def read_weights(known: Mapping[str, torch.Size], folder: Path) -> dict[str, Tensor]:
    """Read the parameters of a GPT-2 folder by name, ours or not.

    Positions beyond the model's context are dropped, which does not change the other ones.

    Args:
        known: The shapes of the model's parameters.
        folder: The folder.

    Raises:
        ConfigError: Names or shapes do not fit, or the folder has biases and the model has none.
    """
    kept: dict[str, Tensor] = {}
    for stored, tensor in read_tensors(folder):
        name = stored if stored.startswith("transformer.") else f"transformer.{stored}"
        if stored == "lm_head.weight" or name.endswith((".attn.bias", ".attn.masked_bias")):
            continue  # a copy of the token embeddings; masks
        if name.endswith(".bias") and name not in known:
            if tensor.any():
                hint = f"does not fit the model: {name} is not zero; set model.bias: true"
                raise ConfigError(Problem(str(folder), "", None, hint))
            continue
        if name == _POSITIONS:
            tensor = tensor[: known[name][0]].clone()
        kept[name] = tensor.float()
    shapes = {name: tensor.shape for name, tensor in kept.items()}
    if shapes != known:
        wrong = sorted(n for n in known.keys() | shapes if known.get(n) != shapes.get(n))
        hint = f"does not fit the model: {wrong[0]} is {_shape(shapes, wrong[0])} in the weights, "
        hint += f"{_shape(known, wrong[0])} in the model"
        raise ConfigError(Problem(str(folder), "", None, hint))
    return kept


def _shape(shapes: Mapping[str, torch.Size], name: str) -> str:
    return "x".join(map(str, shapes[name])) if name in shapes else "missing"


def _zero_biases(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    biases = {}
    for name, tensor in state.items():
        if name.endswith(".weight") and ".wte." not in name and ".wpe." not in name:
            biases[name.removesuffix("weight") + "bias"] = torch.zeros(tensor.shape[-1])
    return biases
