"""Text in tables that a spreadsheet would compute."""

import csv
import io
from typing import Any

import pytest

from resweep.cells import dict_reader, end_lines, from_cell, is_marked, to_cell

FORMULAS = [
    "=1+1",
    "+1",
    "-0.5",
    "-",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\nx",
    " =1",
    "\uff1d1",
    '=HYPERLINK("http://example.com","x")',
    "=a,b",
]
HARMLESS = [
    "",
    "a\rb",
    'a"\r\n"b',
    "a\r\nb",
    "adam",
    "1e-3",
    "a=b",
    "it's",
    "'",
    "'a'",
    "[-1, 2]",
    "keep: best",
    " a",
    "\u2212x",
]
NUMBERS = [-0.5, -1, 0.1 + 0.2, 1e-300, float("-inf"), True, None]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text_and_comes_back(text: str) -> None:
    assert to_cell(text) == f"'{text}"
    assert is_marked(to_cell(text)) and from_cell(to_cell(text)) == text


@pytest.mark.parametrize("value", [*HARMLESS, *NUMBERS])
def test_everything_else_stays(value: Any) -> None:
    assert to_cell(value) is value
    assert from_cell(value) is value


@pytest.mark.parametrize("text", ["'=1", "''-x", "'''@"])
def test_text_that_looks_like_a_written_formula_comes_back(text: str) -> None:
    assert from_cell(to_cell(text)) == text


def test_a_long_cell_is_read() -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([["text"], ["x" * 200_000]])
    (row,) = dict_reader(io.StringIO(written.getvalue(), newline=""))
    assert row == {"text": "x" * 200_000}


@pytest.mark.parametrize("text", [*FORMULAS, "'=1", *HARMLESS])
def test_through_a_file(text: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerow(["first", to_cell(text)])
    whole = end_lines(written.getvalue())
    assert whole.endswith("\n") and not whole.endswith("\r\n")
    ((_, cell),) = csv.reader(io.StringIO(whole, newline=""))
    assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert from_cell(cell) == text
