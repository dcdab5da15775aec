r"""Tables as CSV files: one type a column, and no cell that a spreadsheet would compute.

    write_columns   column -> values  ->  file, atomically
    read_columns    file  ->  column -> values; or DamagedFile: file, what, fix

A column whose values are all numbers is written as whole numbers, or as floats if one of them is a
float or missing; so 8 and 8.0 are not mixed. An empty cell is None. Rows end with \n.
"""

import csv
import io
import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from resweep.cells import csv_reader, end_lines, from_cell, to_cell
from resweep.errors import DamagedFile
from resweep.files import write_atomically

# Without leading zeros, which only names have.
_WHOLE = re.compile(r"-?(?!0\d)\d+", re.ASCII)
_NUMBER = re.compile(
    r"[-+]?(?:(?!0\d)\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?inf", re.ASCII | re.IGNORECASE
)
_BOOLEANS = {"True": True, "False": False}


def write_columns(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write a table; arguments of `columns_text`."""
    write_atomically(path, columns_text(columns))


def columns_text(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return the content of a table's file.

    Args:
        columns: Name -> values, equally many in all; None and nan are empty cells.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(map(to_cell, columns))
    writer.writerows(zip(*map(_cells, columns.values()), strict=True))
    return end_lines(text.getvalue())


def read_columns(
    path: Path,
    fix: str,
    *,
    text: Collection[str] = (),
    numbers: Collection[str] = (),
    only: Collection[str] | None = None,
) -> dict[str, list[Any]]:
    """Read a table: column -> values.

    Args:
        path: The file.
        fix: What to do if it is damaged.
        text: Columns that are never numbers.
        numbers: Columns that have numbers or nothing.
        only: Columns to read, which it must have; None: all.

    Raises:
        DamagedFile: It is not a table, or was cut off.
    """
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        raise DamagedFile(path, "was cut off", fix)
    try:
        lines = csv_reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        header, *rows = filter(None, lines)
        names = [from_cell(name) for name in header]
        if len(set(names)) < len(names):
            raise ValueError("two columns have one name")
        cells = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
        columns = {
            name: _text(cells.get(name, ())) if name in text else _values(cells.get(name, ()))
            for name in (names if only is None else only)
            if name in names
        }
    except (ValueError, csv.Error) as error:
        raise DamagedFile(path, f"is not a table ({error})", fix) from None
    for name in only or ():
        if name not in columns:
            raise DamagedFile(path, f"has no column {name}", fix)
    for name in columns.keys() & set(numbers):
        if any(isinstance(value, str | bool) for value in columns[name]):
            raise DamagedFile(path, f"has a row without a number as {name}", fix)
    return columns


def _cells(values: Sequence[Any]) -> list[Any]:
    known = [value for value in values if not _is_missing(value)]
    whole = len(known) == len(values)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        if whole and all(isinstance(value, int) for value in known):
            return known
        return [None if _is_missing(value) else float(value) for value in values]
    return [None if _is_missing(value) else to_cell(value) for value in values]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(cells: Sequence[str]) -> list[str | None]:
    return [from_cell(cell) or None for cell in cells]


def _values(cells: Sequence[str]) -> list[Any]:
    known = set(filter(None, cells))
    read: dict[str, Any]
    if all(map(_WHOLE.fullmatch, known)):
        read = {cell: int(cell) for cell in known}
    elif all(map(_NUMBER.fullmatch, known)):
        read = {cell: float(cell) for cell in known}
    elif known <= _BOOLEANS.keys():
        read = _BOOLEANS
    else:
        read = {cell: from_cell(cell) for cell in known}
    return [read.get(cell) for cell in cells]
