"""Conditions on rows of the table of runs: `learning_rate<=6e-4`, `run_name=/warm/`.

Values are compared by type: 6e-4 equals 0.0006, true equals True, and text is text. An empty cell
is none: `data.tokenizer=none`. Several values may have commas between: `n_layer=2,4`.
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from resweep.errors import ConfigError, Problem

_FORM = re.compile(r"\s*(?P<name>[^=<>!]+?)\s*(?P<sign>>=|<=|!=|==|=|<|>)\s*(?P<value>.*?)\s*")
_PATTERN = re.compile(r"/(?P<text>.*)/(?P<flags>i?)")
_WORDS = {"true": True, "false": False, "none": None, "null": None, "": None}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """A condition on one column.

    Attributes:
        name: The column, as it was given.
        holds: Whether a value of it fulfils the condition.
    """

    name: str
    holds: Callable[[Any], bool]


def read_condition(text: str) -> Condition:
    """Read a condition.

    Raises:
        ConfigError: It is none; says how to write one.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        hint = "should be COLUMN=VALUE; or with != < <= > >=, or COLUMN=/regular expression/"
        raise ConfigError(Problem("--filter", text, None, hint))
    name, sign, value = found["name"], found["sign"], found["value"]
    if sign in _ORDERS:
        return Condition(name, _ordered(text, sign, value))
    test = _equal(text, value)
    return Condition(name, test if sign in ("=", "==") else lambda cell: not test(cell))


def _ordered(text: str, sign: str, value: str) -> Callable[[Any], bool]:
    wanted = _number(value)
    if wanted is None:
        hint = f"{sign} compares numbers, and {value!r} is not one; dates and text: use /.../"
        raise ConfigError(Problem("--filter", text, None, hint))
    compare = _ORDERS[sign]

    def holds(cell: Any) -> bool:
        number = _as_number(cell)
        return number is not None and compare(number, wanted)

    return holds


def _equal(text: str, value: str) -> Callable[[Any], bool]:
    pattern = _PATTERN.fullmatch(value)
    if pattern is not None:
        try:
            expression = re.compile(pattern["text"], re.IGNORECASE if pattern["flags"] else 0)
        except re.error as error:
            hint = f"{value} is not a regular expression: {error}"
            raise ConfigError(Problem("--filter", text, None, hint)) from None
        return lambda cell: cell is not None and expression.search(shown(cell)) is not None
    if value[:1] == value[-1:] == '"' and len(value) > 1:  # text that looks like something else
        return lambda cell: shown(cell) == value[1:-1]
    wanted = value.split(",") if "," in value and not value.startswith("[") else [value]
    return lambda cell: any(_is(cell, one.strip()) for one in wanted)


def _is(cell: Any, value: str) -> bool:
    number, wanted = _as_number(cell), _number(value)
    if number is not None and wanted is not None:
        return math.isclose(number, wanted, rel_tol=1e-9, abs_tol=0.0)
    if value.lower() in _WORDS and (cell is None or isinstance(cell, bool)):
        return cell is _WORDS[value.lower()]
    return cell is not None and shown(cell) == value


def shown(cell: Any) -> str:
    """Return a value as text, as in the table's file."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return "" if cell is None else str(cell)


def _as_number(cell: Any) -> float | None:
    is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
    return float(cell) if is_number else None


def _number(text: str) -> float | None:
    try:
        return float(text.replace("_", "")) if text else None
    except ValueError:
        return None
