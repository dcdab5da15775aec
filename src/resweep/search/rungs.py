"""Rungs: how far a batch of trials trains before the best of them are promoted.

A band is a number of logged values of the metric after the start (step 0 is an untrained model).
All trials of a batch train to the first band. With n values there, W&B's hyperband keeps those not
worse than `sorted(values)[int(n / eta)]`: `int(n / eta) + 1` of them. Here they are compared once
all have arrived, so no decision depends on the order of arrival, and exactly that many are
promoted. The same happens at the next band; the last survivors train to the end.

`one_cut` is a simple baseline: all train to one band, the best `keep` of them to the end.
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
        slots: Maximum number of trials.
    """

    number: int
    band: int | None
    slots: int


@dataclass(frozen=True, kw_only=True)
class RungEntry:
    """A trial at a rung.

    Attributes:
        trial: Its name.
        run_id: Its run, or None.
        step: Step that it reached.
        status: Of its record.
        rule: The monitor that stopped it, or None.
        value: Of the metric at that step, or None.
    """

    trial: str
    run_id: str | None
    step: int
    status: Status
    rule: str | None
    value: float | None


def rungs(rule: EarlyTerminate, bands: Sequence[int], trials: int) -> tuple[Rung, ...]:
    """Return the rungs of a batch; they follow from the settings alone.

    Args:
        rule: hyperband or one_cut.
        bands: Of the rule, below the number of values that a full training logs.
        trials: Number of trials in the batch.
    """
    levels, slots = [], trials
    for number, band in enumerate(bands, 1):
        levels.append(Rung(number, band, slots))
        slots = promoted(rule, slots)
    return (*levels, Rung(len(bands) + 1, None, slots))


def promoted(rule: EarlyTerminate, compared: int) -> int:
    """How many of `compared` trials are promoted."""
    if rule.type == "one_cut":
        return min(compared, rule.keep or 1)
    return min(compared, int(1.0 / rule.eta * compared) + 1)


def decide(
    rule: EarlyTerminate, rung: Rung, entries: Sequence[RungEntry], goal: str
) -> list[dict[str, Any]]:
    """Decide which trials are promoted from a rung.

    Trials that have finished, that a monitor stopped, or that have no value take no slot of the
    next rung; diverged ones are compared as the worst.

    Args:
        rule: hyperband or one_cut.
        rung: The rung.
        entries: All its trials.
        goal: minimize or maximize.

    Returns:
        Rows of decisions.csv: best first, ties by name.
    """
    order = sort_key(goal)
    ranked = sorted(compared(entries), key=order)
    most = promoted(rule, len(ranked))
    threshold = ranked[most - 1].value if ranked and _has_value(ranked[most - 1]) else None
    chosen = {s.trial for s in ranked[:most] if ended(s) is None and _has_value(s)}
    what = rule_text(rule, rung)
    return [
        row(
            entry,
            _outcome(entry, chosen),
            what,
            threshold,
            len(ranked),
            _reason(entry, chosen, ranked, most, threshold),
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
    """Return the sort key of trials: best first, those without a value last, ties by name."""
    sign = sign_of(goal)

    def key(entry: RungEntry) -> tuple[float, str]:
        value = entry.value
        known = value is not None and math.isfinite(value)
        return (sign * value if known and value is not None else math.inf), entry.trial

    return key


def compared(entries: Iterable[RungEntry]) -> list[RungEntry]:
    """Return the trials that are compared at a rung: all but failed and infeasible ones."""
    return [entry for entry in entries if entry.status.was_trained]


def ended(entry: RungEntry) -> tuple[str, str] | None:
    """Return decision and reason of a trial that has ended; None if it could be promoted."""
    if entry.rule is not None:
        return DONE, f"stopped by {entry.rule}"
    if entry.status == Status.FINISHED:
        return DONE, "finished"
    return None if entry.status == Status.STOPPED else (LOST, str(entry.status))


def _has_value(entry: RungEntry) -> bool:
    return entry.value is not None and math.isfinite(entry.value)


def rule_text(rule: EarlyTerminate, rung: Rung) -> str:
    """Return the text of the rule at a rung, as in decisions.csv."""
    detail = f"keep {rule.keep}" if rule.type == "one_cut" else f"eta {rule.eta:g}"
    values = "1 value" if rung.band == 1 else f"{rung.band} values"
    return f"{rule.type} rung {rung.number}: {values}, {detail}"


def _outcome(entry: RungEntry, chosen: set[str]) -> str:
    end = ended(entry)
    if end is not None:
        return end[0]
    return PROMOTE if entry.trial in chosen else STOP


def _reason(
    entry: RungEntry,
    chosen: set[str],
    ranked: Sequence[RungEntry],
    most: int,
    threshold: float | None,
) -> str:
    end = ended(entry)
    if end is not None:
        return end[1]
    rank = f"rank {ranked.index(entry) + 1} of {len(ranked)}, {most} promoted"
    if entry.trial in chosen:
        return rank
    if not _has_value(entry) or threshold is None:
        return f"{rank}: no value"
    if entry.value == threshold:
        return f"{rank}: ties with the threshold {threshold:.5g}; ties are broken by name"
    return f"{rank}: {entry.value:.5g} is worse than the threshold {threshold:.5g}"


def values_of(metric: Metric, training: Mapping[str, Any]) -> int | None:
    """Number of values that a full training logs after its start; None if its length is unknown."""
    if training["max_steps"] is None:
        return None
    return -(-int(training["max_steps"]) // metric.interval(training))


def step_of(band: int | None, metric: Metric, training: Mapping[str, Any]) -> int | None:
    """Step at which a training has logged `band` values; None for the end."""
    return None if band is None else band * metric.interval(training)
