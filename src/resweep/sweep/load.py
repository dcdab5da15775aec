"""Sweep files: W&B's format, and the shorter one of `sweep_name`, `strategy` and `num_runs`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.canonical import canonical_json
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem, secret_problems
from resweep.sweep.command import Command, read_command
from resweep.sweep.definition import Sweep, SweepMetric
from resweep.sweep.early_terminate import read_early_terminate
from resweep.sweep.findings import Findings, is_number, is_whole
from resweep.sweep.parameter import Parameter
from resweep.sweep.points import MOST_POINTS, grid_size
from resweep.sweep.read_parameter import read_parameters
from resweep.sweep.yaml11 import as_number, as_whole, is_quoted_number

METHODS = ("grid", "random", "bayes")
SAMPLERS: dict[str, tuple[str, ...]] = {
    "random": ("sobol", "without_replacement"),
    "bayes": ("auto", "gp", "tpe"),
}
OTHER_METHODS = {"bayesian": "bayes", "sobol": "random with sampler: sobol"}
METRIC_KEYS = ("name", "goal", "target", "impute", "impute_while_running")
WORST = "worst"
IMPUTED = (WORST, "best", "latest")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_controller(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") in ("local", "cloud")


# Keys with a simple check, and what they should be.
PLAIN_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(
        (
            "name",
            "description",
            "program",
            "project",
            "entity",
            "job",
            "image_uri",
            "apiVersion",
            "sweep_name",
        ),
        (_is_text, "should be text"),
    ),
    "kind": (lambda value: value == "sweep", "should be sweep"),
    "controller": (_is_controller, "should be {type: local} or {type: cloud}"),
    "run_cap": (lambda value: is_whole(value, least=1), "should be a whole number above 0"),
    "num_runs": (lambda value: is_whole(value, least=1), "should be a whole number above 0"),
    "seed": (lambda value: is_whole(value, least=0), "should be a whole number, 0 or more"),
}
WHOLE_KEYS = ("run_cap", "num_runs", "seed")  # fmt: skip
OTHER_KEYS = (
    "method", "strategy", "sampler", "parameters", "metric", "metrics", "command",
    "early_terminate", "scheduler",
)  # fmt: skip


def load_sweep(path: str | Path) -> Sweep:
    """Read and check a sweep file.

    Unknown keys at the top level become warnings, since real files have them. Keys without a value
    are ignored.

    Raises:
        ConfigError: All errors of the file, each with its key or parameter.
    """
    content = {key: value for key, value in read_content(Path(path)).items() if value is not None}
    content |= {key: as_whole(content[key]) for key in WHOLE_KEYS if key in content}
    findings = Findings(str(path), secret_problems(str(path), content))
    _check_top(content, findings)
    method = _read_method(content, findings)
    sampler = _read_sampler(content, method, findings)
    parameters = _read_parameters(content, findings)
    run_cap = _read_run_cap(content, method)
    if method == "grid" or sampler == "without_replacement":
        _check_grid(parameters, run_cap, findings)
    elif run_cap is not None and run_cap > MOST_POINTS:
        findings.wrong("run_cap", run_cap, f"should be at most {MOST_POINTS:,}")
    metric = _read_metric(content["metric"], findings) if "metric" in content else None
    command = _read_command(content["command"], findings) if "command" in content else None
    early = None
    if "early_terminate" in content:
        early = read_early_terminate(content["early_terminate"], findings)
    if findings.problems:
        raise ConfigError(findings.problems)
    return Sweep(
        origin=findings.origin,
        method=method,
        parameters=tuple(parameters),
        metric=metric,
        run_cap=run_cap,
        seed=content.get("seed", 0),
        sampler=sampler,
        early_terminate=early,
        name=content.get("name", content.get("sweep_name")),
        program=content.get("program"),
        command=command,
        project=content.get("project"),
        entity=content.get("entity"),
        warnings=tuple(findings.warnings),
    )


def read_content(path: Path) -> dict[str, Any]:
    """Read a sweep file as plain values, whose keys are text, as they are in W&B's JSON.

    Raises:
        ConfigError: The file is missing, is not YAML, or is not a mapping.
    """
    content = yaml12.load(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        hint = "should be a mapping: method: ..., parameters: ..., each on a line of its own"
        raise ConfigError(Problem(str(path), "", None, hint))
    try:
        return dict(_with_text_keys(content))
    except ValueError as error:
        raise ConfigError(Problem(str(path), "", None, str(error))) from None


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_text_keys(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, inner in value.items():
        name = key if isinstance(key, str) else json.dumps(key, default=str)
        if name in found:
            raise ValueError(f"the key {name} appears twice, with and without quotes; remove one")
        found[name] = _with_text_keys(inner)
    return found


def _check_top(content: dict[str, Any], findings: Findings) -> None:
    known = (*PLAIN_KEYS, *OTHER_KEYS)
    for key in sorted(content.keys() - set(known)):
        if key == "count":
            findings.warn(
                f"'count' is an option of wandb agent, not a key; ignored: write run_cap: "
                f"{content[key]} instead"
            )
            continue
        meant = nearest(key, known)
        findings.warn(
            f"{key!r} is not a key of the sweep format; ignored"
            + (f": did you mean {meant}?" if meant else "")
        )
    for key in content:
        if key in ("parameters", "metric", "early_terminate"):  # checked value by value
            continue
        try:
            canonical_json(content[key])
        except ValueError as error:
            findings.wrong(key, None, f"{error}; use plain YAML with finite numbers")
    if "num_runs" in content and "strategy" not in content:
        findings.warn(
            f"'num_runs' goes with strategy, the short format; ignored: write run_cap: "
            f"{content['num_runs']} instead"
        )
    for key, (fits, hint) in PLAIN_KEYS.items():
        if key in content and not fits(content[key]):
            quoted = key in WHOLE_KEYS and is_quoted_number(content[key])
            findings.wrong(key, content[key], hint + ("; remove its quotes" if quoted else ""))
    if "metrics" in content:
        findings.wrong("metrics", None, "only W&B's hosted schedulers optimize several; use metric")
    scheduler = content.get("scheduler")
    if scheduler is not None and scheduler != {"engine": "wandb"}:
        findings.wrong("scheduler", scheduler, "only runs at W&B; remove it and choose a method")
    elif scheduler is not None:
        for key in content.keys() & {"early_terminate", "controller"}:
            if content[key] != {"type": "cloud"}:
                findings.wrong(key, None, "cannot be combined with scheduler; remove one")


def _read_method(content: dict[str, Any], findings: Findings) -> str:
    if "strategy" in content:
        if "method" in content:
            findings.wrong("strategy", content["strategy"], "means the same as method; remove one")
        strategy = content["strategy"]
        if strategy not in METHODS[:2]:
            findings.wrong("strategy", strategy, "should be grid or random")
        if strategy == "random" and "num_runs" not in content:
            findings.wrong("num_runs", None, "is missing: the number of combinations to try")
        return str(strategy)
    method = content.get("method")
    if method is None:
        like = [key for key in content if nearest(key, ("method",))]
        hint = f"is {like[0]} a misspelling?" if like else f"should be one of {', '.join(METHODS)}"
        findings.wrong("method", None, f"is missing; {hint}")
    elif method == "custom":
        hint = "is run by a scheduler at W&B; here it should be one of "
        findings.wrong("method", method, hint + ", ".join(METHODS))
    elif method not in METHODS:
        meant = OTHER_METHODS.get(str(method).lower()) or nearest(str(method), METHODS)
        asked = f"; did you mean {meant}?" if meant else ""
        findings.wrong("method", method, f"should be one of {', '.join(METHODS)}{asked}")
    return str(method)


def _read_parameters(content: dict[str, Any], findings: Findings) -> list[Parameter]:
    if "parameters" in content:
        return read_parameters(content["parameters"], findings)
    like = [key for key in content if key not in PLAIN_KEYS and nearest(key, ("parameters",))]
    hint = f"is {like[0]} a misspelling?" if like else "map names to {value: ...}, {values: [...]}"
    findings.wrong("parameters", None, f"is missing; {hint}")
    return []


def _read_run_cap(content: dict[str, Any], method: str) -> int | None:
    """Return the limit on trials: the minimum of `run_cap` and, in short files, `num_runs`."""
    keys = ["run_cap"]
    if "strategy" in content and method == "random":
        keys.append("num_runs")
    limits = [content[key] for key in keys if is_whole(content.get(key), least=1)]
    return min(limits, default=None)


def _read_sampler(content: dict[str, Any], method: str, findings: Findings) -> str | None:
    sampler = content.get("sampler")
    if sampler is None:
        return "without_replacement" if content.get("strategy") == "random" else None
    if method not in SAMPLERS:
        findings.wrong("sampler", sampler, f"cannot be used with method: {method}; remove it")
    elif sampler not in SAMPLERS[method]:
        known = ", ".join(SAMPLERS[method])
        findings.wrong("sampler", sampler, f"should be one of {known} for method: {method}")
    return None if sampler == "auto" else str(sampler)


def _check_grid(parameters: list[Parameter], run_cap: int | None, findings: Findings) -> None:
    before = len(findings.problems)
    for parameter in parameters:
        try:
            count = parameter.grid_count()
        except ValueError as error:
            findings.wrong(f"parameters.{parameter.name}", None, str(error))
            continue
        if parameter.values and count < len(parameter.values):
            findings.warn(
                f"parameters.{parameter.name} has {len(parameter.values)} values, of which only "
                f"{count} {'is' if count == 1 else 'are'} distinct; the grid has each once"
            )
    if len(findings.problems) > before:
        return
    size = grid_size(parameters)
    if min(size, run_cap or size) > MOST_POINTS:
        hint = f"have {size:,} combinations; set run_cap to at most {MOST_POINTS:,}"
        findings.wrong("parameters", None, f"{hint}, or use method: random")


def _read_metric(given: Any, findings: Findings) -> SweepMetric:
    if not isinstance(given, dict):
        findings.wrong("metric", given, "should be {name: ..., goal: minimize}")
        return SweepMetric("")
    findings.unknown_keys("metric", given, METRIC_KEYS)
    name, goal = given.get("name"), given.get("goal")
    target, impute = as_number(given.get("target")), given.get("impute", WORST)
    if not isinstance(name, str) or not name:
        findings.wrong("metric.name", name, "should name a logged metric")
    if goal not in (None, "minimize", "maximize"):
        findings.wrong("metric.goal", goal, "should be minimize or maximize")
    if "target" in given and not is_number(target):
        findings.wrong("metric.target", target, "should be a number")
    if impute not in IMPUTED:
        findings.wrong("metric.impute", impute, f"should be one of {', '.join(IMPUTED)}")
    running = given.get("impute_while_running", "false")
    if running is not False and running not in (*IMPUTED, "false"):
        hint = f"should be one of {', '.join(IMPUTED)}, false"
        findings.wrong("metric.impute_while_running", running, hint)
    if (impute in IMPUTED and impute != WORST) or running in IMPUTED:
        findings.warn(
            "metric.impute has no effect: a search counts a diverged training as the worst value "
            "so far, ignores failed ones, and waits for running ones"
        )
    return SweepMetric(str(name), goal, target)


def _read_command(given: Any, findings: Findings) -> Command | None:
    """Read the words of a command; numbers, booleans and null become Python's text, as at W&B."""
    if not isinstance(given, list) or not given:
        hint = "should be a list of words: [python, train.py, '${args}']"
        findings.wrong("command", None if isinstance(given, dict) else given, hint)
        return None
    before = len(findings.problems)
    for position, word in enumerate(given):
        if isinstance(word, dict):
            findings.wrong(f"command.{position}", None, "is a mapping; put the word in quotes")
        elif isinstance(word, list):
            hint = "is a list; make each of its words an entry of command"
            findings.wrong(f"command.{position}", None, hint)
    if len(findings.problems) > before:
        return None
    return read_command([str(word) for word in given], findings)
