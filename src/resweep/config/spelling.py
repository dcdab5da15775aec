"""Names that look like misspellings of known ones."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from resweep.config.schema import SECTIONS

FIELDS = {field for section in SECTIONS.values() for field in section.model_fields}


def misspellings(content: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield `(path, value, known path)` for unknown keys that look like a known one."""
    for section, fields in content.items():
        known_section = SECTIONS.get(section)
        if known_section is None:
            meant = nearest(section, [*SECTIONS, *FIELDS])
            if meant:
                yield section, None if isinstance(fields, Mapping) else fields, meant
        elif isinstance(fields, Mapping):
            for key, value in fields.items():
                if key not in known_section.model_fields:
                    meant = nearest(key, known_section.model_fields)
                    if meant:
                        yield f"{section}.{key}", value, f"{section}.{meant}"


def nearest(key: str, known: Any) -> str | None:
    """Return the known key that `key` is probably a misspelling of, or None.

    Two keys that differ in digits (`beta1`, `beta3`) or in min and max alone are two keys;
    otherwise one edit is forgiven in short words and two in words of more than six letters.
    """
    best = min(known, key=lambda name: (_edits(key.lower(), name), name))
    if best == key or _same_but_counted(best) == _same_but_counted(key):
        return None
    allowed = 2 if len(best) > 6 else 1 if len(best) > 3 else 0
    return best if _edits(key.lower(), best) <= allowed else None


def _same_but_counted(key: str) -> str:
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
