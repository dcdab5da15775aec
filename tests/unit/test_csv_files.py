"""CSV files: equal values come back, bytes as pandas writes them, no formulas, damage is named."""

import csv
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from resweep.csv_files import read_columns, write_columns
from resweep.errors import DamagedFile

TABLE: dict[str, list[Any]] = {
    "trial": ["01", "02", "-3", "4"],
    "run_id": ["000000000001", None, "000000000003", "1e5"],
    "=cmd()": ["=1+1", "adam", "'=x", None],
    "mixed": ["@x", 0.1, -0.5, None],
    "text": ["\r=1", "\tx", "NA", "a\r\nb\rc"],
    "slots": ["007", "12", "3", "40"],
    "number": [0.1 + 0.2, -1e-300, math.nan, 3.0],
    "step": [1, -2, 3, 10**18 + 1],
    "flag": [True, False, None, True],
    "none": [None, None, None, None],
}


def test_values_come_back(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    write_columns(file, TABLE)
    read = read_columns(file, "", text=["trial", "run_id"])
    assert list(read) == list(TABLE)
    expected = TABLE | {
        "mixed": ["@x", "0.1", "-0.5", None],
        "number": [0.1 + 0.2, -1e-300, None, 3.0],
    }
    assert read == expected
    assert [type(value) for value in read["step"]] == [int] * 4
    with file.open(newline="") as opened:
        cells = [cell for row in csv.reader(opened) for cell in row]
    assert [c for c in cells if c[:1] in tuple("=+@\t\r")] == []
    assert {c for c in cells if c.startswith("-")} == {"-0.5", "-1e-300", "-2"}  # numbers


@pytest.mark.parametrize(
    "values",
    [
        [-0.1, None],
        [8, None],
        [8, 0.5],
        [8, 16],
        [[0.9, -1], "x"],
        [True, False],
        [True, None],
        [True, 1],
        [1, "a, b"],
        ['say "x"', "a\nb"],
        [None, None],
        [math.inf, -math.inf],
        [1e-05, 1e16],
        [0.1 + 0.2, 5e-324],
        [math.nan, "x"],
    ],
    ids=repr,
)
def test_harmless_tables_have_the_bytes_that_pandas_writes(
    values: list[Any], tmp_path: Path
) -> None:
    columns = {"trial": ["a", "b"], "values": values}
    write_columns(tmp_path / "ours.csv", columns)
    pd.DataFrame(columns).to_csv(tmp_path / "theirs.csv", index=False)
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "theirs.csv").read_bytes()


def test_what_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(b"\xef\xbb\xbfrate,count\r\n1.00E-05,8\r\n.5,16\r\n")
    assert read_columns(file, "") == {"rate": [1e-05, 0.5], "count": [8, 16]}


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    write_columns(file, {"a": [1], "b": ["x"]})
    assert read_columns(file, "", only=["a"]) == {"a": [1]}
    write_columns(file, {"a": [], "b": []})
    assert read_columns(file, "") == {"a": [], "b": []}


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2", b"a,b\n1\n", b"a,b\n1,2,3\n", b'a,b\n1,"2\n', b"\xff,b\n", b"a,a\n1,2\n",
     b"c,b\n1,2\n", b"a,b\nx,2\n", b"a,b\nTrue,2\n"],
)  # fmt: skip
def test_damage_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    with pytest.raises(DamagedFile) as caught:
        read_columns(file, "", numbers=["a"], only=["a", "b"])
    assert caught.value.path == file and "\n" not in str(caught.value)
