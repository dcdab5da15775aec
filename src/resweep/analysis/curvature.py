"""Curvature of trajectories of hidden states, as Hosseini & Fedorenko (2023) define it.

    states x_1 ... x_n of a layer  ->  v_k = (x_k+1 - x_k) / |x_k+1 - x_k|
                                   ->  mean over k of arccos(v_k . v_k+1), in degrees

0 is a straight line, 180 goes back and forth. Independent random states give 120: neighbouring
differences share a state, so that their cosine is -1/2.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FEWEST_STATES = 3  # two differences, one angle


def curvature(states: Tensor) -> Tensor:
    """Return the mean angle between successive steps of trajectories, in degrees.

    Steps of length zero have no direction, and the angles at them are left out.

    Args:
        states: (..., n, width), n >= 3.

    Returns:
        (...), float64; nan where no angle is left.
    """
    steps = states.double().diff(dim=-2)
    lengths = steps.norm(dim=-1, keepdim=True)
    directions = steps / lengths.clamp(min=torch.finfo(torch.float64).tiny)
    moves = lengths.squeeze(-1) > 0
    # arccos loses half of the digits near 0 and 180, this form none (Kahan 2006, "How futile are
    # mindless assessments of roundoff", section 12).
    first, second = directions[..., :-1, :], directions[..., 1:, :]
    angles = 2 * torch.atan2((first - second).norm(dim=-1), (first + second).norm(dim=-1))
    known = moves[..., :-1] & moves[..., 1:]
    return torch.rad2deg(angles.where(known, torch.nan).nanmean(dim=-1))


@dataclass(frozen=True, kw_only=True)
class LayerCurvature:
    """The curvature of a layer over sentences.

    Attributes:
        mean: In degrees; None if no sentence has an angle.
        error: Standard error of the mean; None for fewer than two sentences.
        change: Mean over sentences of the difference to the embeddings.
        change_error: Its standard error.
    """

    mean: float | None
    error: float | None
    change: float | None
    change_error: float | None


def by_layer(sentences: Sequence[Tensor]) -> list[LayerCurvature]:
    """Return the curvature of each layer over sentences.

    Args:
        sentences: Of each, the curvature by layer: (layers,); the first are the embeddings.
    """
    table = torch.stack(list(sentences))
    changes = table - table[:, :1]
    return [
        LayerCurvature(mean=mean, error=error, change=change, change_error=change_error)
        for (mean, error), (change, change_error) in zip(
            map(_mean, table.T), map(_mean, changes.T), strict=True
        )
    ]


def _mean(values: Tensor) -> tuple[float | None, float | None]:
    known = [value for value in values.tolist() if math.isfinite(value)]
    if not known:
        return None, None
    error = statistics.stdev(known) / math.sqrt(len(known)) if len(known) > 1 else None
    return statistics.fmean(known), error
