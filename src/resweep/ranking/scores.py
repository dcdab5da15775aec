"""Scores and ranks of a phase's trials.

    records + metrics.jsonl  ->  early slope and final value of each trial
                             ->  means over the seeds of each configuration
                             ->  score, rank  ->  scores.csv

With s the least-squares slope of the early metric on the step, over steps up to `early_steps`, and
f the final value of the metric (the negative of each where more is better), a configuration scores

    raw      -slope_weight * s    - final_weight * f
    zscore   -slope_weight * z(s) - final_weight * z(f),  z(x) = (x - mean) / standard deviation

over the configurations that have a result: trained to the horizon, or stopped by a monitor. Slopes
are per step, about a thousand times smaller than final values, so raw effectively ranks by the
final value. Trials that a rung stopped while others of their configuration continued do not count.
"""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from resweep.canonical import canonical_json
from resweep.config.metric import sign_of
from resweep.errors import ConfigError, Problem, StoreError
from resweep.paths import Layout, RunFolder
from resweep.plurals import counted
from resweep.store.curve import record_curve
from resweep.study.metric import PhaseScore
from resweep.trials.record import Record, Status, has_result
from resweep.trials.trial import Outcome

SEED = "training.seed"
SCORE_COLUMNS = (
    "rank", "trial", "run_id", "status", "rule", "stop_reason", "score", "final_mean", "final_std",
    "seeds", "early_slope", "final", "step", "parameters",
)  # fmt: skip
WORST_LAST = [
    Status.FINISHED,
    Status.STOPPED,
    Status.DIVERGED,
    Status.INFEASIBLE,
    Status.FAILED,
    Status.EMPTY,
]


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """The results of a trial that ranking needs."""

    trial: str
    record: Record
    assignments: dict[str, Any]
    early_slope: float | None
    final: float | None

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


def with_result(scores: pd.DataFrame) -> "pd.Series[bool]":
    """Return for each row of scores.csv whether its trial has a result."""
    found = map(has_result, scores["status"], scores["rule"])
    return pd.Series(list(found), index=scores.index, dtype=bool)


def hyperparameters(scores: pd.DataFrame) -> list[str]:
    """Return the columns of scores.csv that are paths of hyperparameters, the seed's included."""
    return [column for column in scores.columns if column not in SCORE_COLUMNS]


