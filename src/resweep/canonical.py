"""Canonical JSON and the short digests made of it: the names of runs, trials and data.

Equal content always gives equal text, on every machine and Python version; what has no single
spelling (nan, infinities, minus zero, other types) is refused, and so is what a file or a table
could not hold.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

MOST_LEVELS = 100  # of lists and mappings within each other
LARGEST = 1e300  # of numbers: sums and multiples of them are still numbers
SAMPLED_DIGITS = 8  # exp and log differ between C libraries in the last bits


def round_sampled(value: float) -> float:
    """Round a sampled number to 8 significant digits, so that every platform draws the same."""
    return float(f"{value:.{SAMPLED_DIGITS}g}") + 0.0  # + 0.0 turns -0.0 into 0.0


def canonical_json(content: Any) -> str:
    """Compact JSON text with sorted keys.

    Raises:
        ValueError: A number is nan, infinite or -0.0, a key is not a string, a type has no JSON
            form, or something is too large, too deep or no text; the message gives the path.
    """
    _refuse_ambiguous(content, "", 0)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(content: Any, length: int = 64) -> str:
    """Return the first `length` hex digits of the SHA-256 of `canonical_json(content)`."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:length]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_fault(text: str) -> str | None:
    """Return why text cannot be written to files and command lines, or None."""
    if "\0" in text:
        return "a text has a NUL character; remove it"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"a text has half a character, {text[error.start]!a}; remove it"
    return None


def _refuse_ambiguous(content: Any, path: str, level: int) -> None:
    kind = type(content)
    if content is None or kind is bool:
        return
    if kind is int:
        if not -LARGEST < content < LARGEST:
            raise ValueError(f"{path or 'value'} is too large a number")
    elif kind is str:
        if text_fault(content) is not None:
            raise ValueError(f"{path or 'value'}: {text_fault(content)}")
    elif kind is float:
        if not math.isfinite(content) or (content == 0.0 and math.copysign(1.0, content) < 0):
            raise ValueError(f"{path or 'value'} = {content!r} has no canonical form")
    elif kind is dict or kind is list or kind is tuple:
        if level == MOST_LEVELS:
            raise ValueError(f"{path[:40]}: lists or mappings are nested too deeply")
        if kind is dict:
            for key, value in content.items():
                if type(key) is not str:
                    raise ValueError(f"{path or 'value'}: the key {key!r} should be a string")
                if text_fault(key) is not None:
                    raise ValueError(f"{path or 'value'}: {text_fault(key)}")
                _refuse_ambiguous(value, f"{path}.{key}" if path else key, level + 1)
        else:
            for position, value in enumerate(content):
                _refuse_ambiguous(value, f"{path}[{position}]", level + 1)
    else:
        raise ValueError(f"{path or 'value'}: {kind.__name__} has no canonical form")
