"""The cells of an exported CSV file: columns by their names, numbers, missing values."""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.cells import csv_reader
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem

NOT_FINITE = ("NaN", "nan", "Infinity", "-Infinity", "inf", "-inf")
MOST_NAMED = 12


def read_cells(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the header and the rows, short ones filled up with empty cells."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(filter(None, csv_reader(file)))
    except OSError as error:
        hint = f"cannot be read: {error.strerror}"
        raise ConfigError(Problem(str(path), "", None, hint)) from None
    except (ValueError, csv.Error) as error:
        raise ConfigError(Problem(str(path), "", None, f"is not a CSV file: {error}")) from None
    if not lines:
        raise ConfigError(Problem(str(path), "", None, "is empty"))
    header, *rows = lines
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        hint = f"has two columns {twice[0]!r}; rename one"
        raise ConfigError(Problem(str(path), "", None, hint))
    long = next((n for n, row in enumerate(rows, 2) if len(row) > len(header)), None)
    if long is not None:
        hint = f"row {long} has more cells than the header has names"
        raise ConfigError(Problem(str(path), "", None, hint))
    filled = ([*row, *[""] * (len(header) - len(row))] for row in rows)
    return header, [dict(zip(header, row, strict=True)) for row in filled]


def find_column(
    path: Path, header: Sequence[str], option: str, given: str | None, usual: Sequence[str]
) -> str | None:
    """Return the column that an option names, or the first that usually is it.

    Raises:
        ConfigError: The option names a column that is not there.
    """
    if given is not None:
        if given in header:
            return given
        raise ConfigError(Problem(str(path), option, given, no_column(given, header)))
    lower = {name.lower(): name for name in reversed(header)}
    return next((lower[name] for name in usual if name in lower), None)


def no_column(given: str, header: Sequence[str]) -> str:
    """Return what is wrong with the name of a column."""
    meant = nearest(given, header)
    if meant:
        return f"is not a column; did you mean {meant}?"
    more = ", ..." if len(header) > MOST_NAMED else ""
    return f"is not a column; there are: {', '.join(header[:MOST_NAMED])}{more}"


def points_of(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[float, float], ...]:
    """Return the pairs of finite numbers, by x; of equal x the last counts."""
    known = {}
    for x, value in pairs:
        at, y = number_of(x), number_of(value)
        if at is not None and y is not None:
            known[at] = y
    return tuple(sorted(known.items()))


def number_of(cell: str) -> float | None:
    """Return a finite number, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def are_numbers(rows: Iterable[Mapping[str, str]], name: str) -> bool:
    """Whether a column has numbers only, besides missing values."""
    known = known_cells(row[name] for row in rows) - set(NOT_FINITE)
    return bool(known) and all(number_of(cell) is not None for cell in known)


def known_cells(cells: Iterable[str]) -> set[str]:
    """Return the different cells that are not empty."""
    return {cell for cell in cells if cell.strip()}


def first_value(rows: Iterable[Mapping[str, str]], name: str) -> list[Any]:
    """Return the value of a setting, as a list of one; empty where it is missing."""
    known = next((row[name] for row in rows if row[name].strip()), None)
    if known is None:
        return []
    # W&B writes numbers as text with all their digits: 0.001, 1e-05.
    number = re.fullmatch(r"[-+]?\d+(\.0)?", known)
    return [int(float(known)) if number else yaml12.parse_scalar(known)]
