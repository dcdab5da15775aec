"""Hyperparameters of the user's own: names that no part of resweep reads.

They are part of a run's identity and columns of all tables. One stays where it is written (`foo`,
`model.foo`, `a.b`), unless something else is in that place:

    model, config     listed in `own` although a section or a field has the name   own.model
    z beside z.y      two names that cannot both have a value                      own.z
"""

import json
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from resweep import yaml12
from resweep.config.nesting import OWN, find
from resweep.config.schema import SYSTEM, Schema


def is_own(path: str, own: Collection[str]) -> bool:
    """Whether a path is one of the user's own hyperparameters, or inside one.

    Args:
        path: `patch_size`, `model.rope.theta`.
        own: Their names, flat or full: one or more whole parts of a path, in its order.
    """
    return path.startswith(f"{OWN}.") or any(f".{name}." in f".{path}." for name in own)


def own_path(name: str) -> str:
    """Return the path of a name in the section of names that would be in the way elsewhere."""
    return f"{OWN}.{name}"


def is_taken(name: str, schema: Schema) -> bool:
    """Whether a short name means something to resweep: a section or a field."""
    return name in (SYSTEM, OWN) or name in schema.sections or name in schema.fields


def meaning_of(name: str, schema: Schema) -> str:
    """Return what a taken name means without `own`: `model.config`, `the section model`."""
    if name in schema.sections:
        return f"the section {name}"
    return " or ".join(schema.fields.get(name, [name]))


def own_hint(names: Iterable[str]) -> str:
    """Return how to accept names as hyperparameters of one's own."""
    listed = list(names)
    of_study = (
        name if _is_plain(name) else json.dumps(name, ensure_ascii=False) for name in listed
    )
    what = "them as hyperparameters" if len(listed) > 1 else "it as a hyperparameter"
    return (
        f"to accept {what} of your own, add own: [{', '.join(of_study)}] to the study "
        f"(resweep sweep: --own {shlex.join(listed)})"
    )


def _is_plain(name: str) -> bool:
    """Whether YAML reads a name as text without quotes; `1` and `null` it does not."""
    word = re.fullmatch(r"[A-Za-z_][\w.-]*", name, re.ASCII)
    return word is not None and isinstance(yaml12.parse_scalar(name), str)


def make_room(paths: Iterable[str], config: Mapping[str, Any], schema: Schema) -> dict[str, str]:
    """Return where own names go that cannot have a value where they are: path -> path.

    Args:
        paths: All that a sweep assigns.
        config: What it is assigned in.
        schema: The known fields.
    """
    taken = set(paths)
    moved = {}
    for path in taken:
        if schema.is_known(path) or path in schema.sections or path.startswith(f"{OWN}."):
            continue
        below = any(other.startswith(f"{path}.") for other in taken)
        if below or isinstance(find(config, path), Mapping) or _value_above(path, config):
            moved[path] = own_path(path)
    return moved


def _value_above(path: str, config: Mapping[str, Any]) -> bool:
    """Whether the configuration has a value, no mapping or list, on the way to a path."""
    parts = path.split(".")
    above = (find(config, ".".join(parts[:depth])) for depth in range(1, len(parts)))
    return any(place is not None and not isinstance(place, Mapping | list) for place in above)
