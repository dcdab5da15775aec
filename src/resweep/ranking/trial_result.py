"""The results of one trial, as ranking needs them.

record + metrics.jsonl  ->  early slope, final value, its standard error by its own curve
"""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resweep.canonical import canonical_json
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout, RunFolder
from resweep.ranking.ties import curve_error
from resweep.store.curve import record_curve
from resweep.study.metric import PhaseScore
from resweep.systems.registry import system_of
from resweep.training.metrics import Line
from resweep.trials.record import Record, Status
from resweep.trials.trial import Outcome

SEED = "training.seed"


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """The results of a trial that ranking needs.

    Attributes:
        trial: Its name.
        record: How it ended.
        assignments: What it was assigned: path -> value; what nothing reads comes last.
        early_slope: Of the early metric, per step; None for fewer than two values.
        final: The last value of the metric; None if there is none.
        final_error: Its standard error, by its own curve alone; None if that is too short.
    """

    trial: str
    record: Record
    assignments: dict[str, Any]
    early_slope: float | None
    final: float | None
    final_error: float | None = None

    @property
    def configuration(self) -> str:
        """Key of its configuration, without the seed; each empty slot has its own."""
        if self.record.status == Status.EMPTY:
            return f"empty {self.trial}"
        return canonical_json({k: v for k, v in self.assignments.items() if k != SEED})

    @property
    def ranked(self) -> bool:
        """Whether it can be ranked by its values."""
        known = self.final is not None and math.isfinite(self.final)
        return self.record.has_result and known

    @property
    def cut(self) -> bool:
        """Whether a rung stopped it."""
        return self.record.stopped_at_rung


def early_slope(steps: list[float], values: list[float]) -> float | None:
    """Least-squares slope of values on steps, per step; None for fewer than two points."""
    if len(set(steps)) < 2:
        return None
    return statistics.linear_regression(steps, values).slope


def read_result(outcome: Outcome, score: PhaseScore, layout: Layout) -> TrialResult:
    """Return what ranking needs of a trial: its record, its assignments and its curve.

    A damaged curve is written again from a copy, unless the layout is for reading only.

    Args:
        outcome: The trial with its record, checked by `store.outcome`.
        score: Which metrics to read.
        layout: Where the runs are.
    """
    record = outcome.record
    lines = []
    if record.run_id is not None:
        folder = RunFolder(layout.run(record.run_id))
        training, restore = outcome.trial.config["training"], not layout.read_only
        lines = record_curve(folder, record, training, restore=restore)
    early_steps, early = _values(lines, score.early_metric, score.early_steps)
    metric = score.metric
    final = record.metrics.get(metric)
    if record.status == Status.FINISHED and final is None:
        known = ", ".join(sorted(record.metrics))
        raise ConfigError(
            Problem(
                str(outcome.path), "score.metric", metric, f"was not logged; there are: {known}"
            )
        )
    assigned = outcome.trial.assignments
    if assigned:
        schema = system_of(outcome.trial.config).schema
        assigned = {path: assigned[path] for path in schema.known_first(assigned)}
    return TrialResult(
        trial=outcome.path.stem,
        record=record,
        assignments=assigned,
        early_slope=early_slope(early_steps, early),
        final=final,
        final_error=curve_error(*_values(lines, metric)),
    )


def _values(
    lines: Iterable[Line], metric: str, up_to: float = math.inf
) -> tuple[list[float], list[float]]:
    """Return the steps after the start that have a value of a metric, and these values."""
    found = [
        (line["step"], line[metric])
        for line in lines
        if metric in line and 0 < line["step"] <= up_to
    ]
    return [step for step, _ in found], [value for _, value in found]
