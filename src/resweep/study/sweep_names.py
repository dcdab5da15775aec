"""Names in a sweep file: the paths that they mean, and which of them nothing reads.

`learning_rate`          ->  training.learning_rate
`foo`, listed in `own`   ->  foo
`lr`, `config`           ->  an error with the fields that may be meant
"""

from collections.abc import Collection, Mapping
from typing import Any

from resweep.canonical import canonical_json
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
from resweep.errors import Problem
from resweep.sweep import Parameter, Sweep
from resweep.systems.registry import other_systems


def find_paths(
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
    paths, _ = find_paths(sweep, config, schema, own)
    given = {p.name: p for p in sweep.parameters if p.name in paths}
    swept = [name for name, parameter in given.items() if parameter.swept]
    unread = [name for name in swept if _is_unread(name, paths[name], schema, own)]
    refused = [
        name
        for name, parameter in given.items()
        if (name in unread and (fields_meant(name, schema) or _elsewhere(name, schema)))
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
        fields = ({*schema.fields} - {*schema.path_only, *schema.sections}) & paths.keys()
        unclear = sorted(name for name in refused if name not in fields)
        if unclear:
            problem = _refuse(sweep, refused, paths, schema, alike)
        else:
            problem = _refuse_values(sweep, refused, paths)
        # What is wrong with a value, if a field is meant, is worth a line of its own.
        return [], [problem], unclear
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
    if schema.is_known(path) or is_own(name, own) or ("." in path and refusal(path, None, schema)):
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
    if not schema.takes_numbers(path):
        others = (*others, int, float)
    return any(
        isinstance(value, others) and refusal(path, value, schema) for value in parameter.extremes
    )


def _elsewhere(name: str, schema: Schema) -> list[str]:
    """Return what a name that nothing reads means in other systems."""
    return [] if fields_meant(name, schema) else other_systems(name, schema.system)


def _is_misspelt(name: str, path: str, schema: Schema, own: Collection[str]) -> bool:
    content = nesting.with_value({}, path, None)
    return not is_own(name, own) and any(misspellings(content, schema, own))


def _refuse(
    sweep: Sweep, names: list[str], paths: Mapping[str, str], schema: Schema, alike: bool
) -> Problem:
    """Return the error about names that nothing reads, or that may mean something else."""

    def meant(name: str) -> str:
        fields = meaning_of(name, schema) if is_taken(name, schema) else None
        fields = f"{fields}: {name}.FIELD" if name in schema.sections else fields
        fields = fields or " or ".join(() if name not in paths else _elsewhere(name, schema))
        return f" ({fields}?)" if fields else describe_meant(paths[name], schema)

    why = "; nothing else is swept, so all trials would be the same training" if alike else ""
    others = {found.rpartition(" ")[2] for name in names for found in _elsewhere(name, schema)}
    if others:
        why += f"; this study trains {schema.system}, and system: {' or '.join(sorted(others))} "
        why += "in the study, or resweep sweep --system, another one"
    hint = f"{why}; write the fields that you mean (docs/sweeps.md#names); {own_hint(names)}"
    if len(names) > 1:
        named = ", ".join(f"{name}{meant(name)}" for name in names)
        return Problem(sweep.origin, "parameters", None, f"not paths of fields: {named}{hint}")
    (name,) = names
    given = next(parameter for parameter in sweep.parameters if parameter.name == name)
    value = None if given.swept else given.values[0]
    return Problem(sweep.origin, name, value, f"is not the path of a field{meant(name)}{hint}")


def _refuse_values(sweep: Sweep, names: list[str], paths: Mapping[str, str]) -> Problem:
    """Return the error about names of fields that do not take such values at all."""
    if len(names) > 1:
        meant = ", ".join(f"{name} means {paths[name]}" for name in names)
        hint = f"{meant}, which refuse such values; {own_hint(names)}"
        return Problem(sweep.origin, "parameters", None, hint)
    (name,) = names
    hint = f"means {paths[name]}, which refuses such values; {own_hint(names)}"
    return Problem(sweep.origin, name, None, hint)


def refusal(path: str, value: Any, schema: Schema) -> str | None:
    """Return why a value cannot be assigned to a path, or None."""
    try:
        canonical_json({path: compose.coerce(path, value, schema)})
    except ValueError as error:
        return str(error)
    return None
