"""Replaying the decisions of a finished sweep under other settings.

    recorded curves + a rule  ->  rows of decisions.csv, the fate of each trial

Rounds stay as they were; what a Bayesian sweep would have proposed after other decisions is
unknown. A curve ends where the sweep itself stopped the trial. If a rule needs more of it, the
value is unknown, and other trials are decided only if no value there could change the decision.
Costs assume that unknown parts would have trained to the horizon.
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
    """A rule to replay.

    Attributes:
        kind: hyperband and one_cut wait for all trials of a round, asynchronous does not wait;
            none stops nothing.
        rule: Its settings.
        bands: Where it decides, in logged values of the metric.
        goal: minimize or maximize.
    """

    kind: Kind
    rule: EarlyTerminate
    bands: tuple[int, ...]
    goal: str


@dataclass(frozen=True)
class Redecision:
    """The replayed decisions of a sweep.

    Attributes:
        decided: Its rungs, in the order of decisions.csv.
        fates: By trial.
        unknown_from: The last known step of each trial whose curve is too short for the rule.
    """

    decided: tuple[RungRows, ...]
    fates: dict[str, Fate]
    unknown_from: dict[str, int]


def redecide(sweep: RecordedSweep, choice: Choice) -> Redecision:
    """Replay the decisions of a finished sweep under a rule."""
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
    """Decide a round rung by rung."""
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
                fates.note_unknown(candidate)
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
    """Decide a rung with unknown values, or with trials that only possibly got there.

    Args:
        rule: hyperband or one_cut.
        rung: The rung.
        entries: Trials at the rung, or possibly there, with known values.
        unseen: Those with unknown values.
        sure: Names of the trials that surely got there.
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
