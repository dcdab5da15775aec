"""How weight matrices start.

Names of parameters are those of GPT-2 and of transformers' models.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

# What transformers' models call the projections that are added to the residual stream: attention's
# last one and the MLP's last one.
RESIDUAL = frozenset(
    {"c_proj", "o_proj", "out_proj", "down_proj", "dense", "dense_4h_to_h", "fc2", "fc_out"}
)


@torch.no_grad()
def draw_matrices(
    parameters: Iterable[tuple[str, Tensor]],
    settings: Mapping[str, Any],
    n_layer: int,
    generator: torch.Generator,
) -> None:
    """Draw all parameters of two or more dimensions anew, in their order; others stay.

    N(0, init_std), those into the residual stream over sqrt(2 n_layer) (GPT-2, Radford et al. 2019,
    section 2.3).

    Args:
        parameters: By name.
        settings: The `initialization` section.
        n_layer: Transformer blocks: each adds twice to the residual stream.
        generator: What is drawn from.
    """
    for name, parameter in parameters:
        if parameter.dim() >= 2:
            residual = name.removesuffix(".weight").rpartition(".")[2] in RESIDUAL
            std = settings["init_std"] / (math.sqrt(2 * n_layer) if residual else 1.0)
            parameter.normal_(0.0, std, generator=generator)
