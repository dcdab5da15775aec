"""Checkpoint folders that `transformers.AutoModelForCausalLM.from_pretrained` loads.

Written without importing transformers: `config.json` of a GPT-2, `model.safetensors` with its
parameter names. Models without biases are written with zeros for them, since GPT-2 has them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from resweep.data.store import END_OF_TEXT
from resweep.model.gpt import GPT

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def gpt2_config(config: Mapping[str, Any], vocab_size: int) -> dict[str, Any]:
    """Return the `config.json` of a GPT-2 that computes the same as our model."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_pytorch_tanh",
        "attn_pdrop": config["dropout"],
        "embd_pdrop": config["dropout"],
        "resid_pdrop": config["dropout"],
        "bos_token_id": END_OF_TEXT,
        "eos_token_id": END_OF_TEXT,
        "layer_norm_epsilon": 1e-5,
        "n_ctx": config["context_length"],
        "n_embd": config["n_embd"],
        "n_head": config["n_head"],
        "n_inner": None,
        "n_layer": config["n_layer"],
        "n_positions": config["context_length"],
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": vocab_size,
    }


def save_model(model: GPT, config: Mapping[str, Any], folder: Path) -> None:
    """Write weights and config of a model into an existing folder."""
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    if not config["bias"]:
        state |= _zero_biases(state)
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    text = json.dumps(gpt2_config(config, model.vocab_size), indent=2, sort_keys=True)
    (folder / CONFIG).write_text(text + "\n")


def load_weights(model: GPT, folder: Path) -> None:
    """Load weights that `save_model` wrote into a model of the same shape.

    Raises:
        RuntimeError: Names or shapes do not fit.
    """
    state = load_file(folder / WEIGHTS)
    known = model.state_dict().keys()
    extra_biases = {name for name in state if name.endswith(".bias")} - known
    model.load_state_dict({name: state[name] for name in state if name not in extra_biases})


def _zero_biases(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    biases = {}
    for name, tensor in state.items():
        if name.endswith(".weight") and ".wte." not in name and ".wpe." not in name:
            biases[name.removesuffix("weight") + "bias"] = torch.zeros(tensor.shape[-1])
    return biases
