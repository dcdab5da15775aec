"""Canonical JSON and the short digests made of it: the names of runs, trials and data.

Equal content always gives equal text, on every machine and Python version; what has no single
spelling (nan, infinities, minus zero, other types) is refused.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

SAMPLED_DIGITS = 8  # exp and log differ between C libraries in the last bits


def round_sampled(value: float) -> float:
    """Round a sampled number to 8 significant digits, so that every platform draws the same."""
    return float(f"{value:.{SAMPLED_DIGITS}g}") + 0.0  # + 0.0 turns -0.0 into 0.0


def canonical_json(content: Any) -> str:
    """Compact JSON text with sorted keys.

    Raises:
        ValueError: A number is nan, infinite or -0.0, a key is not a string, or a type has no JSON
            form; the message gives the path of that value.
    """
    _refuse_ambiguous(content, "")
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(content: Any, length: int = 64) -> str:
    """Return the first `length` hex digits of the SHA-256 of `canonical_json(content)`."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:length]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_ambiguous(content: Any, path: str) -> None:
    kind = type(content)
    if kind is str or kind is int or kind is bool or content is None:
        return
    if kind is float:
        if not math.isfinite(content) or (content == 0.0 and math.copysign(1.0, content) < 0):
            raise ValueError(f"{path or 'value'} = {content!r} has no canonical form")
    elif kind is dict:
        for key, value in content.items():
            if type(key) is not str:
                raise ValueError(f"{path or 'value'}: the key {key!r} should be a string")
            _refuse_ambiguous(value, f"{path}.{key}" if path else key)
    elif kind is list or kind is tuple:
        for position, value in enumerate(content):
            _refuse_ambiguous(value, f"{path}[{position}]")
    else:
        raise ValueError(f"{path or 'value'}: {kind.__name__} has no canonical form")
