"""Seeds for parts of a training, so that no generator state has to be saved."""

from typing import Any

from resweep.canonical import digest


def derive_seed(*parts: Any) -> int:
    """Return a seed below 2^63 that depends on all parts."""
    return int(digest(list(parts), 16), 16) >> 1
