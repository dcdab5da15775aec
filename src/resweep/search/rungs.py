"""Rungs: how far a batch of trials trains before the best of them go on.

A band counts logged values of the metric after the start (step 0 shows an untrained model). All
trials of a batch train to the first band; with n values there, W&B's hyperband keeps those that are
not worse than `sorted(values)[int(n / eta)]`: `int(n / eta) + 1` of them. Here they are compared
once all are there, so that no decision depends on the order of arrival, and exactly that many go
on. The next band does the same with those; the last ones train to the end.

`one_cut`, a plain baseline: all train to one band, the best `keep` of them to the end.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resweep.config.metric import Metric, sign_of
from resweep.sweep import EarlyTerminate
from resweep.trials.record import Status

PROMOTE, STOP, DONE, LOST = "promote", "stop", "done", "lost"


@dataclass(frozen=True)
class Rung:
    """One budget level.

    Attributes:
        number: From 1.
        band: Logged values of the metric to train to; None: to the end.
        slots: How many trials there are at most.
    """

    number: int
    band: int | None
    slots: int


@dataclass(frozen=True, kw_only=True)
class RungEntry:
    """A trial at a rung, as far as the decision needs it.

    Attributes:
        trial: Its name.
        run_id: Its run, or None.
        step: Step that it reached.
        status: Of its record.
        rule: The monitor that stopped it, or None.
        value: Of the metric there; None without one.
    """

    trial: str
    run_id: str | None
    step: int
    status: Status
    rule: str | None
    value: float | None


def rungs(rule: EarlyTerminate, bands: Sequence[int], trials: int) -> tuple[Rung, ...]:
    """Lay out the rungs of a batch: known from the settings alone.

    Args:
        rule: hyperband or one_cut.
        bands: Of the rule, below the number of values that a full training logs.
        trials: In the batch.
    """
    levels, slots = [], trials
    for number, band in enumerate(bands, 1):
        levels.append(Rung(number, band, slots))
        slots = promoted(rule, slots)
    return (*levels, Rung(len(bands) + 1, None, slots))


def promoted(rule: EarlyTerminate, compared: int) -> int:
    """How many of `compared` trials go on."""
    if rule.type == "one_cut":
        return min(compared, rule.keep or 1)
    return min(compared, int(1.0 / rule.eta * compared) + 1)


def decide(
    rule: EarlyTerminate, rung: Rung, entries: Sequence[RungEntry], goal: str
) -> list[dict[str, Any]]:
    """Decide who goes on from a rung.

    Trials that are at their end, that a monitor stopped, or that have no value take no slot of the
    next rung; a diverged one is compared as the worst.

    Args:
        rule: hyperband or one_cut.
        rung: Where they stand.
        entries: All trials of the rung.
        goal: minimize or maximize.

    Returns:
        Rows of decisions.csv, in the order of the rung: best first, ties by name.
    """
    order = sort_key(goal)
    ranked = sorted(compared(entries), key=order)
    most = promoted(rule, len(ranked))
    threshold = ranked[most - 1].value if ranked and _has_value(ranked[most - 1]) else None
    through = {s.trial for s in ranked[:most] if ended(s) is None and _has_value(s)}
    what = rule_text(rule, rung)
    return [
        row(
            entry,
            _outcome(entry, through),
            what,
            threshold,
            len(ranked),
            _reason(entry, through, ranked, most, threshold),
        )
        for entry in sorted(entries, key=order)
    ]


def row(
    entry: RungEntry,
    decision: str,
    rule: str,
    threshold: float | None,
    compared: int,
    reason: str,
) -> dict[str, Any]:
    """Return a row of decisions.csv."""
    return {
        "trial": entry.trial,
        "run_id": entry.run_id,
        "step": entry.step,
        "decision": decision,
        "rule": rule,
        "value": entry.value,
        "threshold": threshold,
        "compared": compared,
        "reason": reason,
    }


def sort_key(goal: str) -> Callable[[RungEntry], tuple[float, str]]:
    """Return what trials are ordered by: the best first, those without a value last, by name."""
    sign = sign_of(goal)

    def key(entry: RungEntry) -> tuple[float, str]:
        value = entry.value
        known = value is not None and math.isfinite(value)
        return (sign * value if known and value is not None else math.inf), entry.trial

    return key


def compared(entries: Iterable[RungEntry]) -> list[RungEntry]:
    """Return the trials that count at a rung: not those that failed, or could not be trained."""
    return [entry for entry in entries if entry.status.was_trained]


def ended(entry: RungEntry) -> tuple[str, str] | None:
    """Return decision and reason for a trial that ended by itself; None if it could go on."""
    if entry.rule is not None:
        return DONE, f"was stopped by {entry.rule}"
    if entry.status == Status.FINISHED:
        return DONE, "is at its end"
    return None if entry.status == Status.STOPPED else (LOST, str(entry.status))


def _has_value(entry: RungEntry) -> bool:
    return entry.value is not None and math.isfinite(entry.value)


def rule_text(rule: EarlyTerminate, rung: Rung) -> str:
    """Return the rule at a rung, as in decisions.csv."""
    detail = f"keep {rule.keep}" if rule.type == "one_cut" else f"eta {rule.eta:g}"
    values = "1 value" if rung.band == 1 else f"{rung.band} values"
    return f"{rule.type} rung {rung.number}: {values}, {detail}"


def _outcome(entry: RungEntry, through: set[str]) -> str:
    end = ended(entry)
    if end is not None:
        return end[0]
    return PROMOTE if entry.trial in through else STOP


def _reason(
    entry: RungEntry,
    through: set[str],
    ranked: Sequence[RungEntry],
    most: int,
    threshold: float | None,
) -> str:
    end = ended(entry)
    if end is not None:
        return end[1]
    place = f"place {ranked.index(entry) + 1} of {len(ranked)}, {most} go on"
    if entry.trial in through:
        return place
    if not _has_value(entry) or threshold is None:
        return f"{place}; it has no value"
    if entry.value == threshold:
        return f"{place}: it ties with the threshold {threshold:.5g}, and names break ties"
    return f"{place}: {entry.value:.5g} is behind the threshold {threshold:.5g}"


def values_of(metric: Metric, training: Mapping[str, Any]) -> int | None:
    """How many values a full training logs after its start; None if its length is not known yet."""
    if training["max_steps"] is None:
        return None
    return -(-int(training["max_steps"]) // metric.interval(training))


def step_of(band: int | None, metric: Metric, training: Mapping[str, Any]) -> int | None:
    """Step at which a training has logged `band` values; None for the end."""
    return None if band is None else band * metric.interval(training)
