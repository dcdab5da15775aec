"""Text in CSV cells that spreadsheets show as it is, however long.

A spreadsheet takes text that begins with = + - or @ for a formula and computes it. Such text is
written with an apostrophe before it, and read without. Numbers are never changed.
"""

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

MARK = "'"
# After spaces too, and in the wide forms of East Asian keyboards, which some programs accept.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def to_cell(value: Any) -> Any:
    """Return a value as it is written: text that would be a formula gets an apostrophe."""
    marked = isinstance(value, str) and _FORMULA.match(value.lstrip(MARK))
    return MARK + value if marked else value


def end_lines(text: str) -> str:
    r"""Return CSV text whose rows end with \r\n with rows that end with \n.

    Writers quote a \r in a cell only where rows end with one, and readers split rows at others.
    """
    parts = text.split('"')  # every second one is within quotes
    parts[::2] = [part.replace("\r\n", "\n") for part in parts[::2]]
    return '"'.join(parts)


def csv_reader(lines: Iterable[str]) -> Iterator[list[str]]:
    """Return a reader of rows, whose cells may be longer than csv's 128 kB.

    Raises:
        csv.Error: A quoted cell does not end, or text follows its quotes.
    """
    csv.field_size_limit(sys.maxsize)
    return csv.reader(lines, strict=True)


def dict_reader(lines: Iterable[str], restval: str | None = None) -> "csv.DictReader[str]":
    """Return a reader of rows as mappings, whose cells may be longer than csv's 128 kB."""
    csv.field_size_limit(sys.maxsize)
    return csv.DictReader(lines, restval=restval)


def is_marked(cell: str) -> bool:
    """Whether a cell has an apostrophe that `to_cell` put there: what follows is text."""
    return cell.startswith(MARK) and _FORMULA.match(cell.lstrip(MARK)) is not None


def from_cell(cell: Any) -> Any:
    """Return a value that was read, text without the apostrophe of `to_cell`."""
    return cell[len(MARK) :] if isinstance(cell, str) and is_marked(cell) else cell
