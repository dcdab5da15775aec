"""The rule to replay a sweep with: its own, with the user's changes."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, get_args

from resweep.errors import ConfigError, Problem
from resweep.plurals import counted
from resweep.replay.curves import RecordedCurve, RecordedSweep
from resweep.replay.redecide import Choice, Kind
from resweep.search.rungs import values_of
from resweep.sweep import EarlyTerminate
from resweep.sweep.early_terminate import KEYS, read_early_terminate
from resweep.sweep.findings import Findings

KINDS = get_args(Kind)
COMMAND = "resweep decide"


def choose_rule(
    sweep: RecordedSweep, options: Mapping[str, Any], goal: str | None = None
) -> Choice:
    """Return the rule to replay.

    Args:
        sweep: The sweep; its curves are of the deciding metric.
        options: Of the rule: `rule` (one of KINDS), eta, min_iter, max_iter, s, strict, keep; None
            or left out if not given.
        goal: Of the deciding metric; None: the sweep's, or of another metric its own.

    Raises:
        ConfigError: Options do not go together, or no band lies before the end of a training.
    """
    given = {name: value for name, value in options.items() if value is not None}
    of_another = [c.metric for c in sweep.curves if c.metric.name != sweep.metric]
    goal = goal or (of_another[0].goal if of_another else sweep.goal)
    default = sweep.rule.type if sweep.rule else "hyperband" if given else "none"
    kind: Kind = given.pop("rule", default)
    for name in given:
        if kind not in _kinds_with(name):
            fitting = " or ".join(_kinds_with(name))
            raise _wrong(name, given, f"needs --rule {fitting}, not {kind}")
    if kind == "none":
        return Choice(kind, EarlyTerminate(), (), goal)
    rule = _read(kind, given, sweep.rule)
    unchanged = rule == sweep.rule and kind == rule.type
    if unchanged and not of_another:
        return Choice(kind, rule, sweep.bands, goal)
    longest = _most_values(sweep.curves)
    bands = rule.bands(longest)
    if not bands:
        key = "min_iter" if rule.max_iter is None else "max_iter"
        hint = f"leaves no band: trainings log only {counted(longest, 'value')}; lower it"
        raise _wrong(key, asdict(rule), hint)
    return Choice(kind, rule, bands, goal)


def _most_values(curves: Iterable[RecordedCurve]) -> int:
    """Return how many values the longest training logs."""
    trained = [curve for curve in curves if curve.run_id is not None]
    found = (values_of(c.metric, {**c.training, "max_steps": c.horizon}) or 0 for c in trained)
    return max(found, default=0)


def _kinds_with(name: str) -> list[Kind]:
    """Return the kinds of rules that have a setting."""
    if name == "strict":
        return ["asynchronous"]
    kinds: list[Kind] = ["hyperband", "asynchronous", "one_cut"]
    return [kind for kind in kinds if name in KEYS[_family(kind)]]


def _family(kind: Kind) -> str:
    """Return the type in a sweep file that has the settings of a kind."""
    return "hyperband" if kind == "asynchronous" else kind


def _read(kind: Kind, given: Mapping[str, Any], own: EarlyTerminate | None) -> EarlyTerminate:
    """Read the settings of a rule.

    Args:
        kind: Of the rule.
        given: The user's options.
        own: The sweep's rule; one of the same type keeps its other settings.
    """
    family = _family(kind)
    if "min_iter" in given and ("max_iter" in given or "s" in given):
        raise _wrong(
            "min_iter", given, "cannot be combined with --max-iter and --s; give one or the other"
        )
    merged = asdict(own) if own is not None and own.type == family else {}
    replaced = {"min_iter": ("max_iter", "s"), "max_iter": ("min_iter",)}
    dropped = {name for key in replaced if key in given for name in replaced[key]}
    merged = {**{name: value for name, value in merged.items() if name not in dropped}, **given}
    if "s" in given and merged.get("max_iter") is None:
        raise _wrong("s", given, "needs --max-iter")
    known = {name: merged[name] for name in KEYS[family] if merged.get(name) is not None}
    findings = Findings(COMMAND)
    rule = read_early_terminate({**known, "type": family}, findings)
    if rule is None:
        raise ConfigError(
            replace(problem, key=_flag(problem.key.removeprefix("early_terminate").lstrip(".")))
            for problem in findings.problems
        )
    return rule


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}" if name else "--rule"


def _wrong(name: str, given: Mapping[str, Any], hint: str) -> ConfigError:
    return ConfigError(Problem(COMMAND, _flag(name), given[name], hint))
