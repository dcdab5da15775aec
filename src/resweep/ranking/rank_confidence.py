"""How sure a rank is, from the seeds of the configurations.

means and standard errors of the final values  ->  draws from normal distributions  ->  ranks

A configuration with one seed has the spread of the others' seeds, pooled over those that have
several:

    s^2 = sum((n_i - 1) * s_i^2) / sum(n_i - 1)      standard error s / sqrt(n)

The draws have a fixed seed: equal rankings give equal numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

DRAWS = 4000
OUTSIDE = 0.05  # on either side of an interval


@dataclass(frozen=True, kw_only=True)
class Rated:
    """The final value of a configuration.

    Attributes:
        value: Mean over its seeds.
        spread: Standard deviation over them; None for one.
        seeds: How many.
    """

    value: float
    spread: float | None
    seeds: int


@dataclass(frozen=True, kw_only=True)
class RankConfidence:
    """How sure the rank of a configuration is.

    Attributes:
        best: Probability that it is the best.
        low, high: Ranks between which it is in nine of ten cases.
    """

    best: float
    low: int
    high: int


def pooled_spread(rated: Sequence[Rated]) -> float | None:
    """Return the standard deviation over seeds; None if no configuration has several."""
    known = [one for one in rated if one.spread is not None and one.seeds > 1]
    degrees = sum(one.seeds - 1 for one in known)
    if degrees == 0:
        return None
    squares = math.fsum((one.seeds - 1) * (one.spread or 0.0) ** 2 for one in known)
    return math.sqrt(squares / degrees)


def rank_confidence(rated: Sequence[Rated], sign: float) -> list[RankConfidence] | None:
    """Return how sure each rank is, in the order of the configurations.

    Args:
        rated: The configurations.
        sign: 1 where less is better, else -1.

    Returns:
        None for a single configuration, or if no configuration has several seeds.
    """
    pooled = pooled_spread(rated)
    if pooled is None or len(rated) < 2:
        return None
    errors = [
        (one.spread if one.spread is not None and one.seeds > 1 else pooled) / math.sqrt(one.seeds)
        for one in rated
    ]
    import numpy as np

    chance = np.random.default_rng(0)
    means = np.array([sign * one.value for one in rated])
    ranks = np.empty((DRAWS, len(rated)), dtype=np.int32)
    for draw in ranks:
        order = np.argsort(chance.normal(means, errors), kind="stable")
        draw[order] = np.arange(1, len(rated) + 1)
    best = np.mean(ranks == 1, axis=0)
    ends = (int(DRAWS * OUTSIDE), DRAWS - 1 - int(DRAWS * OUTSIDE))
    ranks.partition(ends, axis=0)
    return [
        RankConfidence(best=float(share), low=int(low), high=int(high))
        for share, low, high in zip(best, *ranks[list(ends)], strict=True)
    ]
