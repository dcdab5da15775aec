"""Which rule to decide a sweep by: its own, with what the user changes of it."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, cast, get_args

from resweep.errors import ConfigError, Problem
from resweep.search.curves import RecordedSweep
from resweep.search.redecide import Choice, Kind
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
    if not said and sweep.rule is not None:
        return Choice(_kind(sweep.rule.type), sweep.rule, sweep.bands, goal)
    default = sweep.rule.type if sweep.rule else "hyperband" if said else "none"
    kind = _kind(said.pop("rule", default))
    if kind == "none":
        if said:
            raise _wrong(next(iter(said)), said, "is nothing for --rule none")
        return Choice(kind, EarlyTerminate(), (), goal)
    rule = _read(kind, said, sweep.rule)
    # Of trainings that began: what could not be trained has no end.
    trained = [curve for curve in sweep.curves if curve.run_id is not None]
    lengths = [
        values_of(curve.metric, {**curve.training, "max_steps": curve.horizon}) or 0
        for curve in trained
    ]
    bands = rule.bands(max(lengths, default=0))
    if not bands:
        key = "min_iter" if rule.max_iter is None else "max_iter"
        mend = f"has no band below the {max(lengths, default=0)} values that a training logs"
        raise _wrong(key, asdict(rule), mend)
    return Choice(kind, rule, bands, goal)


def _kind(name: str) -> Kind:
    assert name in KINDS, name
    return cast(Kind, name)


def _read(kind: Kind, said: Mapping[str, Any], own: EarlyTerminate | None) -> EarlyTerminate:
    """Put the settings of a rule together.

    Args:
        kind: Of the rule.
        said: What the user says.
        own: The sweep's; a rule of the same type keeps what nobody changes.
    """
    family = "one_cut" if kind == "one_cut" else "hyperband"
    for name in said:
        if name not in KEYS[family]:
            raise _wrong(name, said, f"is nothing for --rule {kind}")
    if "strict" in said and kind != "asynchronous":
        raise _wrong("strict", said, "is for --rule asynchronous: rungs compare values at the band")
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


def _wrong(name: str, said: Mapping[str, Any], mend: str) -> ConfigError:
    return ConfigError(Problem(COMMAND, _flag(name), said[name], mend))
