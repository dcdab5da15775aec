"""How well the order at a rung agrees with the order at the end.

Spearman's rank correlation of the values there with the final ones: 1 for the same order, 0 for
none in common, -1 for the reverse. It rests on trials that got to the end. Where the rung itself
stopped the others, these are a selection of the best, among which order is hardest to tell.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FEWEST = 3  # two values are always in order, or in reverse


@dataclass(frozen=True)
class RankCorrelation:
    """How well the order at a rung agrees with that at the end.

    Attributes:
        correlation: Spearman's; None for fewer than three trials, or all alike.
        trials: How many it rests on.
    """

    correlation: float | None
    trials: int

    def __str__(self) -> str:
        known = "" if self.correlation is None else f"{self.correlation:.2f} "
        return f"{known}({self.trials} {'trial' if self.trials == 1 else 'trials'})"


def correlate(pairs: Iterable[tuple[float, float]]) -> RankCorrelation:
    """Correlate values at a rung with final ones, both with less (or both with more) as better."""
    found = list(pairs)
    known = rank_correlation([a for a, _ in found], [b for _, b in found])
    return RankCorrelation(known, len(found))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation; equal values share the mean of their ranks.

    Returns:
        None for fewer than three values, or where all values of a side are equal.
    """
    if len(first) < FEWEST or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return statistics.correlation(_ranks(first), _ranks(second))


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    # The mean of the places that equal values take, from the first and the number of them.
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    count = {value: 0 for value in first}
    for value in ordered:
        count[value] += 1
    return [first[value] + (count[value] - 1) / 2 for value in values]
