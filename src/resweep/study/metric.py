"""What the trials of a phase are compared by: the study's `score`, else the sweep's `metric`."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from resweep.config import compose
from resweep.config.metric import Logged, MetricGoal, sign_of
from resweep.errors import ConfigError, Problem
from resweep.study.schema import Score
from resweep.sweep import Sweep
from resweep.systems.registry import system_of
from resweep.systems.system import System
from resweep.violations import violations


class PhaseScore(Score):
    """How the trials of a phase are ranked, with all defaults filled in.

    Attributes:
        early_goal: Whether the early metric is minimized or maximized.
    """

    metric: str
    goal: MetricGoal
    early_metric: str
    early_goal: MetricGoal

    @property
    def by_final(self) -> bool:
        """Whether the final value alone ranks the trials, the best first."""
        return self.slope_weight == 0 and self.final_weight >= 0

    @property
    def rule(self) -> str:
        """What the trials are ranked by, for people; the highest score is rank 1."""
        final, slope = f"final {self.metric}", f"early slope of {self.early_metric}"
        if self.by_final:
            return final
        parts = {
            slope: -self.slope_weight * sign_of(self.early_goal),
            final: -self.final_weight * sign_of(self.goal),
        }
        terms = [
            f"{'-' if weight < 0 else '+'} {abs(weight):.6g} * "
            + (f"z({part})" if self.normalize == "zscore" else part)
            for part, weight in parts.items()
            if weight
        ]
        return f"score = {' '.join(terms).removeprefix('+ ')}"


def choose_metric(score: Score, sweep: Sweep | None, study_path: str, system: System) -> PhaseScore:
    """Return the study's score, with defaults taken from the sweep, or from the system.

    Args:
        score: The study's.
        sweep: The sweep file of the phase, if it has one.
        study_path: The study's file, for messages.
        system: What is trained.

    Raises:
        ConfigError: A metric that no training logs, or two goals for one metric.
    """
    problems = []
    wanted = None if sweep is None else sweep.metric
    name = score.metric or (wanted.name if wanted is not None else system.metric)
    goal = score.goal
    if score.metric is not None:
        problems += _check_logged(system, study_path, "metric", score.metric)
    elif sweep is not None and wanted is not None:
        problems += _check_logged(system, sweep.origin, "metric", wanted.name, _score_hint(system))
    if score.early_metric is not None:
        problems += _check_early(system, study_path, score.early_metric)
    if sweep is not None and wanted is not None and wanted.name == name:
        if goal and wanted.goal and goal != wanted.goal:
            hint = f"{sweep.origin} has goal: {wanted.goal} for {name}; use the same in both"
            problems.append(Problem(study_path, "score.goal", goal, hint))
        goal = goal or wanted.goal
    if problems:
        raise ConfigError(problems)
    return _complete({**score.model_dump(), "metric": name, "goal": goal}, system)


def warn_of_goals(score: PhaseScore, study_path: str, system: System) -> Iterator[str]:
    """Yield a line for each goal that is not the metric's own.

    Args:
        score: How a phase is ranked.
        study_path: The study's file, for messages.
        system: What is trained.
    """
    for name, goal in (score.metric, score.goal), (score.early_metric, score.early_goal):
        known = system.find_metric(name)
        if known is not None and known.goal != goal:
            better = "less" if known.goal == "minimize" else "more"
            yield (
                f"{study_path}: goal: {goal} for {name}, of which {better} is better; the worst "
                "trials rank first"
            )


def check_logged_by_all(
    score: PhaseScore,
    config: Mapping[str, Any],
    varied: Iterable[Mapping[str, Any]],
    where: str,
) -> None:
    """Check that each training of a phase logs what it is ranked by.

    Args:
        score: How the phase is ranked.
        config: Its complete configuration.
        varied: What its trials are assigned on top.
        where: The file that names the metric.

    Raises:
        ConfigError: One does not.
    """
    system = system_of(config)
    for assigned in varied:
        trained = compose.assign(dict(config), assigned)
        for name in (score.metric, score.early_metric):
            if not system.logs(name, trained):
                values = ", ".join(f"{path} {value}" for path, value in assigned.items())
                logged = (one.name for one in system.metrics if system.logs(one.name, trained))
                trial = f"the trial of {values}" if values else "trials of these settings"
                hint = f"is not logged by {trial}; logged are {', '.join(logged)}"
                raise ConfigError(Problem(where, "metric", name, hint))


def read_score(described: Mapping[str, Any]) -> PhaseScore:
    """Return how a phase of study.yaml is ranked; earlier versions wrote no defaults there.

    Args:
        described: The phase, with its `score` and `config`.
    """
    return _complete(described["score"], system_of(described["config"]))


def _complete(score: Mapping[str, Any], system: System) -> PhaseScore:
    """Fill in what is missing or None: the system's metrics, and their own goals."""
    given = {name: value for name, value in score.items() if value is not None}
    metric = given.setdefault("metric", system.metric)
    early = given.setdefault("early_metric", system.training_loss or system.metric)
    for key, name in (("goal", metric), ("early_goal", early)):
        known = system.find_metric(name)
        given.setdefault(key, known.goal if known is not None else "minimize")
    try:
        return PhaseScore.model_validate(given)
    except ValidationError as error:
        found = violations(error, given)
        raise ConfigError(Problem("score", v.key, v.value, v.hint) for v in found) from None


def warn_of_unused(score: Score, sweep: Sweep, study_path: str) -> list[str]:
    """Warn about settings of a sweep file's metric that have no effect.

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
            f"{study_path}: trials are compared by score.metric = {score.metric}, not by "
            f"metric.name = {metric.name} of {sweep.origin}"
        )
    why = None
    if sweep.method != "bayes":
        why = f"method: {sweep.method} plans all trials in advance"
    elif metric.name != score.metric:
        why = f"the study compares trials by {score.metric}"
    if metric.target is not None and why:
        lines.append(f"{sweep.origin}: metric.target = {metric.target:g} has no effect: {why}")
    return lines


def _score_hint(system: System) -> str:
    goal = next(metric.goal for metric in system.metrics if metric.name == system.metric)
    return (
        "to compare trials by another metric, write score: {metric: "
        f"{system.metric}, goal: {goal}}} in the study (resweep sweep: --metric {system.metric})"
    )


def _check_logged(
    system: System, origin: str, key: str, name: str, more: str = ""
) -> list[Problem]:
    """Refuse a metric that no training logs, before the first training starts."""
    if system.find_metric(name) is not None:
        return []
    names = [metric.name for metric in system.metrics]
    meant = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {meant[0]}?" if meant else f"there are: {', '.join(names)}"
    if more:
        hint += f" Or, {more}" if meant else f"; {more}"
    return [Problem(origin, key, name, f"is not logged; {hint}")]


def _check_early(system: System, study_path: str, name: str) -> list[Problem]:
    """Refuse a metric that has no slope: one that is not logged, or only at the end."""
    metric = system.find_metric(name)
    if metric is None or metric.logged is not Logged.END:
        return _check_logged(system, study_path, "early_metric", name)
    fitting = [metric.name for metric in system.metrics if metric.logged is not Logged.END]
    hint = f"is only logged at the end, so it has no early slope; use one of {', '.join(fitting)}"
    return [Problem(study_path, "score.early_metric", name, hint)]
