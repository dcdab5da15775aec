"""W&B's asynchronous rule: each trial is compared with those that arrived before it.

At a band the threshold is `sorted(values)[int(n / eta)]` of the n values so far, including the
trial's own; trials with a worse value stop. This is the rule of wandb/sweeps 0.3.0,
`hyperband_stop_runs`, for an agent that trains one trial after the other. With `strict: false` the
trial's best value so far is compared with the threshold, not the one at the band.

Trials arrive in the order of the first records of their runs, that is, in the order in which they
reached the sweep's first rung (or their end, without rungs); round by round, ties by name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from resweep.config.metric import sign_of
from resweep.plurals import counted
from resweep.replay.bounds import UNKNOWN, Candidate, Fates, Places, unseen_row
from resweep.replay.curves import RecordedCurve
from resweep.search.rungs import PROMOTE, STOP, RungEntry, ended, promoted, row, step_of
from resweep.sweep import EarlyTerminate


def decide_on_arrival(
    curves: Iterable[RecordedCurve],
    rule: EarlyTerminate,
    bands: Sequence[int],
    goal: str,
    fates: Fates,
) -> list[list[dict[str, Any]]]:
    """Decide on trials one after the other.

    Args:
        curves: In any order.
        rule: With eta and strict.
        bands: Where it decides, in logged values of the metric.
        goal: minimize or maximize.
        fates: Filled with the fate of each trial.

    Returns:
        For each band its rows of decisions.csv, in the order of arrival.
    """
    levels = [
        _Band(rule=rule, number=number, band=band, goal=goal)
        for number, band in enumerate(bands, 1)
    ]
    for curve in sorted(curves, key=lambda curve: (curve.round, curve.arrived, curve.trial)):
        candidate = Candidate(curve)
        for level in levels:
            step, decision = level.decide_next(candidate)
            if curve.rung_entry(step) is None:
                fates.note_unknown(candidate)
            if decision == UNKNOWN:
                candidate.mark_uncertain(step)
            elif decision != PROMOTE:
                fates.leave(candidate, min(step, curve.end), stopped=decision == STOP)
                break
        else:
            fates.finish(candidate)
    return [level.rows for level in levels]


@dataclass(kw_only=True)
class _Band:
    """A band, and the trials that have reached it so far.

    Attributes:
        values: Values at the band, with less being better, and whether the trial surely got there.
        unseen: Number of trials that got there, or may have, without a known value.
        rows: Of decisions.csv.
    """

    rule: EarlyTerminate
    number: int
    band: int
    goal: str
    values: list[tuple[float, bool]] = field(default_factory=list)
    unseen: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    def decide_next(self, candidate: Candidate) -> tuple[int, str]:
        """Decide on the next trial; returns the step, and the decision."""
        step = candidate.curve.step_at(self.band)
        entry = candidate.curve.rung_entry(step)
        if entry is None:
            self.unseen += 1
            self.rows.append(unseen_row(candidate.curve, self._what, len(self.values)))
        else:
            self.rows.append(self._decide(candidate, entry))
        return step, self.rows[-1]["decision"]

    def _decide(self, candidate: Candidate, entry: RungEntry) -> dict[str, Any]:
        end = ended(entry)
        sign = sign_of(self.goal)
        value = entry.value
        if end is not None:
            logged = step_of(self.band, candidate.curve.metric, candidate.curve.training)
            if value is not None and entry.step == logged:
                self.values.append((sign * value, candidate.sure))
            return row(entry, end[0], self._what, None, len(self.values), end[1])
        if value is None:
            reason = "no value to compare"
            return row(entry, PROMOTE, self._what, None, len(self.values), reason)
        own = shown = sign * value
        if not self.rule.strict:
            past = (v for at, v in candidate.curve.points if at <= entry.step and v is not None)
            shown = min(sign * v for v in past)
        others = [(other < shown, sure) for other, sure in self.values]
        places = Places(others, self.unseen, lambda count: promoted(self.rule, count))
        decision, reason = places.judge(entry, candidate.sure)
        self.values.append((own, candidate.sure))
        known = [other for other, _ in self.values]
        threshold = sign * self.rule.threshold(known) if places.certain else None
        if decision == STOP and threshold is not None:
            reason += f": {sign * shown:.5g} is worse than the threshold {threshold:.5g}"
        entry = replace(entry, value=sign * shown)
        return row(entry, decision, self._what, threshold, len(known), reason)

    @property
    def _what(self) -> str:
        values = counted(self.band, "value")
        how = "" if self.rule.strict else ", best so far"
        return f"asynchronous band {self.number}: {values}, eta {self.rule.eta:g}{how}"
