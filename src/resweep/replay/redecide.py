"""Deciding a finished sweep again: who goes on from its rungs under other settings.

    recorded curves + a rule  ->  rows of decisions.csv, the fate of each trial

Rungs lie inside rounds as they were; what a Bayesian sweep would have proposed after other
decisions is not known. A curve ends where the sweep itself stopped the trial. Where a rule needs
more, the value is unknown, and the others are decided as far as no value there could change them.
What nobody saw has a price all the same: no training is taken to end by itself there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from resweep.replay.asynchronous import decide_on_arrival
from resweep.replay.bounds import UNKNOWN, Candidate, Fate, Fates, Places, unseen_row
from resweep.replay.curves import RecordedCurve, RecordedSweep
from resweep.replay.rung_summary import RungRows
from resweep.search.rungs import (
    PROMOTE,
    STOP,
    Rung,
    RungEntry,
    compared,
    decide,
    ended,
    promoted,
    row,
    rule_text,
    rungs,
    sort_key,
)
from resweep.sweep import EarlyTerminate

Kind = Literal["hyperband", "asynchronous", "one_cut", "none"]


@dataclass(frozen=True)
class Choice:
    """A rule to decide by.

    Attributes:
        kind: hyperband and one_cut wait for all trials of a round, asynchronous for none; none
            stops nothing.
        rule: With its settings.
        bands: Where it decides, in logged values of the metric.
        goal: minimize or maximize.
    """

    kind: Kind
    rule: EarlyTerminate
    bands: tuple[int, ...]
    goal: str


@dataclass(frozen=True)
class Redecision:
    """A sweep, decided again.

    Attributes:
        decided: Its rungs, in the order of decisions.csv.
        fates: By trial.
        unknown_from: The last known step of each trial whose curve ends before the rule was done
            with it.
    """

    decided: tuple[RungRows, ...]
    fates: dict[str, Fate]
    unknown_from: dict[str, int]


def redecide(sweep: RecordedSweep, choice: Choice) -> Redecision:
    """Decide a finished sweep again."""
    fates = Fates()
    decided = []
    if choice.kind == "asynchronous":
        found = decide_on_arrival(sweep.curves, choice.rule, choice.bands, choice.goal, fates)
        decided = [RungRows(number, tuple(rows)) for number, rows in enumerate(found, 1)]
    else:
        for number in sorted({curve.round for curve in sweep.curves}):
            batch = [curve for curve in sweep.curves if curve.round == number]
            decided += _decide_round(batch, choice, fates)
    return Redecision(tuple(decided), fates.known, fates.unknown_from)


def _decide_round(batch: Sequence[RecordedCurve], choice: Choice, fates: Fates) -> list[RungRows]:
    """Decide a round rung by rung, each once all its trials are there."""
    decided = []
    going = [Candidate(curve) for curve in batch]
    for rung in rungs(choice.rule, choice.bands, len(batch)):
        if rung.band is None:
            break
        rows = _decide_rung(choice.rule, rung, going, choice.goal)
        decided.append(RungRows(rung.number, tuple(rows)))
        found = {row["trial"]: row for row in rows}
        onward = []
        for candidate in going:
            decision = found[candidate.curve.trial]["decision"]
            step = candidate.curve.step_at(rung.band)
            if candidate.curve.rung_entry(step) is None:
                fates.lack(candidate)
            if decision == UNKNOWN:
                candidate.mark_uncertain(step)
            if decision in (PROMOTE, UNKNOWN):
                onward.append(candidate)
            else:
                fates.leave(candidate, min(step, candidate.curve.end), stopped=decision == STOP)
        going = onward
    for candidate in going:
        fates.finish(candidate)
    return decided


def _decide_rung(
    rule: EarlyTerminate, rung: Rung, going: Sequence[Candidate], goal: str
) -> list[dict[str, Any]]:
    assert rung.band is not None
    entries, unseen = [], []
    for candidate in going:
        entry = candidate.curve.rung_entry(candidate.curve.step_at(rung.band))
        if entry is None:
            unseen.append(candidate.curve)
        else:
            entries.append(entry)
    if not unseen and all(candidate.sure for candidate in going):
        return decide(rule, rung, entries, goal)
    sure = {candidate.curve.trial for candidate in going if candidate.sure}
    return _decide_in_part(rule, rung, entries, unseen, sure, goal)


def _decide_in_part(
    rule: EarlyTerminate,
    rung: Rung,
    entries: Sequence[RungEntry],
    unseen: Sequence[RecordedCurve],
    sure: set[str],
    goal: str,
) -> list[dict[str, Any]]:
    """Decide a rung of which some values, or some of its trials, are not known.

    Args:
        rule: hyperband or one_cut.
        rung: The rung.
        entries: Trials that are there, or may be, whose values are known.
        unseen: Those whose values are not.
        sure: Names of the trials that are there for sure.
        goal: minimize or maximize.
    """
    ranked = sorted(compared(entries), key=sort_key(goal))
    what = rule_text(rule, rung)
    rows = []
    for entry in sorted(entries, key=sort_key(goal)):
        end = ended(entry)
        if end is None:
            place = ranked.index(entry)
            others = [
                (position < place, other.trial in sure)
                for position, other in enumerate(ranked)
                if position != place
            ]
            places = Places(others, len(unseen), lambda count: promoted(rule, count))
            end = places.judge(entry, entry.trial in sure)
        rows.append(row(entry, end[0], what, None, len(ranked), end[1]))
    return rows + [unseen_row(curve, what, len(ranked)) for curve in unseen]
