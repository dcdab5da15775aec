"""Trials of a phase that are one training, found before anything is trained.

    assignments that differ  ->  what determines the run  ->  trials with the same, and why

Two warmups that are both longer than the run, a batch of 8 accumulated twice and one of 16, a
setting that changes no numbers, a point that was drawn twice: all of these train once. Only trials
that the configuration names are compared: those of grids and random sweeps.
"""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from resweep.canonical import canonical_json
from resweep.config.nesting import find
from resweep.config.schema import Schema, is_in_identity
from resweep.store.identity import identity_without_data, keeps_value
from resweep.study.study import Phase, Study
from resweep.systems.registry import system_of

# What some fields come to: a run is named by the value at the second path.
BECOMES = {
    "training.warmup_steps": "training.warmup_steps",
    "training.pct_warmup": "training.warmup_steps",
}
PRODUCT = ("training.batch_size", "training.gradient_accumulation_steps")
LENGTH = ("num_epochs", "warmup_steps", "pct_warmup")
SHOWN = 3


@dataclass(frozen=True)
class EqualTrials:
    """Trials that are one run.

    Attributes:
        trials: Their names, in the order of the phase.
        why: What makes them equal, as a sentence without its end.
    """

    trials: tuple[str, ...]
    why: str


def find_equal_trials(phase: Phase) -> list[EqualTrials]:
    """Return the groups of known trials of a phase that become one run.

    About 10 microseconds a trial; 0.2 ms for one that differs from another only in what may come to
    the same.

    Whether data that is described differently is the same, is only known when it is prepared: such
    trials are counted as different.
    """
    first = phase.stages[0]
    if not phase.is_known(first):
        return []
    groups: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name in _candidates(phase, first.names):
        trial = phase.known_trial(name, first)
        try:
            known = _determined(trial.config)
        except ValidationError:  # an infeasible trial
            continue
        groups.setdefault(canonical_json(known), []).append((name, trial.assignments))
    found = []
    for group in groups.values():
        if len(group) > 1:
            config = phase.known_trial(group[0][0], first).config
            why = _why([assigned for _, assigned in group], config)
            found.append(EqualTrials(tuple(name for name, _ in group), why))
    return found


def equal_trials_lines(study: Study) -> list[str]:
    """Return a line for each phase and reason, for the user."""
    lines = []
    for phase in study.phases:
        by_reason: dict[str, list[EqualTrials]] = {}
        for group in find_equal_trials(phase):
            by_reason.setdefault(group.why, []).append(group)
        for why, groups in by_reason.items():
            trials = sum(len(group.trials) for group in groups)
            shown = ", ".join(groups[0].trials[:SHOWN])
            more = " ..." if trials > SHOWN else ""
            trainings = "one training" if len(groups) == 1 else f"{len(groups)} trainings"
            lines.append(
                f"{study.name}/{phase.name}: {trials} trials are {trainings}: {why} ({shown}{more})"
            )
    return lines


def _candidates(phase: Phase, names: Sequence[str]) -> list[str]:
    """Return the trials that share with another one all values that tell runs apart."""
    schema = system_of(phase.config).schema
    keeps = functools.cache(lambda path: keeps_value(path, schema))
    kept = {
        name: canonical_json({p: v for p, v in phase.assigned(name).items() if keeps(p)})
        for name in names
    }
    counts = Counter(kept.values())
    return [name for name in names if counts[kept[name]] > 1]


def _determined(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that the configuration says about the run; raises ValidationError."""
    system = system_of(config)
    training = config["training"]
    known = {
        "identity": identity_without_data(config),
        "data": config["data"],
        "run": {k: v for k, v in config["run"].items() if k != "name"},
    }
    if training["max_steps"] is None:
        known["length"] = {name: training[name] for name in LENGTH}
    if system.weights_named(config)[1] is not None:
        known["model"] = config["model"]
    return known


def _why(assigned: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str:
    """Return why trials are one run, by their assignments and the configuration of one."""
    schema, identity = system_of(config).schema, identity_without_data(config)
    differing = {
        path: list({canonical_json(one.get(path)): one.get(path) for one in assigned}.values())
        for path in dict.fromkeys(path for one in assigned for path in one)
    }
    differing = {path: values for path, values in differing.items() if len(values) > 1}
    if not differing:
        return "they have the same values"
    reasons = {
        path: _reason(path, values, identity, schema)
        for path, values in differing.items()
        if path not in PRODUCT
    }
    product = [path for path in PRODUCT if path in differing]
    if product:
        batch = find(identity, PRODUCT[0])
        reasons[PRODUCT[0]] = f"{' * '.join(PRODUCT)} is {batch} in all of them"
    return ", and ".join(reasons.values())


def _reason(path: str, values: list[Any], identity: Mapping[str, Any], schema: Schema) -> str:
    section, _, name = path.partition(".")
    said = ", ".join(str(value) for value in values[:SHOWN]) + (
        " ..." if len(values) > SHOWN else ""
    )
    if section in schema.sections and not is_in_identity(schema.sections[section], name, values[0]):
        return f"{path} changes no numbers of a run"
    becomes = BECOMES.get(path)
    if becomes is not None:
        return f"{path} = {said} all become {becomes} = {find(identity, becomes)}"
    return f"{path} = {said} have the same effect"
