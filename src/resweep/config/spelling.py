"""Unknown names: misspelt, or the user's own hyperparameters."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from resweep.config.nesting import OWN
from resweep.config.own_names import is_own, own_hint
from resweep.config.schema import SYSTEM, Schema


def misspellings(
    content: Mapping[str, Any], schema: Schema, own: Collection[str] = ()
) -> Iterator[tuple[str, Any, str]]:
    """Yield `(path, value, hint)` for unknown keys that look like a known one.

    Args:
        content: A configuration; sections that allow no unknown keys are checked elsewhere.
        schema: The known fields.
        own: The user's own hyperparameters.
    """
    for section, fields in content.items():
        known_section = schema.sections.get(section)
        if section in (SYSTEM, OWN):
            continue
        if known_section is None:
            nested = isinstance(fields, Mapping)
            # Only a mapping can be meant for a section.
            meant = nearest(section, [SYSTEM, *(schema.sections if nested else ())])
            meant = meant or nearest_field(section, schema)
            if meant and not is_own(section, own):
                value = None if nested else fields
                fields = " or ".join(schema.fields.get(meant, [meant]))
                yield section, value, _did_you_mean(fields, section)
        elif isinstance(fields, Mapping) and known_section.model_config["extra"] == "allow":
            for key, value in fields.items():
                path = f"{section}.{key}"
                if key not in known_section.model_fields and not is_own(path, own):
                    meant = nearest(key, known_section.model_fields)
                    if meant:
                        yield path, value, _did_you_mean(f"{section}.{meant}", path)


def _did_you_mean(meant: str, name: str) -> str:
    return f"did you mean {meant}? Or, {own_hint([name])}"


def no_such_field(path: str, schema: Schema) -> str:
    """Return the message for an unknown key of a section or of a list's entry with fixed keys."""
    section, field, *below = path.split(".")
    known = schema.sections[section].model_fields
    place, key = section, field
    if below and field in known:  # arch.stages.0.repeats
        known = next(_models_in(known[field].annotation)).model_fields
        place, _, key = path.rpartition(".")
    meant = nearest(key, known)
    hint = f"did you mean {place}.{meant}?" if meant else f"there are: {', '.join(known)}"
    return f"is not a key of {place}; {hint}"


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in a type: those of the entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def nearest_field(name: str, schema: Schema, section: str = "") -> str | None:
    """Return the field that a name which nothing reads is probably a misspelling of, or None.

    Short names that have to be written as paths are not guessed. Words of four letters are too much
    like others (`bins`, `speed`): one with a new letter in it is another word.

    Args:
        name: The last part of a path.
        schema: The known fields.
        section: What is before it; in a known section, only its own fields are compared.
    """
    if section in schema.sections:
        fields = [field for field in schema.fields if f"{section}.{field}" in schema.paths]
    else:
        fields = [field for field in schema.fields if field not in schema.path_only]
    meant = nearest(name, fields)
    other = meant is not None and len(meant) <= 4 and set(name.lower()) - {*meant, "s"}
    return None if other else meant


def nearest(key: str, known: Iterable[str]) -> str | None:
    """Return the known key that `key` is probably a misspelling of, or None.

    Two keys that differ only in digits (`beta1`, `beta3`) or in min and max are different keys;
    otherwise one edit is allowed in short words and two in words of more than six letters.
    """
    best = min(known, key=lambda name: (_edits(key.lower(), name), name), default=None)
    if best is None or best == key or _without_counters(best) == _without_counters(key):
        return None
    if key.lower() in (f"{best}s", best.removesuffix("s")):  # tops, phase
        return best
    allowed = 2 if len(best) > 6 else 1 if len(best) > 3 else 0
    return best if _edits(key.lower(), best) <= allowed else None


def _without_counters(key: str) -> str:
    return re.sub(r"\d|^(min|max)_", "", key)


def _edits(left: str, right: str) -> int:
    """Number of insertions, deletions, substitutions and swaps of neighbours between two words.

    The optimal string alignment distance.
    """
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
