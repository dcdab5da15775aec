"""Trials of a sweep: its points, with full paths and the types of the fields, and their names.

the names of the file  ->  paths of fields, or of the user's own hyperparameters
points of the file     ->  assignments (path -> value) by trial
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from resweep.canonical import canonical_json, digest
from resweep.config import compose, nesting
from resweep.config.compose import ALTERNATIVES
from resweep.config.schema import Schema
from resweep.errors import ConfigError, Problem
from resweep.study.fit_fields import hint_for
from resweep.study.sweep_names import find_paths, refusal
from resweep.sweep import Parameter, Sweep


def resolve_parameters(
    sweep: Sweep,
    config: Mapping[str, Any],
    fixed: Collection[str],
    schema: Schema,
    own: Collection[str] = (),
) -> tuple[dict[str, Parameter], dict[str, Any]]:
    """Give the parameters of a sweep their full paths, and check their values.

    Args:
        sweep: The search space.
        config: The configuration that its names are resolved in.
        fixed: Paths that are set above the sweep: they override its constants, also those that set
            the same in another way, and must not be swept.
        schema: The known fields.
        own: Names of the user's own hyperparameters.

    Returns:
        The swept parameters by their names in the file, each renamed to its path; and what is
        constant in all trials (path -> value).

    Raises:
        ConfigError: All errors of the sweep's names and values, but for what nothing reads.
    """
    paths, problems = find_paths(sweep, config, schema, own)
    replaced = {ALTERNATIVES[path]: path for path in fixed if path in ALTERNATIVES}
    for parameter in sweep.parameters:
        path = paths.get(parameter.name)
        if path is None:
            continue
        problems += _check_values(sweep, parameter, path, schema)
        if path in (*fixed, *replaced) and parameter.swept:
            instead = f", by {replaced[path]}" if path not in fixed else ""
            hint = f"is both swept and set{instead}; remove one of the two"
            problems.append(Problem(sweep.origin, path, None, hint))
    problems += _check_inside(sweep, paths, schema)
    taken = {*fixed, *replaced, ""}
    free = {paths[p.name]: p for p in sweep.parameters if paths.get(p.name, "") not in taken}
    try:
        compose.assign(dict(config), {path: p.extremes[0] for path, p in free.items()})
    except nesting.PathError as error:
        problems.append(Problem(sweep.origin, free[error.path].name, None, error.hint))
    if problems:
        raise ConfigError(problems)
    swept = {
        parameter.name: replace(parameter, name=paths[parameter.name])
        for parameter in sweep.parameters
        if parameter.swept
    }
    constants = {
        paths[parameter.name]: compose.coerce(paths[parameter.name], parameter.values[0], schema)
        for parameter in sweep.parameters
        if not parameter.swept and paths[parameter.name] not in taken
    }
    constants |= _room(constants, (parameter.name for parameter in swept.values()), config)
    return swept, constants


def _check_inside(sweep: Sweep, paths: Mapping[str, str], schema: Schema) -> list[Problem]:
    """Refuse a field that gets a value, and another inside it."""
    return [
        Problem(
            sweep.origin, path, None, f"has a value, and {inside} inside it; remove one of them"
        )
        for path in paths.values()
        for inside in paths.values()
        if schema.is_known(path) and inside.startswith(f"{path}.")
    ]


def name_trials(
    sweep: Sweep,
    swept: Mapping[str, Parameter],
    schema: Schema,
    limit: int | None = None,
    seed: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Enumerate the trials of a grid or random sweep, each named by a hash of what is swept.

    Args:
        sweep: The search space.
        swept: Its parameters with their paths, as `resolve_parameters` returns them.
        schema: The known fields.
        limit, seed: Instead of the sweep's own.

    Returns:
        Assignments (path -> value) by trial, equal ones distinguished by a counter.

    Raises:
        ConfigError: A value that is not allowed where it is assigned.
    """
    assignments: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for point in sweep.points(limit, seed):
        assigned = {}
        for name, value in point.items():
            if name not in swept:
                continue
            path = swept[name].name
            try:
                assigned[path] = compose.coerce(path, value, schema)
            except ValueError as error:  # the bounds are valid, a value between them is not
                raise ConfigError(Problem(sweep.origin, path, value, str(error))) from None
        label = digest(assigned, 10)
        counts[label] = counts.get(label, 0) + 1
        assignments[label if counts[label] == 1 else f"{label}-{counts[label]}"] = assigned
    return assignments


def warn_of_repeats(
    sweep: Sweep, assignments: Mapping[str, Mapping[str, Any]], schema: Schema
) -> list[str]:
    """Warn about trials that differ only in names that nothing reads: each trains, and all alike.

    Args:
        sweep: The search space.
        assignments: By trial.
        schema: The known fields.
    """
    swept = dict.fromkeys(path for assigned in assignments.values() for path in assigned)
    unread = [path for path in swept if not schema.is_known(path)]
    if not unread:
        return []
    alike: dict[str, list[str]] = {}
    for trial, assigned in assignments.items():
        read = {path: value for path, value in assigned.items() if path not in unread}
        alike.setdefault(canonical_json(read), []).append(trial)
    repeated = [trials for trials in alike.values() if len(trials) > 1]
    varied = [
        path
        for path in unread
        if any(len({repr(assignments[t].get(path)) for t in trials}) > 1 for trials in repeated)
    ]
    if not varied:
        return []
    shown = ", ".join(repeated[0][:3]) + (" ..." if len(repeated[0]) > 3 else "")
    distinct = "one training" if len(alike) == 1 else f"only {len(alike)} different trainings"
    return [
        f"{sweep.origin}: {len(assignments)} trials are {distinct}: those that differ in "
        f"{', '.join(varied)} alone, which nothing reads, train alike ({shown})"
    ]


def _room(
    constants: Mapping[str, Any], swept: Iterable[str], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return empty entries for lists that consist of constants and swept values.

    Args:
        constants: What is constant in all trials.
        swept: The paths that are swept.
        config: The configuration without the sweep.
    """
    room: dict[str, Any] = {}
    for path in swept:
        for place in nesting.lists_on(path):
            entry = ".".join(path.split(".")[: place.count(".") + 2])
            started = any(constant.startswith(f"{place}.") for constant in constants)
            taken = any(f"{constant}.".startswith(f"{entry}.") for constant in constants)
            if started and not taken and not isinstance(nesting.find(config, place), list):
                room[entry] = None
    return room


def _check_values(sweep: Sweep, parameter: Parameter, path: str, schema: Schema) -> list[Problem]:
    """Check each value on its own; combinations that do not fit are infeasible trials."""
    problems = []
    for value in sweep.probes(parameter):
        why = refusal(path, value, schema)
        if why is not None:
            hint = f"{why}{hint_for(parameter, path, value, schema)}"
            problems.append(Problem(sweep.origin, path, value, hint))
            if not parameter.values or path in schema.sections:
                break  # one refused value says enough about a range, and about a section
    return problems
