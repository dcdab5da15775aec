"""What another rule would have come to: its cost, and whether it would have kept the winner."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from resweep.replay.curves import RecordedCurve, RecordedSweep
from resweep.replay.rank_correlation import RankCorrelation, correlate
from resweep.replay.redecide import Choice, Redecision


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A re-decision beside the sweep as it was.

    Attributes:
        least, most: Steps that it would have trained: different where curves end before.
        full: Steps of all trials trained to their ends.
        trained: Steps that the phase trained.
        order: Trials whose final value is known, the best first.
        winner_stopped: Whether the best of them would have been stopped; None: not known.
        survivor: The best of them that would surely have got to its end, or None.
        regret: How much worse it ends than the winner, in the metric.
        open: Trials that would have got to their ends, or might have, whose final value is not
            known.
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
        """The trial with the best final value, of those that have one."""
        return self.order[0] if self.order else None

    @property
    def place(self) -> int | None:
        """Place of the survivor in the order, from 1."""
        return None if self.survivor is None else self.order.index(self.survivor) + 1


def judge(sweep: RecordedSweep, redecision: Redecision) -> Verdict:
    """Set a re-decision beside the sweep as it was."""
    fates = redecision.fates
    order = final_order(sweep)
    survivor = next((curve for curve in order if fates[curve.trial].stopped is False), None)
    regret = None
    if survivor is not None and survivor.final is not None and order[0].final is not None:
        regret = abs(survivor.final - order[0].final)
    return Verdict(
        least=_steps(sweep.curves, lambda curve: fates[curve.trial].least),
        most=_steps(sweep.curves, lambda curve: fates[curve.trial].most),
        full=_steps(sweep.curves, lambda curve: curve.end),
        trained=_steps(sweep.curves, lambda curve: curve.trained),
        order=order,
        winner_stopped=fates[order[0].trial].stopped if order else None,
        survivor=survivor,
        regret=regret,
        open=sum(curve.status is None and not fates[curve.trial].stopped for curve in sweep.curves),
    )


def final_order(sweep: RecordedSweep) -> tuple[RecordedCurve, ...]:
    """Return the trials whose final value is known, the best first, ties by name."""
    known = [(curve.final, curve) for curve in sweep.curves if curve.final is not None]
    sign = -1.0 if sweep.goal == "maximize" else 1.0
    return tuple(curve for _, curve in sorted(known, key=lambda p: (sign * p[0], p[1].trial)))


def correlations(sweep: RecordedSweep, choice: Choice) -> dict[int, RankCorrelation]:
    """Return for each band, from 1, the rank correlation of values there with the final ones.

    Over all trials whose curves get to the end, whether the rule would have kept them or not.
    """
    sign = 1.0 if choice.goal == sweep.goal else -1.0
    found = {}
    for number, band in enumerate(choice.bands, 1):
        pairs = []
        for curve in sweep.curves:
            value = curve.value_at(curve.step_at(band))
            on_the_way = curve.step_at(band) < curve.end
            if curve.final is not None and value is not None and on_the_way:
                pairs.append((sign * value, curve.final))
        found[number] = correlate(pairs)
    return found


def _steps(curves: Iterable[RecordedCurve], steps: Callable[[RecordedCurve], int]) -> int:
    """Sum steps over runs: trials of one configuration share one."""
    furthest: dict[str, int] = {}
    for curve in curves:
        if curve.run_id is not None:
            furthest[curve.run_id] = max(furthest.get(curve.run_id, 0), steps(curve))
    return sum(furthest.values())
