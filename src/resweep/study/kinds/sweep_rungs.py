"""The rungs of a sweep: early_terminate as bands of its metric, and warnings about them."""

import math
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Literal

from resweep.config import compose
from resweep.config.metric import Logged, Metric
from resweep.errors import ConfigError, Problem
from resweep.search.rungs import step_of, values_of
from resweep.study.kinds.sweep_phase import Rungs
from resweep.study.phase_file import Surroundings
from resweep.sweep import EarlyTerminate, Parameter, Sweep
from resweep.sweep.early_terminate import read_early_terminate
from resweep.sweep.findings import Findings
from resweep.training.schedule import resolve_warmup

EARLY = 0.2  # of a training: the order of curves before it says little about the end
ADVISED = 0.25


def read_rule(
    instead: dict[str, Any] | Literal["off"] | None, sweep: Sweep, around: Surroundings
) -> EarlyTerminate | None:
    """Return how trials are stopped early, or None.

    Args:
        instead: early_terminate of the phase, which replaces the sweep file's.
        sweep: The sweep file.
        around: What the phase is loaded in.

    Raises:
        ConfigError: The phase's has errors.
    """
    if instead is None or instead == "off":
        return sweep.early_terminate if instead is None else None
    findings = Findings(around.study_path)
    rule = read_early_terminate(instead, findings)
    if findings.problems:
        raise ConfigError(
            replace(problem, key=f"{around.where}.{problem.key}") for problem in findings.problems
        )
    return rule


def load_rungs(
    rule: EarlyTerminate | None,
    sweep: Sweep,
    swept: Collection[Parameter],
    config: dict[str, Any],
    metric: Metric,
    around: Surroundings,
) -> tuple[Rungs | None, list[str]]:
    """Turn a rule into bands before the end of the longest training, with warnings.

    Args:
        rule: As `read_rule` returns it.
        sweep: The sweep file.
        swept: What it sweeps, by full paths.
        config: The complete configuration without what is swept.
        metric: What trials are compared by.
        around: What the phase is loaded in.

    Raises:
        ConfigError: The metric has no values before the end, or the training's length is unknown.
    """
    if rule is None:
        return None, []
    origin = sweep.origin if rule is sweep.early_terminate else around.study_path
    if metric.logged is Logged.END:
        others = around.system.metrics_logged(Logged.EVALUATION)
        hint = f"is only logged at the end; rungs need one of every evaluation, like {others[0]}"
        where = around.study_path if around.score.metric is not None else sweep.origin
        raise ConfigError(Problem(where, "metric", metric.name, hint))
    trainings = _extremes(config["training"], swept)
    lengths = [values_of(metric, training) for training in trainings]
    known = [length for length in lengths if length is not None]
    if len(known) < len(lengths) and rule.max_iter is None and rule.type == "hyperband":
        hint = "needs training.max_steps instead of num_epochs; or use max_iter and s instead"
        raise ConfigError(Problem(origin, "early_terminate.min_iter", rule.min_iter, hint))
    longest = max(known) if len(known) == len(lengths) else sys.maxsize
    bands = rule.bands(longest)
    if not bands:
        return None, [
            f"{origin}: early_terminate stops nothing: its first rung would come at or after the "
            f"last of the {longest} values of {metric.name} that a training logs"
        ]
    warnings = _warn_of_early_rungs(rule, bands[0], trainings, metric, origin)
    if not rule.strict:
        text = "early_terminate.strict = false has no effect: rungs compare values at the band"
        warnings.append(f"{origin}: {text}")
    return Rungs(rule, bands), warnings


def _extremes(training: dict[str, Any], swept: Collection[Parameter]) -> list[dict[str, Any]]:
    """Return the training section with each extreme of what is swept in it, one at a time."""
    sections = [training]
    for parameter in swept:
        section, _, _ = parameter.name.partition(".")
        if section == "training":
            for value in parameter.extremes:
                assigned = compose.assign({"training": training}, {parameter.name: value})
                sections.append(assigned["training"])
    return sections


def _warn_of_early_rungs(
    rule: EarlyTerminate,
    band: int,
    trainings: Sequence[dict[str, Any]],
    metric: Metric,
    origin: str,
) -> list[str]:
    """Warn if at the first rung the order of the curves says little (docs/sweeps.md)."""
    warnings: dict[str, None] = {}
    for training in trainings:
        length = training["max_steps"]
        if length is None:
            continue
        step = step_of(band, metric, training) or 0
        warmup = resolve_warmup(training["warmup_steps"], training["pct_warmup"], length)
        every = metric.interval(training)
        advised = max(warmup // every + 1, math.ceil(ADVISED * length / every))
        instead = " instead of max_iter and s" if rule.max_iter is not None else ""
        hint = f"set min_iter: {advised}{instead} in early_terminate, or evaluate less often"
        if advised * every >= length:
            hint = "shorten the warmup, or evaluate more often"
        at = f"{origin}: the first rung is at step {step} of {length}"
        if step <= warmup:
            warnings.setdefault(
                f"{at}, within the warmup of {warmup} steps, where trials that warm up faster "
                f"lead; {hint}"
            )
        elif step < EARLY * length:
            warnings.setdefault(f"{at}, where learning curves still cross; {hint}")
    return list(warnings)[:1]
