"""The size of a model, without building it or importing torch, for resource requests of jobs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from resweep.systems.language.model_section import Model

# Names of the same number in different model families.
NAMES = {
    "width": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "inner": ("intermediate_size", "n_inner", "ffn_dim"),
}
GPT2 = (768, 12)  # default width and layers in transformers
LLAMA = (4096, 32)  # also the defaults of most others


class Shape(NamedTuple):
    """The numbers that sizes are estimated from.

    Attributes:
        layers: Transformer blocks.
        width: Of the residual stream.
        inner: Of the MLP.
    """

    layers: int
    width: int
    inner: int


def shape_of(section: Model) -> Shape:
    """Return the shape of the model that a `model` section describes.

    Missing values of `model.config` default to GPT-2's or Llama's in transformers; for weights that
    are not resolved yet, that is all that is known.
    """
    if section.kind == "gpt":
        return Shape(section.n_layer, section.n_embd, 4 * section.n_embd)
    given = section.config
    default_width, default_layers = GPT2 if given.get("model_type") == "gpt2" else LLAMA
    width = find_size(given, "width") or default_width
    layers = find_size(given, "layers") or default_layers
    return Shape(layers, width, find_size(given, "inner") or 4 * width)


def count_parameters(section: Model, vocab_size: int) -> int:
    """Parameters of the model that a `model` section describes, without building it.

    Exact for kind gpt. An estimate for kind hf: four square matrices and three MLP matrices per
    layer, embeddings and head; models with fewer key heads, or an MLP without a gate, are smaller.
    """
    layers, width, inner = shape_of(section)
    if section.kind == "hf":
        tied = section.config.get("tie_word_embeddings", False)
        embeddings = vocab_size * width * (1 if tied else 2)
        return embeddings + layers * (4 * width * width + 3 * width * inner)
    matrices = 12 * width * width
    vectors = (2 + (9 + 2 if section.bias else 0)) * width
    last_norm = width * (2 if section.bias else 1)
    return (vocab_size + section.context_length) * width + layers * (matrices + vectors) + last_norm


def find_size(config: Mapping[str, Any], what: str) -> int | None:
    """Return the width, layers or inner width that a config.json names; None if it names none."""
    values = (config.get(name) for name in NAMES[what])
    return next((value for value in values if isinstance(value, int)), None)
