"""What the trials of a sweep are compared by: the study's `score`, or else the sweep's `metric`."""

import difflib

from resweep.errors import ConfigError, Problem
from resweep.study.schema import Score
from resweep.sweep import Sweep

METRIC_NAMES = (
    "train/loss", "val/loss", "val/perplexity", "test/loss", "lr", "grad_norm", "tokens",
)  # fmt: skip
WAY_OUT = (
    "to compare trials by another, write score: {metric: val/loss, goal: minimize} in the study "
    "(run_sweep.py --metric val/loss)"
)


def choose_metric(score: Score, sweep: Sweep, study_path: str) -> Score:
    """Return the study's score with the sweep's metric and goal, where it names no other.

    Raises:
        ConfigError: A metric that no training logs, or two goals for one metric.
    """
    problems = []
    if score.metric is not None:
        problems += _check_logged(study_path, "metric", score.metric)
    elif sweep.metric is not None:
        problems += _check_logged(sweep.origin, "metric", sweep.metric.name, WAY_OUT)
    problems += _check_logged(study_path, "early_metric", score.early_metric)
    if sweep.metric is not None and score.metric in (None, sweep.metric.name):
        name, goal = sweep.metric.name, sweep.metric.goal
        if score.goal not in (None, goal):
            mend = f"{sweep.origin} has {goal} for {name}; write the same in both"
            problems.append(Problem(study_path, "score.goal", score.goal, mend))
        score = score.model_copy(update={"metric": name, "goal": goal})
    if problems:
        raise ConfigError(problems)
    return score


def warn_of_unused(score: Score, sweep: Sweep, study_path: str) -> list[str]:
    """Say what of a sweep file's metric counts for nothing.

    Args:
        score: As `choose_metric` returns it.
        sweep: The sweep file.
        study_path: The study's file, for messages.
    """
    metric = sweep.metric
    if metric is None:
        return []
    lines = []
    if metric.name != score.metric:
        lines.append(
            f"{study_path}: score.metric = {score.metric} decides, not metric.name = {metric.name} "
            f"of {sweep.origin}"
        )
    why = None
    if sweep.method != "bayes":
        why = f"method: {sweep.method} plans all trials at once"
    elif metric.name != score.metric:
        why = f"the study compares trials by {score.metric}"
    if metric.target is not None and why:
        lines.append(f"{sweep.origin}: metric.target = {metric.target:g} stops nothing: {why}")
    return lines


def _check_logged(origin: str, key: str, name: str, way_out: str = "") -> list[Problem]:
    """Refuse a metric that no training logs, before the first one runs."""
    if name in METRIC_NAMES:
        return []
    meant = difflib.get_close_matches(name, METRIC_NAMES, n=1)
    hint = f"did you mean {meant[0]}?" if meant else f"there are: {', '.join(METRIC_NAMES)}"
    more = f"; {way_out}" if way_out else ""
    return [Problem(origin, key, name, f"is not logged; {hint}{more}")]
