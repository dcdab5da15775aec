"""Trials of a sweep: its points, with full paths and the types of the fields, and their names."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from resweep.canonical import canonical_json, digest
from resweep.config import compose, nesting
from resweep.config.schema import Schema
from resweep.config.spelling import is_own, misspellings
from resweep.errors import ConfigError, Problem
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
        fixed: Paths that are set above the sweep: its constants give way, what it sweeps may not
            be among them.
        schema: The fields that there are.
        own: Names of hyperparameters of the user's own, which are no misspellings.

    Returns:
        The swept parameters by their names in the file, each renamed to its path; and what is
        constant in all trials (path -> value).

    Raises:
        ConfigError: All that is wrong with the sweep's names and values.
    """
    problems: list[Problem] = []
    paths: dict[str, str] = {}
    for parameter in sweep.parameters:
        try:
            path = compose.resolve_name(parameter.name, config, schema)
        except ValueError as error:
            problems.append(Problem(sweep.origin, parameter.name, None, str(error)))
            continue
        if path in paths.values():
            problems.append(
                Problem(sweep.origin, parameter.name, None, f"{path} is in the sweep twice")
            )
        paths[parameter.name] = path
        problems += _check_values(sweep, parameter, path, schema, own)
        if path in fixed and parameter.swept:
            problems.append(
                Problem(sweep.origin, path, None, "is swept, and set at once; drop one of them")
            )
    free = {paths[p.name]: p for p in sweep.parameters if paths.get(p.name, "") not in (*fixed, "")}
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
        if not parameter.swept and paths[parameter.name] not in fixed
    }
    constants |= _room(constants, (parameter.name for parameter in swept.values()), config)
    return swept, constants


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
        schema: The fields that there are.
        limit, seed: In place of the sweep's own.

    Returns:
        Assignments (path -> value) by trial, equal ones told apart by a counter.

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
            except ValueError as error:  # the bounds are fine, what lies between is not
                raise ConfigError(
                    Problem(sweep.origin, f"parameters.{name}", value, str(error))
                ) from None
        label = digest(assigned, 10)
        counts[label] = counts.get(label, 0) + 1
        assignments[label if counts[label] == 1 else f"{label}-{counts[label]}"] = assigned
    return assignments


def check_unread(
    sweep: Sweep, swept: Mapping[str, Parameter], schema: Schema, own: Collection[str]
) -> list[str]:
    """Return a warning of what is swept and nothing reads, apart from the user's own.

    Args:
        sweep: The search space.
        swept: Its parameters with their paths.
        schema: The fields that there are.
        own: Names of hyperparameters of the user's own.

    Raises:
        ConfigError: Nothing else is swept.
    """
    paths = [parameter.name for parameter in swept.values()]
    unread = [path for path in paths if not schema.is_known(path) and not is_own(path, own)]
    if not unread:
        return []
    way_out = "if that is meant, say so under own: in the study (run_sweep.py --own)"
    told = f"nothing in resweep reads {', '.join(unread)}"
    if len(unread) == len(paths):
        hint = (
            f"{told}, so all trials would be the same training; sweep names that it reads "
            f"(docs/configuration.md), or, {way_out}"
        )
        raise ConfigError(Problem(sweep.origin, "parameters", None, hint))
    names = "it only names" if len(unread) == 1 else "they only name"
    return [f"{sweep.origin}: {told}; {names} the run; {way_out}"]


def _room(
    constants: Mapping[str, Any], swept: Iterable[str], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return empty entries for the lists that constants begin and swept values complete.

    Args:
        constants: What is constant in all trials.
        swept: The paths that are swept.
        config: The configuration below the sweep.
    """
    room: dict[str, Any] = {}
    for path in swept:
        for place in nesting.lists_on(path):
            entry = ".".join(path.split(".")[: place.count(".") + 2])
            begun = any(constant.startswith(f"{place}.") for constant in constants)
            held = any(f"{constant}.".startswith(f"{entry}.") for constant in constants)
            if begun and not held and not isinstance(nesting.find(config, place), list):
                room[entry] = None
    return room


def _check_values(
    sweep: Sweep, parameter: Parameter, path: str, schema: Schema, own: Collection[str]
) -> list[Problem]:
    """Check each value on its own; values that do not fit together are infeasible trials."""
    problems = []
    for value in parameter.extremes:
        try:
            canonical_json({path: compose.coerce(path, value, schema)})
        except ValueError as error:
            problems.append(Problem(sweep.origin, parameter.name, value, str(error)))
    head = parameter.extremes[0]
    content = nesting.with_value({}, path, head)
    for wrong, value, hint in misspellings(content, schema, own):
        problems.append(Problem(sweep.origin, wrong, value, hint))
    return problems
