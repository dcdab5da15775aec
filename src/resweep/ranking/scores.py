"""Scores and ranks of a phase's trials.

    records + metrics.jsonl  ->  early slope and final value of each trial
                             ->  means over the seeds of each configuration
                             ->  score, rank, tie with rank 1  ->  scores.csv

With s the least-squares slope of the early metric on the step, over steps up to `early_steps`, and
f the final value of the metric (the negative of each where more is better), a configuration scores

    raw      -slope_weight * s    - final_weight * f
    zscore   -slope_weight * z(s) - final_weight * z(f),  z(x) = (x - mean) / standard deviation

over the configurations that have a result: trained to the horizon, or stopped by a monitor. The
highest score is rank 1. By default `slope_weight` is 0, so that the score is the final value, with
its sign turned where less is better. Slopes are per step, about a thousand times smaller than
losses. Trials that a rung stopped while others of their configuration continued do not count, and
trials of one run count once.
"""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping

from resweep.config.metric import sign_of
from resweep.errors import StoreError
from resweep.plurals import counted
from resweep.ranking.score_row import ScoreRow, column_of, scored
from resweep.ranking.ties import Estimate, compare, seed_error
from resweep.ranking.trial_result import TrialResult
from resweep.study.metric import PhaseScore
from resweep.trials.record import Record, Status

WORST_LAST = [
    Status.FINISHED,
    Status.STOPPED,
    Status.DIVERGED,
    Status.INFEASIBLE,
    Status.FAILED,
    Status.EMPTY,
]


def leader_by_final(rows: Iterable[ScoreRow], score: PhaseScore) -> str | None:
    """Return a line about what the early slope changed: who would be rank 1 without it.

    Args:
        rows: The ranking, best first.
        score: How it was ranked.

    Returns:
        None where the best final value is that of rank 1.
    """
    sign = sign_of(score.goal)
    finals = [(row, row.final_mean) for row in scored(rows) if row.final_mean is not None]
    if score.by_final or not finals:
        return None
    leader, best = min(finals, key=lambda pair: sign * pair[1])
    _, first = finals[0]
    if best == first:
        return None
    return (
        f"by the final {score.metric} alone, trial {leader.trial} would be rank 1 with "
        f"{best:.4f}, before {first:.4f}; the score puts it at rank {leader.rank}"
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
            f"to retry them, run `resweep forget failed --study {study}`; "
            f"to rank without them, set tolerate_failures: {len(failed)} in the study"
        )
    if not any(result.ranked for result in results):
        reasons = {f"{r.record.status}: {r.record.stop_reason}": None for r in results}
        raise StoreError(
            f"nothing to rank: of {counted(len(results), 'trial')} of study {study} none finished; "
            f"{'; '.join(list(reasons)[:3])}"
        )


def rank_trials(results: list[TrialResult], score: PhaseScore) -> list[ScoreRow]:
    """Rank trials by their configurations.

    Args:
        results: All trials of the phase.
        score: Weights and normalisation.

    Returns:
        One row per trial, best first. A configuration with a trial that has no result ranks last
        and has no score, unless a rung stopped that trial and the others have results. Rank 1 has
        no `tie`, nor has a configuration without a score.
    """
    groups: dict[str, list[TrialResult]] = {}
    for result in results:
        groups.setdefault(result.configuration, []).append(result)
    counted = {key: _counted(group) for key, group in groups.items()}
    complete = {key: group for key, group in counted.items() if all(r.ranked for r in group)}
    sign = sign_of(score.goal)
    rising = sign_of(score.early_goal)
    slopes = {
        key: _mean([None if r.early_slope is None else rising * r.early_slope for r in group])
        for key, group in complete.items()
    }
    finals = {key: statistics.fmean(_finals(counted[key])) for key in complete}
    signed = {key: sign * value for key, value in finals.items()}
    slope_part, final_part = _part(slopes, score), _part(signed, score)
    # Rounded, so that rounding errors do not decide between equal ones.
    scores = {
        key: round(-score.slope_weight * slope_part[key] - score.final_weight * final_part[key], 12)
        + 0.0  # no -0.0
        for key in complete
    }
    estimates = {key: Estimate(finals[key], _standard_error(counted[key])) for key in complete}
    ordered = sorted(complete, key=lambda key: (-scores[key], signed[key], key))
    ordered += sorted(groups.keys() - complete.keys(), key=lambda key: _worst(groups[key], sign))
    rows = []
    for rank, key in enumerate(ordered, 1):
        done = _finals(counted[key])
        estimate = estimates.get(key)
        tie = None if estimate is None or rank == 1 else compare(estimates[ordered[0]], estimate)
        for result in sorted(groups[key], key=lambda r: _best_first(r, sign)):
            rows.append(
                ScoreRow(
                    rank=rank,
                    trial=result.trial,
                    run_id=result.record.run_id,
                    status=result.record.status.value,
                    rule=result.record.rule,
                    stop_reason=result.record.stop_reason,
                    score=None if result.cut else scores.get(key),
                    final_mean=_mean(done),
                    final_std=statistics.stdev(done) if len(done) > 1 else None,
                    seeds=len(counted[key]),
                    standard_error=None if estimate is None else estimate.error,
                    tie=None if result.cut or tie is None else tie.value,
                    early_slope=result.early_slope,
                    final=result.final,
                    step=result.record.step,
                    parameters=result.record.parameters,
                    hyperparameters={
                        column_of(path): value for path, value in result.assignments.items()
                    },
                )
            )
    return rows


def code_warning(records: Iterable[Record]) -> str | None:
    """Return a warning if the records of one ranking come from different code versions."""
    digests = {record.code for record in records if record.code}
    if len(digests) < 2:
        return None
    return (
        f"this ranking mixes runs from {counted(len(digests), 'version')} of the training code "
        f"({', '.join(sorted(digests))}); to train the older ones again, run "
        "`resweep forget drifted`"
    )


def _counted(group: list[TrialResult]) -> list[TrialResult]:
    """Return the trials that count for a configuration: of those of one run, one."""
    kept = {r.record.run_id if r.ranked else r.trial: r for r in group if not r.cut}
    return list(kept.values()) or group


def _finals(group: Iterable[TrialResult]) -> list[float]:
    return [result.final for result in group if result.ranked and result.final is not None]


def _standard_error(group: list[TrialResult]) -> float | None:
    """Return the standard error of a configuration's final value; None if it is unknown."""
    return group[0].final_error if len(group) == 1 else seed_error(_finals(group))


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


def _part(values: Mapping[str, float | None], score: PhaseScore) -> dict[str, float]:
    """Return what of the score has a weight: the values, standardised if so set.

    What has no value counts as average.
    """
    known = [value for value in values.values() if value is not None]
    mean = statistics.fmean(known) if known else 0.0
    filled = {key: mean if value is None else value for key, value in values.items()}
    if score.normalize == "raw":
        return filled
    spread = statistics.pstdev(known) if len(known) > 1 else 0.0
    if not math.isfinite(spread) or spread == 0.0:
        return dict.fromkeys(values, 0.0)
    return {key: (value - mean) / spread for key, value in filled.items()}
