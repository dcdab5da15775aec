"""How early in training the final order could be seen.

curves of the trials that reached the end, final values  ->  the order at each step, and the last

At each step that all of them logged: Spearman's rank correlation with the final values, and how
many of the best are the same as at the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resweep.replay.rank_correlation import rank_correlation

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True, kw_only=True)
class EarlyOrder:
    """The order of the trials at one step.

    Attributes:
        step: The step.
        correlation: Spearman's with the final values; None for fewer than three trials, or if all
            values are equal.
        kept: How many of the best at this step are among the best at the end.
        best_is_best: Whether the first one at this step is the first one at the end.
    """

    step: int
    correlation: float | None
    kept: int
    best_is_best: bool


@dataclass(frozen=True, kw_only=True)
class EarlyRanks:
    """The orders of a phase's trials.

    Attributes:
        trials: How many are compared: those that reached the last step of most.
        end: That step.
        top: How many count as the best.
        orders: By step, without the last one.
    """

    trials: int
    end: int
    top: int
    orders: tuple[EarlyOrder, ...]

    @property
    def same_from(self) -> int | None:
        """The first step from which on the best are those of the end; None if there is none."""
        same = None
        for order in reversed(self.orders):
            if order.kept < self.top:
                break
            same = order.step
        return same

    @property
    def line(self) -> str:
        """A sentence about it."""
        best = "best" if self.top == 1 else f"top {self.top}"
        of = f"of {self.trials} trials"
        if self.same_from is None:
            return f"no step before {self.end:,} has the final {best} {of}"
        share = self.same_from / self.end
        return (
            f"stopping all trials at step {self.same_from:,} of {self.end:,} ({share:.0%}) would "
            f"have given the same {best} {of}"
        )


def early_ranks(
    curves: Mapping[str, Points], finals: Mapping[str, float], sign: float, top: int = 3
) -> EarlyRanks | None:
    """Compare the orders of trials at all steps with the final one.

    Args:
        curves: Of each trial: (step, value) of the metric, sorted by step.
        finals: Final values of the trials that have a result.
        sign: 1 where less is better, else -1.
        top: How many count as the best; at most all but one.

    Returns:
        None for fewer than three trials that end at one step.
    """
    ends: dict[int, list[str]] = {}
    for trial in finals:
        if curves.get(trial):
            ends.setdefault(curves[trial][-1][0], []).append(trial)
    end, trials = max(ends.items(), key=lambda pair: (len(pair[1]), pair[0]), default=(0, []))
    if len(trials) < 3:
        return None
    top = min(top, len(trials) - 1)
    values = [dict(curves[trial]) for trial in trials]
    steps = sorted(set.intersection(*(set(one) for one in values)) - {0, end})
    last = [sign * finals[trial] for trial in trials]
    best = _first(last, top)
    orders = []
    for step in steps:
        here = [sign * one[step] for one in values]
        now = _first(here, top)
        orders.append(
            EarlyOrder(
                step=step,
                correlation=rank_correlation(here, last),
                kept=len(set(now) & set(best)),
                best_is_best=now[0] == best[0],
            )
        )
    return EarlyRanks(trials=len(trials), end=end, top=top, orders=tuple(orders))


def _first(values: Sequence[float], count: int) -> list[int]:
    """Return the positions of the smallest values, smallest first."""
    return sorted(range(len(values)), key=lambda position: values[position])[:count]
