"""The outcome of a replay: its cost, and whether the winner would have survived."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from resweep.config.metric import sign_of
from resweep.replay.curves import RecordedCurve, RecordedSweep
from resweep.replay.rank_correlation import RankCorrelation, correlate
from resweep.replay.redecide import Choice, Redecision


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A replay compared with the sweep.

    Attributes:
        least, most: Bounds on the steps that it would have trained.
        full: Steps of all trials trained to the end.
        trained: Steps that the phase trained.
        order: Trials with a known final value, the best first.
        winner_stopped: Whether the best of them would have been stopped; None if unknown.
        survivor: The best of them that would surely have finished, or None.
        regret: How much worse its final value is than the winner's.
        open: Number of trials that would, or might, have finished, with unknown final values.
    """

    least: int
    most: int
    full: int
    trained: int
    order: tuple[RecordedCurve, ...]
    winner_stopped: bool | None
    survivor: RecordedCurve | None
    regret: float | None
    open: int

    @property
    def winner(self) -> RecordedCurve | None:
        """The trial with the best known final value."""
        return self.order[0] if self.order else None

    @property
    def rank(self) -> int | None:
        """Rank of the survivor by final value, from 1."""
        return None if self.survivor is None else self.order.index(self.survivor) + 1


def judge(sweep: RecordedSweep, redecision: Redecision) -> Verdict:
    """Compare a replay with the sweep."""
    fates = redecision.fates
    order = final_order(sweep)
    survivor = next((curve for curve in order if fates[curve.trial].stopped is False), None)
    regret = None
    if survivor is not None and survivor.final is not None and order[0].final is not None:
        regret = abs(survivor.final - order[0].final)
    unknown = [curve for curve in sweep.curves if curve.status is None]
    return Verdict(
        least=_steps(sweep.curves, lambda curve: fates[curve.trial].least),
        most=_steps(sweep.curves, lambda curve: fates[curve.trial].most),
        full=_steps(sweep.curves, lambda curve: curve.end),
        trained=_steps(sweep.curves, lambda curve: curve.trained),
        order=order,
        winner_stopped=fates[order[0].trial].stopped if order else None,
        survivor=survivor,
        regret=regret,
        open=len([curve for curve in unknown if not fates[curve.trial].stopped]),
    )


def final_order(sweep: RecordedSweep) -> tuple[RecordedCurve, ...]:
    """Return the trials with a known final value, the best first, ties by name."""
    known = [(curve.final, curve) for curve in sweep.curves if curve.final is not None]
    sign = sign_of(sweep.goal)
    return tuple(curve for _, curve in sorted(known, key=lambda p: (sign * p[0], p[1].trial)))


def correlations(sweep: RecordedSweep, choice: Choice) -> dict[int, RankCorrelation]:
    """Return for each band, from 1, the rank correlation of its values with the final values.

    Over all trials whose curves reach the end, whether the rule would have stopped them or not.
    """
    sign = 1.0 if choice.goal == sweep.goal else -1.0
    found = {}
    for number, band in enumerate(choice.bands, 1):
        pairs = []
        for curve in sweep.curves:
            value = curve.value_at(curve.step_at(band))
            before_end = curve.step_at(band) < curve.end
            if curve.final is not None and value is not None and before_end:
                pairs.append((sign * value, curve.final))
        found[number] = correlate(pairs)
    return found


def _steps(curves: Iterable[RecordedCurve], steps: Callable[[RecordedCurve], int]) -> int:
    """Sum steps over runs; trials of one configuration share a run."""
    furthest: dict[str, int] = {}
    for curve in curves:
        if curve.run_id is not None:
            furthest[curve.run_id] = max(furthest.get(curve.run_id, 0), steps(curve))
    return sum(furthest.values())
