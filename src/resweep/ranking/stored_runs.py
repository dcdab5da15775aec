"""The trials of a phase, from the store, as an analysis by hand reads runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resweep.config.metric import Metric, MetricGoal
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout, RunFolder
from resweep.ranking.exported_runs import ExportedRun
from resweep.store.curve import record_curve
from resweep.store.outcome import OutcomeReader
from resweep.study.described import read_described
from resweep.study.metric import read_score
from resweep.systems.registry import metric_of, system_of
from resweep.trials.trial import Outcome


@dataclass(frozen=True, kw_only=True)
class StoredRuns:
    """The trials of a phase.

    Attributes:
        system: Name of what was trained.
        metric, goal: What they are compared by.
        runs: Their settings are by path; one without a result has no points.
    """

    system: str
    metric: str
    goal: MetricGoal
    runs: tuple[ExportedRun, ...]


def read_phase(
    layout: Layout, study: str, phase: str | None = None, metric: str | None = None
) -> StoredRuns:
    """Read the trials of a phase that have records.

    Args:
        layout: Of the results folder.
        study, phase: Its place; None: the study's first phase.
        metric: Whose curves to read; None: that the phase is ranked by.

    Raises:
        ConfigError: There is no such study or phase, or it logs no such metric.
        DamagedFile, StoreError: A file of the store is not what it should be.
    """
    part = _described(layout, study, phase)
    config, score = part["config"], read_score(part)
    folder = layout.phase(study, part["name"])
    wanted = metric_of(config, metric or score.metric, str(folder.path))
    reader = OutcomeReader(layout)
    outcomes = reader.read_all(sorted(folder.records.glob("*.json")))
    goal = score.goal if wanted.name == score.metric else wanted.goal
    return StoredRuns(
        system=system_of(config).name,
        metric=wanted.name,
        goal=goal,
        runs=tuple(_run(outcome, wanted, layout) for outcome in outcomes),
    )


def _described(layout: Layout, study: str, phase: str | None) -> Mapping[str, Any]:
    file = layout.study(study).described
    if not file.exists():
        hint = f"no such file; build the study first: `snakemake --config study={study}`"
        raise ConfigError(Problem(str(file), "", None, hint))
    parts = {part["name"]: part for part in read_described(file)["phases"]}
    name = phase or next(iter(parts))
    if name not in parts:
        hint = f"no such phase; there are: {', '.join(parts)}"
        raise ConfigError(Problem(str(file), "--phase", phase, hint))
    return dict(parts[name])


def _run(outcome: Outcome, metric: Metric, layout: Layout) -> ExportedRun:
    record, points = outcome.record, []
    if record.has_result and record.run_id is not None:
        folder = RunFolder(layout.run(record.run_id))
        lines = record_curve(folder, record, outcome.trial.config["training"], restore=True)
        points = [
            (line["step"], line[metric.name])
            for line in lines
            if line["step"] > 0 and metric.name in line
        ]
        if not points and metric.name in record.metrics:  # only logged at the end
            points = [(record.step, record.metrics[metric.name])]
    return ExportedRun(
        name=outcome.path.stem, points=tuple(points), settings=outcome.trial.assignments
    )
