"""Compose a configuration from layers, and report everything that is wrong with it.

A layer is a nested mapping with the place it came from; later layers win leaf by leaf. Origins
are kept by leaf, so that an error names the file that sets the wrong value.
"""

import functools
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from resweep import yaml12
from resweep.canonical import canonical_json
from resweep.config.nesting import (
    OWN,
    PathError,
    assign_paths,
    leaves,
    path_fault,
    with_value,
)
from resweep.config.own_names import is_taken, own_path
from resweep.config.schema import SYSTEM, Schema
from resweep.config.section import Misfit, Section
from resweep.config.spelling import misspellings, no_such_field
from resweep.errors import ConfigError, Problem
from resweep.violations import UNKNOWN, Violation, violations


class Layer(NamedTuple):
    """A part of a configuration and the file (or command line) that it comes from."""

    origin: str
    content: dict[str, Any]


class Composed(NamedTuple):
    """A merged configuration, and for each leaf where it was set."""

    content: dict[str, Any]
    origins: dict[str, str]

    def origin_of(self, path: str, default: str) -> str:
        """Return the place that set `path`, or something inside it."""
        if path in self.origins:
            return self.origins[path]
        inside = [place for leaf, place in self.origins.items() if leaf.startswith(f"{path}.")]
        return inside[-1] if inside else default


def resolve_name(
    name: str, config: Mapping[str, Any], schema: Schema, own: Collection[str] = ()
) -> str:
    """Turn a flat name (`learning_rate`) into the one path it can mean; paths stay as they are.

    It can mean any field of the system's sections, any key of a section of `config`, and every
    leaf below. Unknown names stay as they are: they are the user's own hyperparameters. So are
    those listed in `own`: they go before fields and sections, and live beside them.

    Raises:
        ValueError: It is not a name, or several places have it; lists them.
    """
    fault = path_fault(name)
    if fault is not None:
        raise ValueError(fault)
    if (name in own or name == OWN) and is_taken(name, schema):
        return own_path(name)
    if "." in name or name in schema.sections or name == SYSTEM:
        return name
    candidates = set(schema.fields.get(name, ()))
    candidates |= {
        f"{section}.{name}"
        for section, fields in config.items()
        if isinstance(fields, Mapping) and name in fields
    }
    candidates |= {path for path, _ in leaves(config, entries=True) if path.endswith(f".{name}")}
    if name in schema.aliases:  # `training.epochs` is not a field, and is reported by itself
        candidates.discard(f"{schema.aliases[name].partition('.')[0]}.{name}")
    if len(candidates) > 1:
        raise ValueError(f"could mean {' or '.join(sorted(candidates))}; write the full path")
    return candidates.pop() if candidates else name


def merge(layers: list[Layer]) -> Composed:
    """Merge layers leaf by leaf, later ones winning.

    Raises:
        ConfigError: Layers that set an entry that a list of a layer below does not have.
    """
    content: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[Problem] = []
    for layer in layers:
        given = dict(leaves(layer.content))
        try:
            content = assign(content, given)
        except PathError as error:
            problems.append(Problem(layer.origin, error.path, None, error.hint))
        for path in given:  # the last to be set comes last
            origins.pop(path, None)
            origins[path] = layer.origin
    if problems:
        raise ConfigError(problems)
    return Composed(content, origins)


# Two ways to set one thing: setting one of them unsets the other in the layers below.
ALTERNATIVES = {
    "training.warmup_steps": "training.pct_warmup",
    "training.pct_warmup": "training.warmup_steps",
    "training.max_steps": "training.num_epochs",
    "training.num_epochs": "training.max_steps",
}


