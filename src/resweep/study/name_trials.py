"""Trials of a sweep: its points, with full paths and the types of the fields, and their names."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from resweep.canonical import canonical_json, digest
from resweep.config import compose, nesting
from resweep.config.schema import Schema
from resweep.config.spelling import is_own, misspellings
from resweep.errors import ConfigError, Problem
from resweep.study.fit_fields import hint_for
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
        fixed: Paths that are set above the sweep: they override its constants, and must not be
            swept.
        schema: The known fields.
        own: Names of the user's own hyperparameters, which are not misspellings.

    Returns:
        The swept parameters by their names in the file, each renamed to its path; and what is
        constant in all trials (path -> value).

    Raises:
        ConfigError: All errors of the sweep's names and values.
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
                Problem(
                    sweep.origin, parameter.name, None, f"{path} is in the sweep twice; remove one"
                )
            )
        paths[parameter.name] = path
        problems += _check_values(sweep, parameter, path, schema, own)
        if path in fixed and parameter.swept:
            problems.append(
                Problem(sweep.origin, path, None, "is both swept and set; remove one of the two")
            )
    problems += _check_nested(sweep, paths)
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
    """Return a warning about what is swept but not read, except the user's own.

    Args:
        sweep: The search space.
        swept: Its parameters with their paths.
        schema: The known fields.
        own: Names of the user's own hyperparameters.

    Raises:
        ConfigError: Nothing else is swept.
    """
    paths = [parameter.name for parameter in swept.values()]
    unread = [path for path in paths if not schema.is_known(path) and not is_own(path, own)]
    if not unread:
        return []
    names = ", ".join(unread)
    if len(unread) == len(paths):
        hint = (
            f"nothing in resweep reads {names}, so all trials would be the same training; sweep "
            "fields of docs/configuration.md, or, if this is intended, add the names to own: in "
            "the study (run_sweep.py --own)"
        )
        raise ConfigError(Problem(sweep.origin, "parameters", None, hint))
    return [
        f"{sweep.origin}: nothing in resweep reads {names}, which can only tell runs apart; if "
        "this is intended, add the names to own: in the study (run_sweep.py --own)"
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


def _check_nested(sweep: Sweep, paths: Mapping[str, str]) -> list[Problem]:
    """Refuse a parameter whose path is a part of another's, since one would replace the other."""
    names = {path: name for name, path in paths.items()}
    problems = []
    for path in sorted(names):
        whole = path
        while whole := whole.rpartition(".")[0]:
            if whole in names:
                hint = f"has a value, and {names[path]} inside it; remove one of the two"
                problems.append(Problem(sweep.origin, names[whole], None, hint))
    return problems


def _check_values(
    sweep: Sweep, parameter: Parameter, path: str, schema: Schema, own: Collection[str]
) -> list[Problem]:
    """Check each value on its own; combinations that do not fit are infeasible trials."""
    problems = []
    for value in sweep.probes(parameter):
        try:
            canonical_json({path: compose.coerce(path, value, schema)})
        except ValueError as error:
            hint = f"{error}{hint_for(parameter, path, value, schema)}"
            problems.append(Problem(sweep.origin, parameter.name, value, hint))
            if not parameter.values:
                break  # one refused value says enough about a range
    head = parameter.extremes[0]
    content = nesting.with_value({}, path, head)
    for wrong, value, hint in misspellings(content, schema, own):
        problems.append(Problem(sweep.origin, wrong, value, hint))
    return problems
