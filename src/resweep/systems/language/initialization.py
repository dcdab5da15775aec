"""Initialization of weight matrices, and its scaling with width (muP).

    init_type normal      N(0, init_std), divided by sqrt(2 n_layer) for residual projections
                          (GPT-2, Radford et al. 2019, section 2.3)
    init_type gaussian    N(init_mean, init_std) for all

muP is the maximal update parametrisation of Yang et al. 2022 (Tensor Programs V, arXiv:2203.03466)
in the form of their table 8, which allows the head to share the token embeddings. For a model m
times as wide as the base model:

    hidden matrices              deviation divided by sqrt(m), learning rate divided by m
    output head                  logits divided by m
    embeddings, biases, norms    unchanged

Parameters are recognized by the names of GPT-2 and of transformers' models.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from resweep.systems.language.initialization_section import Initialization

# Names in transformers' models of the projections into the residual stream: the last ones of
# attention and MLP.
RESIDUAL = frozenset(
    {"c_proj", "o_proj", "out_proj", "down_proj", "dense", "dense_4h_to_h", "fc2", "fc_out"}
)
EMBEDDINGS = frozenset({"wte", "wpe", "embed_tokens", "embed_positions", "embed_in"})
HEADS = frozenset({"lm_head", "embed_out"})


@torch.no_grad()
def draw_matrices(
    parameters: Iterable[tuple[str, Tensor]],
    settings: Initialization,
    n_layer: int,
    generator: torch.Generator,
    width_ratio: float = 1.0,
) -> None:
    """Initialize all parameters of two or more dimensions, in order; others do not change.

    Args:
        parameters: By name.
        settings: The `initialization` section.
        n_layer: Number of transformer blocks; each adds to the residual stream twice.
        generator: Random generator.
        width_ratio: The model's width over muP's base width; 1 without muP.
    """
    scale_residual = settings.scale_residual
    if scale_residual is None:
        scale_residual = settings.init_type == "normal"
    for name, parameter in parameters:
        if parameter.dim() < 2:
            continue
        std = settings.init_std
        if scale_residual and _module(name) in RESIDUAL:
            std /= math.sqrt(2 * n_layer)
        if is_hidden(name, parameter):
            std /= math.sqrt(width_ratio)
        parameter.normal_(settings.init_mean, std, generator=generator)


def is_hidden(name: str, parameter: Tensor) -> bool:
    """Whether both dimensions of a matrix grow with the width: not an embedding or a head."""
    return parameter.dim() >= 2 and _module(name) not in EMBEDDINGS | HEADS


def width_ratio(settings: Initialization, width: int) -> float:
    """Return the width over muP's base width; 1 without muP."""
    base = settings.mup_base_width
    return 1.0 if base is None else width / base


def _module(name: str) -> str:
    """`transformer.h.0.attn.c_proj.weight` -> `c_proj`."""
    return name.removesuffix(".weight").rpartition(".")[2]
