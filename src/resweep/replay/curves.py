"""The recorded learning curves of a finished sweep, for replaying its decisions.

    study.yaml, scores.csv, trials, records, metrics.jsonl of the runs  ->  RecordedSweep

A curve is known as far as the store has it: further than the trial went if another phase continued
the same run.
"""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resweep.cells import dict_reader, from_cell
from resweep.config.metric import Metric
from resweep.errors import ConfigError, DamagedFile, Problem, StoreError
from resweep.paths import Layout
from resweep.search.rungs import RungEntry, step_of
from resweep.search.stages import round_of
from resweep.store.curve import record_curve
from resweep.store.outcome import OutcomeReader
from resweep.store.run import Run
from resweep.study.described import read_described
from resweep.study.metric import read_score
from resweep.sweep import EarlyTerminate
from resweep.systems.registry import metric_of
from resweep.trials.decisions import MADE_AGAIN
from resweep.trials.record import Status
from resweep.trials.trial import Outcome


@dataclass(frozen=True, kw_only=True)
class RecordedCurve:
    """The curve of a trial, as far as it is known.

    Attributes:
        trial: Its name.
        round: In which it was proposed, from 1.
        run_id: Its run, or None.
        training: The training section of its configuration.
        metric: The metric of `points`, as the system declares it.
        points: (step, value), sorted by step, after the start; None if not a finite number.
        known: Last known step.
        status: How it ended there; None if a rung stopped it, so that the curve is cut off.
        rule: The monitor that stopped it there, or None.
        horizon: Steps of its full training.
        final: Final value of the phase's metric; None if there is none, or it is unknown.
        trained: Steps that the phase trained it.
        arrived: When the run's first record was written, in seconds since 1970.
    """

    trial: str
    round: int
    run_id: str | None
    training: Mapping[str, Any]
    metric: Metric
    points: tuple[tuple[int, float | None], ...]
    known: int
    status: Status | None
    rule: str | None
    horizon: int
    final: float | None
    trained: int
    arrived: float

    @property
    def end(self) -> int:
        """Its last step if no rung stops it; the horizon if that is unknown."""
        return self.horizon if self.status is None else self.known

    @property
    def logged_before_end(self) -> bool:
        """Whether it has a value before its end to compare."""
        return any(step < self.end and value is not None for step, value in self.points)

    def step_at(self, band: int) -> int:
        """Step at which it has logged `band` values of the metric, at most its horizon."""
        step = step_of(band, self.metric, self.training)
        return self.horizon if step is None else min(step, self.horizon)

    def value_at(self, step: int) -> float | None:
        """Last value up to a step; None if not a finite number."""
        return next((value for at, value in reversed(self.points) if at <= step), None)

    def rung_entry(self, step: int) -> RungEntry | None:
        """Its entry at a rung at this step; None if unknown."""
        if self.status is not None and self.known <= step:
            value = self.value_at(self.known)
            return self._entry(self.known, self.status, self.rule, value)
        if step > self.known:
            return None
        return self._entry(step, Status.STOPPED, None, self.value_at(step))

    def _entry(self, step: int, status: Status, rule: str | None, value: float | None) -> RungEntry:
        return RungEntry(
            trial=self.trial,
            run_id=self.run_id,
            step=step,
            status=status,
            rule=rule,
            value=value,
        )


@dataclass(frozen=True, kw_only=True)
class RecordedSweep:
    """A finished sweep.

    Attributes:
        study, phase: Its place.
        metric, goal: What ranks its trials.
        rule: Its early_terminate, or None.
        bands: Of that rule.
        rounds: Whether it was proposed in rounds.
        curves: Of all its filled trials, sorted by name.
    """

    study: str
    phase: str
    metric: str
    goal: str
    rule: EarlyTerminate | None
    bands: tuple[int, ...]
    rounds: bool
    curves: tuple[RecordedCurve, ...]


