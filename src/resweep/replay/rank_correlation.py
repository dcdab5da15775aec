"""How well the order at a rung predicts the final order.

Spearman's rank correlation between the values at the rung and the final values: 1 for the same
order, 0 for no relation, -1 for the reverse. It covers the trials that reached the end. If the rung
itself stopped the others, these are the best ones, which are the hardest to order.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FEWEST = 3  # two values are always in the same order, or reversed


@dataclass(frozen=True)
class RankCorrelation:
    """How well the order at a rung predicts the final order.

    Attributes:
        correlation: Spearman's; None for fewer than three trials, or if all are equal.
        trials: Number of trials.
    """

    correlation: float | None
    trials: int

    def __str__(self) -> str:
        known = "" if self.correlation is None else f"{self.correlation:.2f} "
        return f"{known}({self.trials} {'trial' if self.trials == 1 else 'trials'})"


def correlate(pairs: Iterable[tuple[float, float]]) -> RankCorrelation:
    """Correlate values at a rung with final ones; in both, less (or more) is better."""
    found = list(pairs)
    known = rank_correlation([a for a, _ in found], [b for _, b in found])
    return RankCorrelation(known, len(found))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation; equal values share the mean of their ranks.

    Returns:
        None for fewer than three values, or if all values of a side are equal.
    """
    if len(first) < FEWEST or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return statistics.correlation(_ranks(first), _ranks(second))


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    # Equal values share the mean of their ranks: first rank and count give it.
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    count = {value: 0 for value in first}
    for value in ordered:
        count[value] += 1
    return [first[value] + (count[value] - 1) / 2 for value in values]
