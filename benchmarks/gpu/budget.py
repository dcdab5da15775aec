"""How long a part of the benchmark may take, and what it says when that is over."""

import time
from collections.abc import Iterable, Iterator

Lines = Iterator[str]


class Budget:
    """Seconds that a part may take, within those of the whole.

    Args:
        of_part: Of this part.
        end: Of the whole, by time.monotonic.
    """

    def __init__(self, of_part: float, end: float):
        self.of_part = of_part
        self.end = min(time.monotonic() + of_part, end)

    def is_spent(self) -> bool:
        """Whether nothing more should begin."""
        return time.monotonic() > self.end

    def cut(self, what: Iterable[str]) -> str:
        """Say what was left out."""
        return f"Not measured in the {self.of_part:.0f} seconds of this part: {', '.join(what)}."


def first_line(error: Exception) -> str:
    """Return what an error says, short enough for a table."""
    return repr(error).partition("\\n")[0][:200]
