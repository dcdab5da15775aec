"""Seeds for parts of a training: nothing is drawn from a stream that would have to be saved."""

from typing import Any

from resweep.canonical import digest


def derive_seed(*parts: Any) -> int:
    """Return a seed below 2^63 that depends on all parts."""
    return int(digest(list(parts), 16), 16) >> 1
