"""Errors and warnings found while reading a sweep file."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from resweep.config.spelling import nearest
from resweep.errors import Problem

TOO_LARGE = 1e300  # differences and multiples of smaller numbers do not overflow


@dataclass
class Findings:
    """Errors and warnings of one file, in the order in which they were found."""

    origin: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def wrong(self, key: str, value: Any, hint: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(self.origin, key, value, hint))

    def warn(self, text: str) -> None:
        """Add a warning."""
        self.warnings.append(f"{self.origin}: {text}")

    def unknown_keys(self, key: str, given: Iterable[Any], known: Iterable[str]) -> None:
        """Add a problem for each key of the mapping `key` that is not known."""
        for name in given:
            if name not in known:
                self.wrong(f"{key}.{name}", None, f"is not a key of {key}; {hint(name, known)}")


def hint(name: Any, known: Iterable[str]) -> str:
    """Return `did you mean ...?`, or the known names."""
    meant = nearest(str(name), known)
    return f"did you mean {meant}?" if meant else f"there are: {', '.join(sorted(known))}"


def is_number(value: Any) -> bool:
    """Whether it is a number to compute with: finite, not too large, not -0.0, not a bool."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < TOO_LARGE and (value != 0 or math.copysign(1.0, value) > 0)


def is_whole(value: Any, least: int | None = None) -> bool:
    """Whether it is an int (not a bool) of at least `least`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and (least is None or value >= least)