def read_sweep(study: str, phase: str, layout: Layout, metric: str | None = None) -> RecordedSweep:
    """Read a finished sweep.

    Args:
        study, phase: Its place.
        layout: Of the results folder.
        metric: Whose curves to read; None: the ranking metric.

    Raises:
        StoreError: The phase has not been ranked, or a run is gone from the store.
        ConfigError: There is no such phase, or no run logged the metric before its end.
    """
    part = _described(study, phase, layout)
    score = read_score(part)
    where = str(layout.phase(study, phase).path)
    wanted = metric_of(part["config"], metric or score.metric, where)
    names = _ranked_trials(study, phase, layout)
    reader = OutcomeReader(layout)
    outcomes = [reader.read(layout.record(study, phase, name)) for name in names]
    adaptive = part.get("rounds") is not None
    curves = tuple(
        _read_curve(
            outcome,
            _run_of(outcome, layout),
            round_of(outcome.trial.trial) if adaptive else 1,
            wanted,
            score.metric,
        )
        for outcome in outcomes
        if outcome.record.status != Status.EMPTY
    )
    if metric is not None and not any(curve.logged_before_end for curve in curves):
        hint = "was not logged before the end of any run; choose a metric that was"
        raise ConfigError(Problem(where, "metric", metric, hint))
    rule = part.get("early_terminate")
    return RecordedSweep(
        study=study,
        phase=phase,
        metric=score.metric,
        goal=score.goal,
        rule=EarlyTerminate(**rule) if rule else None,
        bands=tuple(band for band, _ in part.get("rungs") or () if band is not None),
        rounds=adaptive,
        curves=curves,
    )


def _described(study: str, phase: str, layout: Layout) -> dict[str, Any]:
    """Return the entry of a phase in study.yaml."""
    file = layout.study(study).described
    if not file.exists():
        hint = f"no such file; build the study first: `snakemake --config study={study}`"
        raise ConfigError(Problem(str(file), "", None, hint))
    phases = {part["name"]: part for part in read_described(file)["phases"]}
    if phase not in phases:
        hint = f"no such phase; there are: {', '.join(phases)}"
        raise ConfigError(Problem(str(file), "phase", phase, hint))
    return dict(phases[phase])


def _ranked_trials(study: str, phase: str, layout: Layout) -> list[str]:
    """Return the trials' names from scores.csv; there may be records of trials removed since."""
    file = layout.phase(study, phase).scores
    if not file.exists():
        raise StoreError(
            f"{file}: the phase has not been ranked yet; finish it with "
            f"`snakemake --config study={study}`"
        )
    try:
        text = file.read_bytes().decode()
        if not text.endswith("\n"):
            raise ValueError("was cut off")
        names = sorted(from_cell(row["trial"]) for row in dict_reader(io.StringIO(text, "")))
        if not all(names) or not names:
            raise ValueError("has no trials, or one without a name")
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise DamagedFile(file, f"is not a ranking ({error})", MADE_AGAIN) from None
    return names


def _run_of(outcome: Outcome, layout: Layout) -> Run | None:
    run_id = outcome.record.run_id
    if run_id is None:
        return None
    run = Run(layout.run(run_id))
    if outcome.record.step > 0 and not (run.folder.metrics).exists():
        raise StoreError(
            f"{run.path}: the curve of trial {outcome.trial.trial} is gone from the store; "
            f"train it again with `snakemake --config study={outcome.trial.study}`"
        )
    return run


def _read_curve(
    outcome: Outcome, run: Run | None, round: int, metric: Metric, ranked_by: str
) -> RecordedCurve:
    record, training = outcome.record, outcome.trial.config["training"]
    ends = [record]
    arrived = outcome.path.stat().st_mtime
    if run is not None:
        files = run.records()
        arrived = min([path.stat().st_mtime for path in files.values()], default=arrived)
        if record.stopped_at_rung:
            later = [
                stem for stem in files if stem.isdigit() or stem.endswith(f"-{Status.DIVERGED}")
            ]
            ends += [run.read_record(files[stem]) for stem in later]
    last = max(ends, key=lambda end: (end.step, end.status == Status.DIVERGED))
    status = None if last.stopped_at_rung else last.status
    points, name = {}, metric.name
    if run is not None:
        lines = record_curve(run.folder, last, training)
        points = {line["step"]: line[name] for line in lines if name in line}
    # A record holds the value that a decision saw, and whether there is a final one.
    points |= {end.step: end.metrics[name] for end in ends if name in end.metrics}
    if status is not None:
        points[last.step] = last.metrics.get(name)
    return RecordedCurve(
        trial=outcome.trial.trial,
        round=round,
        run_id=record.run_id,
        training=training,
        metric=metric,
        points=tuple((step, _finite(points[step])) for step in sorted(points) if step > 0),
        known=last.step,
        status=status,
        rule=last.rule,
        horizon=last.max_steps or training["max_steps"] or 0,
        final=last.value(ranked_by) if last.has_result else None,
        trained=record.step,
        arrived=arrived,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
