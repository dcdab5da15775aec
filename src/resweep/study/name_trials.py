"""Trials of a sweep: its points, with full paths and the types of the fields, and their names.

the names of the file  ->  paths of fields, or of the user's own hyperparameters
points of the file     ->  assignments (path -> value) by trial
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from resweep.canonical import canonical_json, digest
from resweep.config import compose, nesting
from resweep.config.own_names import (
    is_own,
    is_taken,
    make_room,
    meaning_of,
    own_hint,
    own_path,
)
from resweep.config.schema import SYSTEM, Schema
from resweep.config.spelling import misspellings
from resweep.config.synonyms import fields_meant
from resweep.config.unread import describe_meant
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
        own: Names of the user's own hyperparameters.

    Returns:
        The swept parameters by their names in the file, each renamed to its path; and what is
        constant in all trials (path -> value).

    Raises:
        ConfigError: All errors of the sweep's names and values, but for what nothing reads.
    """
    paths, problems = _find_paths(sweep, config, schema, own)
    for parameter in sweep.parameters:
        path = paths.get(parameter.name)
        if path is None:
            continue
        problems += _check_values(sweep, parameter, path, schema)
        if path in fixed and parameter.swept:
            problems.append(
                Problem(sweep.origin, path, None, "is both swept and set; remove one of the two")
            )
    problems += _check_inside(sweep, paths, schema)
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


def _find_paths(
    sweep: Sweep, config: Mapping[str, Any], schema: Schema, own: Collection[str]
) -> tuple[dict[str, str], list[Problem]]:
    """Return the path of each name in the file, where it has one, and what is wrong."""
    problems: list[Problem] = []
    paths: dict[str, str] = {}
    for parameter in sweep.parameters:
        name = parameter.name
        try:
            path = compose.resolve_name(name, config, schema, own)
        except ValueError as error:
            problems.append(Problem(sweep.origin, name, None, str(error)))
            continue
        if path in paths.values():
            hint = f"{path} is in the sweep twice; remove one"
            problems.append(Problem(sweep.origin, name, None, hint))
        paths[name] = path
    moved = make_room(paths.values(), config, schema)
    return {name: moved.get(path, path) for name, path in paths.items()}, problems


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


def check_names(
    sweep: Sweep, config: Mapping[str, Any], schema: Schema, own: Collection[str]
) -> tuple[list[str], list[Problem], list[str]]:
    """Check the names that nothing reads, so that no budget is spent on trainings that are alike.

    Args:
        sweep: The search space.
        config: The configuration that its names are resolved in.
        schema: The known fields.
        own: Names of the user's own hyperparameters.

    Returns:
        Warnings, one error with all names that cannot stay as they are, and those of which it is
        not known what they mean.
    """
    paths, _ = _find_paths(sweep, config, schema, own)
    given = {p.name: p for p in sweep.parameters if p.name in paths}
    swept = [name for name, parameter in given.items() if parameter.swept]
    unread = [name for name in swept if _is_unread(name, paths[name], schema, own)]
    refused = [
        name
        for name, parameter in given.items()
        if (name in unread and fields_meant(name, schema))
        or _is_ambiguous(parameter, paths[name], schema)
        or (not parameter.swept and _is_misspelt(name, paths[name], schema, own))
    ]
    # `name`, which several fields have.
    refused += [
        p.name for p in sweep.parameters if p.name not in paths and is_taken(p.name, schema)
    ]
    alike = bool(unread) and len(unread) == len(swept)
    if alike:
        refused = [p.name for p in sweep.parameters if p.name in (*unread, *refused)]
    if refused:
        problem = _refuse(sweep, refused, paths, schema, alike)
        # What is wrong with a value, if a field is meant, is worth a line of its own.
        known = {name for name in refused if name in paths and is_taken(name, schema)}
        return [], [problem], sorted({*refused} - (known - schema.path_only.keys()))
    if not unread:
        return [], [], []
    warning = (
        f"{sweep.origin}: nothing in resweep reads {', '.join(unread)}, which can only tell runs "
        f"apart; {own_hint(unread)}"
    )
    return [warning], [], []


def _is_unread(name: str, path: str, schema: Schema, own: Collection[str]) -> bool:
    """Whether nothing reads a name, and nobody said that it is their own.

    `early_stopping.patience` cannot be anybody's own: it is refused with its value.
    """
    if schema.is_known(path) or is_own(name, own) or ("." in path and _refusal(path, None, schema)):
        return False
    return path == own_path(name) or not is_own(path, own)  # `z` beside `z.y`: nobody said so


def _is_ambiguous(parameter: Parameter, path: str, schema: Schema) -> bool:
    """Whether a short name that is a field's, or a section, is probably the user's own."""
    name = parameter.name
    if path == own_path(name) or name == SYSTEM or not is_taken(name, schema):
        return False
    if name in schema.sections or name in schema.path_only:
        return True
    others: tuple[type, ...] = (str, list, dict, bool)
    if _refusal(path, 1, schema):  # it takes no numbers
        others = (*others, int, float)
    return any(
        isinstance(value, others) and _refusal(path, value, schema) for value in parameter.extremes
    )


def _is_misspelt(name: str, path: str, schema: Schema, own: Collection[str]) -> bool:
    content = nesting.with_value({}, path, None)
    return not is_own(name, own) and any(misspellings(content, schema, own))


def _refuse(
    sweep: Sweep, names: list[str], paths: Mapping[str, str], schema: Schema, alike: bool
) -> Problem:
    """Return the error about names that nothing reads, or that may mean something else."""

    def meant(name: str) -> str:
        fields = meaning_of(name, schema) if is_taken(name, schema) else None
        return f" ({fields}?)" if fields else describe_meant(paths[name], schema)

    why = "; nothing else is swept, so all trials would be the same training" if alike else ""
    hint = f"{why}; write what you mean (docs/configuration.md), or {own_hint(names)}"
    if len(names) > 1:
        named = ", ".join(f"{name}{meant(name)}" for name in names)
        return Problem(sweep.origin, "parameters", None, f"not paths of fields: {named}{hint}")
    (name,) = names
    given = next(parameter for parameter in sweep.parameters if parameter.name == name)
    value = None if given.swept else given.values[0]
    return Problem(sweep.origin, name, value, f"is not the path of a field{meant(name)}{hint}")


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
    distinct = "one training" if len(alike) == 1 else f"{len(alike)} trainings"
    return [
        f"{sweep.origin}: {len(assignments)} trials repeat only {distinct}: those that differ in "
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
        why = _refusal(path, value, schema)
        if why is not None:
            hint = f"{why}{hint_for(parameter, path, value, schema)}"
            problems.append(Problem(sweep.origin, path, value, hint))
            if not parameter.values or path in schema.sections:
                break  # one refused value says enough about a range, and about a section
    return problems


def _refusal(path: str, value: Any, schema: Schema) -> str | None:
    """Return why a value cannot be assigned to a path, or None."""
    try:
        canonical_json({path: compose.coerce(path, value, schema)})
    except ValueError as error:
        return str(error)
    return None
