"""A sweep, analysed by hand: from W&B's exports, or from the store.

    runs: curve, hyperparameters  ->  early slope, final, best  ->  scores, ranks, best configs

The composite scores are those of `resweep.ranking.scores`: of raw slopes and final values, and of
both standardised over the runs. Slopes of a loss per step are about a thousand times smaller than
losses, so that the raw one follows the final value; the standardised one gives both their weights.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from resweep import yaml12
from resweep.config import compose
from resweep.config.metric import MetricGoal, sign_of
from resweep.config.schema import Schema
from resweep.config.synonyms import fields_meant
from resweep.errors import ConfigError, Problem
from resweep.plurals import counted, span_text
from resweep.ranking.exported_runs import ExportedRun
from resweep.ranking.scores import rank_trials
from resweep.ranking.selection import short_name
from resweep.ranking.ties import curve_error
from resweep.ranking.trial_result import SEED, TrialResult, early_slope
from resweep.study.metric import PhaseScore
from resweep.trials.record import Record, Status

RankBy = Literal["final", "raw", "zscore"]
FRACTION, STEPS = "training.pct_warmup", "training.warmup_steps"


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """How runs are ranked.

    Attributes:
        metric: Its name.
        goal: Which direction is better.
        early_steps: The early slope is over x up to this.
        slope_weight, final_weight: Of the composite scores.
        rank_by: What ranks: the final value, or one of the composite scores.
    """

    metric: str
    goal: MetricGoal = "minimize"
    early_steps: float = 2000
    slope_weight: float = 1.0
    final_weight: float = 1.0
    rank_by: RankBy = "final"

    def score(self, by: RankBy) -> PhaseScore:
        """Return the rule of one of the three rankings."""
        return PhaseScore(
            metric=self.metric,
            goal=self.goal,
            early_metric=self.metric,
            early_goal=self.goal,
            slope_weight=0.0 if by == "final" else self.slope_weight,
            final_weight=1.0 if by == "final" else self.final_weight,
            normalize="zscore" if by == "zscore" else "raw",
        )


@dataclass(frozen=True, kw_only=True)
class AnalysedRun:
    """A run of an analysis.

    Attributes:
        rank: Of its configuration, from 1.
        name: Its name.
        early_slope: Per x; None with fewer than two early values.
        final, best: The last value, and the best one.
        raw, zscore: The composite scores of its configuration; the highest is best.
        final_mean, seeds, tie: Of its configuration, as in scores.csv.
        settings: Path -> value.
    """

    rank: int
    name: str
    early_slope: float | None
    final: float
    best: float
    raw: float | None
    zscore: float | None
    final_mean: float | None
    seeds: int | None
    tie: str | None
    settings: Mapping[str, Any]


def analyse(runs: Sequence[ExportedRun], how: Analysis) -> list[AnalysedRun]:
    """Rank runs, best first; those without a value are left out.

    Args:
        runs: With settings by path.
        how: By what.
    """
    by_name = {run.name: run for run in runs if run.points}
    results = [_result(run, how) for run in by_name.values()]
    best = min if how.goal == "minimize" else max
    rankings = {by: rank_trials(results, how.score(by)) for by in ("final", "raw", "zscore")}
    scores = {by: {row.trial: row.score for row in rows} for by, rows in rankings.items()}
    return [
        AnalysedRun(
            rank=row.rank,
            name=row.trial,
            early_slope=row.early_slope,
            final=row.final,
            best=best(value for _, value in by_name[row.trial].points),
            raw=scores["raw"][row.trial],
            zscore=scores["zscore"][row.trial],
            final_mean=row.final_mean,
            seeds=row.seeds,
            tie=row.tie,
            settings=by_name[row.trial].settings,
        )
        for row in rankings[how.rank_by]
        if row.final is not None
    ]


def _result(run: ExportedRun, how: Analysis) -> TrialResult:
    xs, values = zip(*run.points, strict=True)
    early = [(x, value) for x, value in run.points if x <= how.early_steps]
    record = Record(
        run_id=run.name,
        status=Status.FINISHED,
        stop_reason=None,
        step=math.floor(xs[-1]),
        metrics={how.metric: values[-1]},
    )
    return TrialResult(
        trial=run.name,
        record=record,
        assignments=dict(run.settings) or {"name": run.name},
        early_slope=early_slope([x for x, _ in early], [value for _, value in early]),
        final=values[-1],
        final_error=curve_error(xs, values),
    )


def leaders(rows: Sequence[AnalysedRun], how: Analysis) -> list[str]:
    """Return a line for each other ranking that has another rank 1."""
    sign = sign_of(how.goal)
    keys = {
        "final": lambda row: -sign * (row.final_mean if row.final_mean is not None else row.final),
        "raw": lambda row: -math.inf if row.raw is None else row.raw,
        "zscore": lambda row: -math.inf if row.zscore is None else row.zscore,
    }
    names = {"final": "the final value", "raw": "the raw score", "zscore": "the standardised score"}
    lines = []
    for by, key in keys.items():
        first = max(rows, key=key)
        if by != how.rank_by and first.rank != 1:
            lines.append(f"by {names[by]}, {first.name} would be rank 1; it has rank {first.rank}")
    return lines


def with_fields(
    runs: Sequence[ExportedRun], schema: Schema, own: Collection[str] = ()
) -> tuple[list[ExportedRun], list[str]]:
    """Give settings the paths of the fields that they mean.

    Args:
        runs: With settings by the names that another program gave them.
        schema: The known fields.
        own: Names of the user's own hyperparameters.

    Returns:
        The runs, and a line for each name that was replaced.

    Raises:
        ConfigError: A name means several fields, and its values do not say which.
    """
    names = dict.fromkeys(name for run in runs for name in run.settings)
    paths, lines = {}, []
    for name in names:
        paths[name] = _path(name, [run.settings.get(name) for run in runs], schema, own)
        leaf = name.rpartition(".")[2]
        if paths[name] not in (name, f"{paths[name].rpartition('.')[0]}.{leaf}"):
            lines.append(f"{name} is read as {paths[name]}")
    return [
        replace(run, settings={paths[name]: value for name, value in run.settings.items()})
        for run in runs
    ], lines


def _path(name: str, values: Sequence[Any], schema: Schema, own: Collection[str]) -> str:
    try:
        path = compose.resolve_name(name, {}, schema, own)
    except ValueError as error:
        raise ConfigError(Problem("--rename", name, None, str(error))) from None
    if schema.is_known(path) or name in own:
        return path
    meant = fields_meant(name, schema)
    if set(meant) == {FRACTION, STEPS}:
        known = [value for value in values if value is not None]
        return FRACTION if all(0 <= value <= 1 for value in known) else STEPS
    if len(meant) > 1:
        hint = f"could mean {' or '.join(meant)}; write --rename {name}={meant[0]}"
        raise ConfigError(Problem("--rename", name, None, hint))
    return meant[0] if meant else path


def configs_text(rows: Sequence[AnalysedRun], top: int, how: Analysis, schema: Schema) -> str:
    """Return the text of a best-configs file: the first configurations, without seeds.

    Raises:
        ConfigError: The runs have no hyperparameters.
    """
    first = {row.rank: row for row in reversed(rows)}
    chosen = [first[rank] for rank in sorted(first)][:top]
    if not any(set(row.settings) - {SEED} for row in chosen):
        hint = (
            "the runs have no hyperparameters: give the table of runs too, as a second file of "
            "--wandb-csv, or name the columns by --hyperparameters"
        )
        raise ConfigError(Problem("--output-yaml", "", None, hint))
    rule = {"final": f"final {how.metric}", "raw": "raw score", "zscore": "standardised score"}
    lines = [f"# The first {counted(len(chosen), 'configuration')} by {rule[how.rank_by]}."]
    for row in chosen:
        named = {short_name(p, schema): v for p, v in row.settings.items() if p != SEED}
        value = row.final if row.final_mean is None else row.final_mean
        lines.append(f"# rank {row.rank}: {row.name}, final {value:.6g}")
        lines.append(yaml12.dump([named]).rstrip())
    return "\n".join(lines) + "\n"


def spread_text(rows: Sequence[AnalysedRun]) -> str:
    """Return one line about the final values."""
    finals = [row.final for row in rows]
    middle = statistics.median(finals)
    return f"{counted(len(rows), 'run')}: final {span_text(finals)}, median {middle:.4g}"
