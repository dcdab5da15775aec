"""Layers of a configuration as people write them: modules by name, values under flat names.

base: {model: gpt-tiny}   ->  load_modules   ->  a layer for each section
set: {learning_rate: 1}   ->  named          ->  training.learning_rate
layers                    ->  complete       ->  one configuration, checked
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from resweep.config import compose
from resweep.config.compose import Layer
from resweep.config.nesting import PathError
from resweep.config.own_names import is_own
from resweep.config.schema import SYSTEM, Schema
from resweep.config.spelling import nearest
from resweep.config.unread import find_unread
from resweep.errors import ConfigError, Problem


class Completed(NamedTuple):
    """Layers, merged.

    Attributes:
        config: Complete and checked; empty where something is wrong.
        written: As it was written: no defaults, no coercion.
        problems: All errors.
        unread: What is set, that nothing reads and that is not the user's own, by place.
    """

    config: dict[str, Any]
    written: dict[str, Any]
    problems: list[Problem]
    unread: dict[str, dict[str, Any]]


def load_modules(
    config_dir: Path,
    base: Mapping[str, Any],
    schema: Schema | None,
    own: Collection[str],
    where: str,
    key: str = "base",
) -> tuple[list[Layer], list[Problem]]:
    """Load the modules that a `base` names, section by section.

    Args:
        config_dir: Where modules are.
        base: Section -> name of a module, or its content.
        schema: The known sections; None: unknown.
        own: The user's own hyperparameters, which may be sections.
        where: The file that has the base.
        key: Its key there.
    """
    loaded: list[Layer] = []
    problems: list[Problem] = []
    for section, name in base.items():
        fault = _section_fault(config_dir, section, name, schema, own)
        if fault is not None:
            shown = None if isinstance(name, Mapping) else name
            problems.append(Problem(where, f"{key}.{section}", shown, fault))
            continue
        try:
            loaded.append(compose.load_module(config_dir, section, name, where, key))
        except ConfigError as error:
            problems += error.problems
    return loaded, problems


def _section_fault(
    config_dir: Path, section: str, name: Any, schema: Schema | None, own: Collection[str]
) -> str | None:
    """Return why a base cannot have a section, or None."""
    if schema is None or section in schema.sections:
        return None if re.fullmatch(r"\w+", section) else "should be the name of a section"
    if section == SYSTEM:
        return "is not a section; write system: at the top of the study file"
    meant = nearest(section, schema.sections)
    if meant is not None and not is_own(section, own):
        return f"is not a section; did you mean {meant}?"
    is_folder = re.fullmatch(r"[A-Za-z0-9_-]{1,100}", section) and (config_dir / section).is_dir()
    if is_folder or isinstance(name, Mapping):
        return None
    return f"is not a section; there are: {', '.join(schema.sections)}"


def resolve_name(
    origin: str,
    name: str,
    config: Mapping[str, Any],
    schema: Schema,
    own: Collection[str] = (),
) -> str:
    """Return the path that a flat name means; raises ConfigError."""
    try:
        return compose.resolve_name(name, config, schema, own)
    except ValueError as error:
        shown = name if name and name == name.strip() else repr(name)
        raise ConfigError(Problem(origin, shown, None, str(error))) from None


def named(
    layer: Layer, config: Mapping[str, Any], schema: Schema, own: Collection[str] = ()
) -> tuple[Layer, list[Problem]]:
    """Give each leaf of a layer its full path; the study's own system says nothing new."""
    flat: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in compose.leaves(layer.content):
        if (name, value) == (SYSTEM, schema.system):
            continue
        if name in schema.sections and value == {}:
            continue  # it sets nothing
        try:
            flat[resolve_name(layer.origin, name, config, schema, own)] = value
        except ConfigError as error:
            problems += error.problems
    while True:
        try:
            return Layer(layer.origin, compose.nest(flat)), problems
        except PathError as error:  # without it, the others can be checked
            problems.append(Problem(layer.origin, error.path, None, error.hint))
            del flat[error.path]


def complete(
    layers: Sequence[Layer],
    where: str,
    schema: Schema,
    own: Collection[str] = (),
    sound: bool = True,
) -> Completed:
    """Merge layers, later ones winning, and check what comes out.

    Args:
        layers: Names may be flat.
        where: The file to name for what no layer sets.
        schema: The known fields.
        own: The user's own hyperparameters, which are not misspellings.
        sound: Whether all layers could be read; if not, nothing is checked, since what is missing
            may be missing for a reason already reported.
    """
    first = compose.merge([named(layer, {}, schema, own)[0] for layer in layers])
    both = [named(layer, first.content, schema, own) for layer in layers]
    problems = [problem for _, wrong in both for problem in wrong]
    merged = compose.merge([layer for layer, _ in both])
    if not sound:
        return Completed({}, merged.content, problems, {})
    config, wrong = compose.validate(merged, where, schema)
    problems += compose.check_spelling(merged, where, schema, own) + wrong
    unread = find_unread(merged, schema, own)
    return Completed({} if problems else config, merged.content, problems, unread)
