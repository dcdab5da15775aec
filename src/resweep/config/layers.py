"""Layers of a configuration as people write them, with flat names.

set: {learning_rate: 1}   ->  named      ->  training.learning_rate
layers                    ->  complete   ->  one configuration, checked
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from resweep.config import compose
from resweep.config.compose import Layer
from resweep.config.nesting import PathError, nest
from resweep.config.schema import SYSTEM, Schema
from resweep.config.unread import find_unread
from resweep.errors import ConfigError, Problem


class Completed(NamedTuple):
    """Layers, merged.

    Attributes:
        config: Complete and checked; empty where something is wrong.
        written: As it was written: no defaults, no coercion.
        problems: All errors.
        unread: Paths that are set, that nothing reads and that are not the user's own, by place.
    """

    config: dict[str, Any]
    written: dict[str, Any]
    problems: list[Problem]
    unread: dict[str, list[str]]


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
    given: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in compose.leaves(layer.content):
        if (name, value) == (SYSTEM, schema.system):
            continue
        if name in schema.sections and value == {}:
            continue  # it sets nothing
        try:
            path = resolve_name(layer.origin, name, config, schema, own)
            if path in given:
                hint = f"sets {path}, which {given[path]} sets too; remove one"
                problems.append(Problem(layer.origin, name, value, hint))
            given[path], flat[path] = name, value
        except ConfigError as error:
            problems += error.problems
    while True:
        try:
            return Layer(layer.origin, nest(flat)), problems
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
    merged = compose.merge(_without_other_kinds([layer for layer, _ in both], schema))
    if not sound:
        return Completed({}, merged.content, problems, {})
    config, wrong = compose.validate(merged, where, schema)
    problems += compose.check_spelling(merged, where, schema, own) + wrong
    unread = find_unread(merged, schema, own)
    return Completed({} if problems else config, merged.content, problems, unread)


def _without_other_kinds(layers: Sequence[Layer], schema: Schema) -> list[Layer]:
    """Leave out what layers say of another kind of model, or source of data, than a later one.

    A layer that chooses another kind replaces what those below say of theirs: else no module for
    one kind could be laid over one for another.
    """
    found = list(layers)
    for section in schema.sections:
        for chooser in schema.choosers(section):
            choices = [
                (position, layer.content[section][chooser])
                for position, layer in enumerate(layers)
                if chooser in _section(layer, section)
            ]
            if not choices or (len(choices) > 1 and len({str(one) for _, one in choices}) == 1):
                continue
            last, chosen = choices[-1]
            lost = schema.of_other_kinds(section, {chooser: chosen})
            for position, layer in enumerate(found[:last]):
                content = _section(layer, section)
                if lost & content.keys():
                    kept = {name: value for name, value in content.items() if name not in lost}
                    found[position] = Layer(layer.origin, {**layer.content, section: kept})
    return found


def _section(layer: Layer, name: str) -> Mapping[str, Any]:
    content = layer.content.get(name)
    return content if isinstance(content, Mapping) else {}