def best_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the best configuration, best first; none if none has a score."""
    scored = scores[scores["score"].notna()]
    return scored[scored["rank"] == scored["rank"].min()]


def early_slope(steps: list[float], values: list[float]) -> float | None:
    """Least-squares slope of values on steps, per step; None for fewer than two points."""
    if len(set(steps)) < 2:
        return None
    return statistics.linear_regression(steps, values).slope


def read_result(outcome: Outcome, score: PhaseScore, layout: Layout) -> TrialResult:
    """Return what ranking needs of a trial: its record, its assignments and its curve.

    Args:
        outcome: The trial with its record, checked by `store.outcome`.
        score: Which metrics to read.
        layout: Where the runs are.
    """
    record = outcome.record
    lines = []
    if record.run_id is not None:
        folder = RunFolder(layout.run(record.run_id))
        lines = record_curve(folder, record, outcome.trial.config["training"], restore=True)
    early = [
        (line["step"], line[score.early_metric])
        for line in lines
        if score.early_metric in line and 0 < line["step"] <= score.early_steps
    ]
    metric = score.metric
    final = record.metrics.get(metric)
    if record.status == Status.FINISHED and final is None:
        known = ", ".join(sorted(record.metrics))
        raise ConfigError(
            Problem(
                str(outcome.path), "score.metric", metric, f"was not logged; there are: {known}"
            )
        )
    return TrialResult(
        trial=outcome.path.stem,
        record=record,
        assignments=outcome.trial.assignments,
        early_slope=early_slope([step for step, _ in early], [value for _, value in early]),
        final=final,
    )


def check_rankable(results: Collection[TrialResult], tolerated: int, study: str) -> None:
    """Refuse to rank if more trials failed than the study tolerates, or none has a result.

    Raises:
        StoreError: Names the trials and the fix.
    """
    failed = [result for result in results if result.record.status == Status.FAILED]
    if len(failed) > tolerated:
        listed = "; ".join(f"{r.trial}: {r.record.stop_reason}" for r in failed[:5])
        raise StoreError(
            f"{counted(len(failed), 'trial')} failed, more than tolerate_failures = {tolerated} "
            f"({listed}); "
            f"to retry them, run `python workflow/scripts/forget.py failed --study {study}`; "
            f"to rank without them, set tolerate_failures: {len(failed)} in the study"
        )
    if not any(result.ranked for result in results):
        reasons = {f"{r.record.status}: {r.record.stop_reason}": None for r in results}
        raise StoreError(
            f"nothing to rank: of {counted(len(results), 'trial')} of study {study} none finished; "
            f"{'; '.join(list(reasons)[:3])}"
        )


def rank_trials(results: list[TrialResult], score: PhaseScore) -> pd.DataFrame:
    """Rank trials by their configurations.

    Args:
        results: All trials of the phase.
        score: Weights and normalisation.

    Returns:
        One row per trial, best first: rank (of its configuration), trial, run_id, status, rule (the
        monitor that stopped it), stop_reason, score and final_mean, final_std, seeds (of its
        configuration), early_slope and final (its own), step, parameters, then a column for each
        hyperparameter. A configuration with a trial that has no result ranks last and has no
        score, unless a rung stopped that trial and the others have results.
    """
    groups: dict[str, list[TrialResult]] = {}
    for result in results:
        groups.setdefault(result.configuration, []).append(result)
    counted = {key: [r for r in group if not r.cut] or group for key, group in groups.items()}
    complete = {key: group for key, group in counted.items() if all(r.ranked for r in group)}
    sign = sign_of(score.goal)
    rising = sign_of(score.early_goal)
    slopes = {
        key: _mean([None if r.early_slope is None else rising * r.early_slope for r in group])
        for key, group in complete.items()
    }
    finals = {key: _mean([r.final for r in group]) for key, group in complete.items()}
    signed = {key: None if value is None else sign * value for key, value in finals.items()}
    parts = (
        (slopes, signed)
        if score.normalize == "raw"
        else (_standardize(slopes), _standardize(signed))
    )
    # Rounded, so that rounding errors do not break ties.
    scores = {
        key: round(
            -score.slope_weight * (parts[0][key] or 0.0)
            - score.final_weight * (parts[1][key] or 0.0),
            12,
        )
        + 0.0  # no -0.0
        for key in complete
    }
    ordered = sorted(complete, key=lambda key: (-scores[key], signed[key], key))
    ordered += sorted(groups.keys() - complete.keys(), key=lambda key: _worst(groups[key], sign))
    rows = []
    for rank, key in enumerate(ordered, 1):
        done = [r.final for r in groups[key] if r.ranked and r.final is not None]
        for result in sorted(groups[key], key=lambda r: _best_first(r, sign)):
            rows.append(
                {
                    "rank": rank,
                    "trial": result.trial,
                    "run_id": result.record.run_id,
                    "status": result.record.status.value,
                    "rule": result.record.rule,
                    "stop_reason": result.record.stop_reason,
                    "score": None if result.cut else scores.get(key),
                    "final_mean": _mean(done),
                    "final_std": statistics.stdev(done) if len(done) > 1 else None,
                    "seeds": len(counted[key]),
                    "early_slope": result.early_slope,
                    "final": result.final,
                    "step": result.record.step,
                    "parameters": result.record.parameters,
                    **result.assignments,
                }
            )
    return pd.DataFrame(rows)


def code_warning(records: Iterable[Record]) -> str | None:
    """Return a warning if the records of one ranking come from different code versions."""
    digests = {record.code for record in records if record.code}
    if len(digests) < 2:
        return None
    return (
        f"this ranking mixes runs from {counted(len(digests), 'version')} of the training code "
        f"({', '.join(sorted(digests))}); to train the older ones again, run `forget.py drifted`"
    )


def _best_first(result: TrialResult, sign: float) -> tuple[bool, int, float, str]:
    """Sort key for the seeds of a configuration; those without a result last, by step reached."""
    reached = 0 if result.ranked else -result.record.step
    return not result.ranked, reached, _signed(result.final, sign), result.trial


def _worst(group: list[TrialResult], sign: float) -> tuple[int, int, float, str]:
    """Sort key for configurations without a result: by status, step reached and value."""
    status = max(WORST_LAST.index(result.record.status) for result in group)
    furthest = max(result.record.step for result in group)
    value = _signed(_mean(result.final for result in group), sign)
    return status, -furthest, value, min(result.trial for result in group)


def _signed(value: float | None, sign: float) -> float:
    """Flip a value so that less is better; None and non-finite values are worst."""
    return math.inf if value is None or not math.isfinite(value) else sign * value


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _standardize(values: Mapping[str, float | None]) -> dict[str, float | None]:
    known = [value for value in values.values() if value is not None]
    spread = statistics.pstdev(known) if len(known) > 1 else 0.0
    if not math.isfinite(spread) or spread == 0.0:
        return {key: None if value is None else 0.0 for key, value in values.items()}
    mean = statistics.fmean(known)
    return {key: None if v is None else (v - mean) / spread for key, v in values.items()}
