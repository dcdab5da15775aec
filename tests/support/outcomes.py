"""Outcomes of trials without trainings: what a rung or a round is told."""

from pathlib import Path
from typing import Any

from resweep.files import link_relative
from resweep.paths import Layout
from resweep.trials.record import Record, Status, read_record, write_own_record, write_record
from resweep.trials.trial import Outcome, Trial, write_trial

METRIC = "val/loss"


def outcome(
    trial: str,
    value: float | None = None,
    status: str = "finished",
    stop: int | None = None,
    point: dict[str, Any] | None = None,
    **record: Any,
) -> Outcome:
    """A trial of study s, phase p; without a value it has no metrics.

    Args:
        trial: Its name.
        value: Of the metric.
        status: Of the record.
        stop: Step that it asked for; None: the end, 40.
        point: What distinguishes it.
        record: More of the record: step, rule, stop_reason.
    """
    point = {"a": 1} if point is None else point
    training = {"max_steps": 40, "eval_steps": 10, "log_steps": 5}
    asked = Trial("s", "p", trial, config={"training": training}, assignments=point, stop=stop)
    content: dict[str, Any] = {
        "run_id": f"run{trial}",
        "status": Status(status),
        "stop_reason": None,
        "step": stop or 40,
        "metrics": {} if value is None else {METRIC: value, "lr": 0.1},
    }
    return Outcome(asked, Record(**content | record), Path(f"{trial}.json"))


def empty(trial: str, reason: str = "nothing to do") -> Outcome:
    """A slot that nothing fills."""
    record = Record(run_id=None, status=Status.EMPTY, stop_reason=reason, step=0, metrics={})
    return Outcome(Trial("s", "p", trial, empty=reason), record, Path(f"{trial}.json"))


def write_outcome(made: Outcome, place: str, layout: Layout) -> Outcome:
    """Write what a training writes: trial file, record in the store, link to it."""
    path = layout.record("s", "p", place)
    write_trial(layout.trial("s", "p", place), made.trial)
    record = made.record
    if record.run_id is None:
        write_own_record(path, record.status, str(record.stop_reason))
    else:
        name = f"{record.step}{f'-{record.rule}' if record.rule else ''}.json"
        stored = layout.run(record.run_id) / "records" / name
        write_record(stored, record)
        link_relative(path, stored)
    return Outcome(made.trial, read_record(path), path)
