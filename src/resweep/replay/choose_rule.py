"""Which rule to decide a sweep by: its own, with what the user changes of it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, get_args

from resweep.errors import ConfigError, Problem
from resweep.replay.curves import RecordedCurve, RecordedSweep
from resweep.replay.redecide import Choice, Kind
from resweep.search.rungs import values_of
from resweep.sweep import EarlyTerminate
from resweep.sweep.early_terminate import KEYS, read_early_terminate
from resweep.sweep.findings import Findings

KINDS = get_args(Kind)
COMMAND = "decide.py"


def choose_rule(
    sweep: RecordedSweep, options: Mapping[str, Any], goal: str | None = None
) -> Choice:
    """Return the rule to decide by.

    Args:
        sweep: What it is for; its curves are of the metric that decides.
        options: What is said of the rule: `rule` (one of KINDS), eta, min_iter, max_iter, s,
            strict, keep; None, or left out, where nothing is.
        goal: Of the metric that decides; None: the sweep's.

    Raises:
        ConfigError: Options that do not go together, or no band below the end of a training.
    """
    said = {name: value for name, value in options.items() if value is not None}
    goal = goal or sweep.goal
    default = sweep.rule.type if sweep.rule else "hyperband" if said else "none"
    kind: Kind = said.pop("rule", default)
    for name in said:
        if kind not in _kinds_with(name):
            fitting = " or ".join(_kinds_with(name))
            raise _wrong(name, said, f"goes with --rule {fitting}, not {kind}")
    if kind == "none":
        return Choice(kind, EarlyTerminate(), (), goal)
    rule = _read(kind, said, sweep.rule)
    as_it_was = rule == sweep.rule and kind == rule.type
    if as_it_was and all(curve.metric.name == sweep.metric for curve in sweep.curves):
        return Choice(kind, rule, sweep.bands, goal)
    longest = _most_values(sweep.curves)
    bands = rule.bands(longest)
    if not bands:
        key = "min_iter" if rule.max_iter is None else "max_iter"
        hint = f"has no band below the {longest} values that a training logs; lower it"
        raise _wrong(key, asdict(rule), hint)
    return Choice(kind, rule, bands, goal)


def _most_values(curves: Iterable[RecordedCurve]) -> int:
    """Return how many values the longest training logs; what could not be trained has no end."""
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


def _read(kind: Kind, said: Mapping[str, Any], own: EarlyTerminate | None) -> EarlyTerminate:
    """Put the settings of a rule together.

    Args:
        kind: Of the rule.
        said: What the user says.
        own: The sweep's; a rule of the same type keeps what nobody changes.
    """
    family = _family(kind)
    if "min_iter" in said and ("max_iter" in said or "s" in said):
        raise _wrong("min_iter", said, "goes without --max-iter and --s, which say where bands are")
    given = asdict(own) if own is not None and own.type == family else {}
    replaced = {"min_iter": ("max_iter", "s"), "max_iter": ("min_iter",)}
    dropped = {name for key in replaced if key in said for name in replaced[key]}
    given = {**{name: value for name, value in given.items() if name not in dropped}, **said}
    if "s" in said and given.get("max_iter") is None:
        raise _wrong("s", said, "goes with --max-iter")
    known = {name: given[name] for name in KEYS[family] if given.get(name) is not None}
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


def _wrong(name: str, said: Mapping[str, Any], hint: str) -> ConfigError:
    return ConfigError(Problem(COMMAND, _flag(name), said[name], hint))
