"""Stablemax cross-entropy (Prieto et al. 2025, section 5), which does not overflow."""

import torch
from torch import Tensor


def stablemax_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return -log(s(x_target) / sum of s(x)) in float64, s(x) = x + 1 above 0, else 1 / (1 - x).

    Args:
        logits: (..., tokens).
        targets: (...), int64.

    Returns:
        (...), in nats.
    """
    x = logits.double()
    # Clamped, since where() also differentiates the side that it does not take.
    s = torch.where(x >= 0, x + 1, 1 / (1 - x.clamp(max=0)))
    of_target = s.gather(-1, targets[..., None])[..., 0]
    return s.sum(-1).log() - of_target.log()