def assign(config: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `config` with each dotted path of `values` set.

    Raises:
        PathError: A path enters a list by a name, or by an index that it does not have.
    """
    config = assign_paths(config, values)
    for path, value in values.items():
        other = ALTERNATIVES.get(path)
        if other is not None and value is not None and other not in values:
            section, _, field = other.partition(".")
            if config[section].get(field) is not None:
                config = with_value(config, other, None)
    return config


def read_override(value: Any) -> Any:
    """Read strings as YAML 1.2 scalars, in lists and mappings too.

    Snakemake's command line turns `1e-4`, and everything inside braces, into strings.
    """
    if isinstance(value, str):
        return yaml12.parse_scalar(value)
    if isinstance(value, Mapping):
        return {str(key): read_override(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [read_override(inner) for inner in value]
    return value


def check_spelling(
    composed: Composed, where: str, schema: Schema, own: Collection[str]
) -> list[Problem]:
    """Return a problem for each name that looks like a misspelling.

    Args:
        composed: What to check.
        where: The file to name where nothing in the configuration has an origin.
        schema: The known fields.
        own: The user's own hyperparameters, which are not misspellings.
    """
    return [
        Problem(composed.origin_of(path, where), path, value, hint)
        for path, value, hint in misspellings(composed.content, schema, own)
    ]


def validate(
    composed: Composed, where: str, schema: Schema
) -> tuple[dict[str, Any], list[Problem]]:
    """Check a configuration; returns it with defaults filled in and types coerced, or problems.

    Args:
        composed: What to check.
        where: The file to name where nothing in the configuration has an origin.
        schema: The known fields.

    Returns:
        The plain configuration (empty where there are problems), and everything wrong with it.
    """
    named = composed.content.get(SYSTEM, schema.system)
    if named != schema.system:
        return {}, [_of_another_system(composed, where, schema, named)]
    content = {**{name: {} for name in schema.required}, **composed.content}
    try:
        config = schema.validate(content)
    except ValidationError as error:
        found = violations(error, content)
        return {}, [_problem(one, composed, where, schema) for one in found]
    problems = []
    # Before the dump, which turns nan into null.
    for path, value in leaves(composed.content):
        try:
            canonical_json(value)
        except ValueError as error:
            hint = f"should be a plain value: {error}"
            if isinstance(value, float):
                hint = "should be a finite number" if value else "should be 0.0, not minus zero"
            problems.append(Problem(composed.origin_of(path, where), path, value, hint))
    return (schema.dump(config) if not problems else {}), problems


def _of_another_system(composed: Composed, where: str, schema: Schema, named: Any) -> Problem:
    hint = f"this study trains {schema.system}; write system: {named} at the top of the study file"
    return Problem(composed.origin_of(SYSTEM, where), SYSTEM, named, hint)


def infeasible(config: Mapping[str, Any], schema: Schema) -> str | None:
    """Return why a trial's complete configuration cannot be trained, or None: 30 microseconds.

    What depends on the data is only found by the training.
    """
    try:
        schema.validate(config)
    except ValidationError as error:
        first = violations(error, config)[0]
        return f"{first.key}: {first.hint}" if first.place else first.hint
    return None


def _problem(one: Violation, composed: Composed, where: str, schema: Schema) -> Problem:
    path, hint = one.key, one.hint
    if one.type == UNKNOWN:
        hint = no_such_field(path, schema)
    if isinstance(one.error, Misfit):  # the last of its fields to be set is to blame
        fields = [leaf for leaf in composed.origins if leaf.rpartition(".")[2] in one.error.fields]
        inside = [leaf for leaf in fields if not path or leaf.startswith(f"{path}.")]
        if inside:
            return Problem(composed.origins[inside[-1]], path, one.value, hint)
    return Problem(composed.origin_of(path, where), path, one.value, hint)


def coerce(path: str, value: Any, schema: Schema) -> Any:
    """Convert a value to the type of its field: `1` for a float field becomes `1.0`.

    Values of unknown hyperparameters stay as they are.

    Raises:
        ValueError: The value, or the field, is not allowed; the message says what is.
    """
    section, _, field = path.partition(".")
    if section == SYSTEM:
        raise ValueError("is set for the whole study; write it at the top of the study file")
    if section not in schema.sections:
        return value
    if not field:
        raise ValueError(f"is a section, not a field; write {section}.FIELD")
    model = schema.sections[section]
    info = model.model_fields.get(field)
    if info is None:
        whole = field.partition(".")[0]
        if whole != field and schema.is_known(path):
            return value
        if whole in model.model_fields:
            raise ValueError(f"is part of {section}.{whole}, which can only be set as a whole")
        if model.model_config.get("extra") == "forbid":
            raise ValueError(no_such_field(path, schema))
        return value
    adapter = _adapter(model, field)
    try:
        coerced = adapter.validate_python(value, strict=True)
    except ValidationError as error:
        raise ValueError(violations(error, value)[0].hint) from None
    # The entries of a list may have models of their own; a value is plain.
    return adapter.dump_python(coerced, mode="json") if _has_models(coerced) else coerced


def _has_models(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_has_models, value))
    return isinstance(value, BaseModel)


@functools.cache
def _adapter(model: type[Section], field: str) -> TypeAdapter[Any]:
    return TypeAdapter(model.model_fields[field].rebuild_annotation(), config=None)
