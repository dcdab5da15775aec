"""Dotted paths into nested mappings and lists: `arch.stages.0.repeat`.

A number in a path is the index of a list. Where the configuration has no list yet, entries that
are numbered from 0 on without a gap make one; numbers with gaps stay keys of a mapping.

Below `own` (`resweep.config.own_names`) there is one level only: `own.z.y` is the key `z.y` there,
so that `z` and `z.y` can both have a value, and a mapping there is a value like all others.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

OWN = "own"  # the section of the user's own hyperparameters that would be in the way elsewhere


class PathError(ValueError):
    """A path that cannot be set; the text says why, and what can be.

    Attributes:
        path: The path.
        hint: What to do.
    """

    def __init__(self, path: str, hint: str):
        super().__init__(f"{path}: {hint}")
        self.path = path
        self.hint = hint


MOST_LETTERS = 200  # of a path: it heads a column of every table


def path_fault(path: str) -> str | None:
    """Return why a path cannot be used as the name of a value, or None."""
    parts = path.split(".")
    if not all(parts):
        return "has an empty part; write names, joined by single dots"
    if not path.isprintable() or any(part != part.strip() for part in parts):
        return "should have no control characters, and no spaces around a part"
    if len(path) > MOST_LETTERS:
        return f"has {len(path)} letters; at most {MOST_LETTERS} are allowed"
    return None


def split_path(path: str) -> list[str]:
    """Return the keys that a path leads through."""
    head, _, rest = path.partition(".")
    return [head, rest] if head == OWN and rest else path.split(".")


def leaves(
    nested: Mapping[str, Any], prefix: str = "", entries: bool = False
) -> Iterator[tuple[str, Any]]:
    """Yield `("a.b", value)` for every leaf of a nested mapping, in its order.

    A list is one leaf; with `entries`, lists of mappings are entered as well: `("a.0.b", value)`.
    """
    for key, value in nested.items():
        path = f"{prefix}{key}"
        if path.startswith(f"{OWN}."):
            yield path, value
        elif isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}.", entries)
        elif entries and isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
            yield from leaves({str(i): v for i, v in enumerate(value)}, f"{path}.", entries)
        else:
            yield path, value


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys, at any depth, into nested mappings: `{"a.b": 1}` gives `{"a": {"b": 1}}`.

    Numbers stay keys: whether they are indices depends on what they are set in (`assign_paths`).

    Raises:
        PathError: A name is set both to a value and to a mapping.
    """
    result: dict[str, Any] = {}
    for path, value in leaves(flat):
        place = result
        *parents, leaf = split_path(path)
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                hint = f"{parent} has a value and keys below it; remove one of the two"
                raise PathError(path, hint)
        if isinstance(place.get(leaf), dict):
            raise PathError(path, "has a value and keys below it; remove one of the two")
        place[leaf] = value
    return result


def find(config: Any, path: str) -> Any:
    """Return the value at a path, or None."""
    for part in split_path(path):
        if isinstance(config, list):
            config = config[int(part)] if part.isdecimal() and int(part) < len(config) else None
        else:
            config = config.get(part) if isinstance(config, Mapping) else None
    return config


def with_value(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of `config` with one leaf set; everything off the path is shared.

    Raises:
        PathError: A list is entered by a name, or by an index that it does not have.
    """
    changed: dict[str, Any] = _with_value(config, split_path(path), 0, value)
    return changed


def _with_value(place: Any, parts: list[str], depth: int, value: Any) -> Any:
    if depth == len(parts):
        return value
    part = parts[depth]
    if isinstance(place, list):
        position = _position(place, parts, depth)
        entry = _with_value(place[position], parts, depth + 1, value)
        return [*place[:position], entry, *place[position + 1 :]]
    below = place if isinstance(place, dict) else {}
    return {**below, part: _with_value(below.get(part), parts, depth + 1, value)}


def _position(place: list[Any], parts: list[str], depth: int) -> int:
    part, name = parts[depth], ".".join(parts[:depth])
    if part.isdecimal() and int(part) < len(place):
        return int(part)
    there = f"entries {name}.0 to {name}.{len(place) - 1}" if place else "no entries"
    raise PathError(".".join(parts), f"{name} is a list with {there}; {part!r} is not one of them")


def assign_paths(config: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `config` with each dotted path of `values` set, numbered entries turned into lists.

    Raises:
        PathError: As `with_value`.
    """
    for path, value in values.items():
        config = with_value(config, path, value)
    for path in values:
        parts = split_path(path)
        if any(part.isdecimal() for part in parts):
            config = _with_lists(config, parts)
    return config


def _with_lists(place: Any, parts: list[str]) -> Any:
    """Turn the mappings along a path into lists where their keys are 0, 1, ..."""
    if isinstance(place, dict) and parts and is_numbered(place):
        place = [place[str(position)] for position in range(len(place))]
    if not parts or not isinstance(place, dict | list):
        return place
    key: Any = int(parts[0]) if isinstance(place, list) else parts[0]
    changed = place.copy()
    changed[key] = _with_lists(place[key], parts[1:])
    return changed


def is_numbered(mapping: Mapping[str, Any]) -> bool:
    """Whether the keys of a mapping are the indices of a list: 0, 1, ... without a gap."""
    return bool(mapping) and mapping.keys() == {str(i) for i in range(len(mapping))}


def lists_on(path: str) -> Iterable[str]:
    """Return the parts of a path that numbers lead into: `a.0.b.1` goes through `a`, `a.0.b`."""
    parts = split_path(path)
    return [".".join(parts[:i]) for i, part in enumerate(parts) if i and part.isdecimal()]


def changed_paths(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the paths whose values are not the same, so that setting them gives the other one.

    A mapping that lacks a key is one value.
    """
    known, wanted = dict(leaves(before)), dict(leaves(after))
    filled = {path for path in known if any(name.startswith(f"{path}.") for name in wanted)}
    gone = {path.rpartition(".")[0] for path in known if path not in wanted and path not in filled}
    changed = dict.fromkeys(sorted(gone))
    for path, value in wanted.items():
        inside = any(path.startswith(f"{whole}.") for whole in gone)
        if not inside and (path not in known or known[path] != value):
            changed[path] = None
    return list(changed)
