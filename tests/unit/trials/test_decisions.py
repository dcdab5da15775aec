"""Decisions as a table: what is written is read, and a spreadsheet computes none of it."""

import csv
from pathlib import Path
from typing import Any

from resweep.trials.decisions import COLUMNS, read_decisions, typed, write_decisions

ROW: dict[str, Any] = {
    "trial": "-1",
    "run_id": "=run",
    "step": 10,
    "decision": "stop",
    "rule": "@rule",
    "value": -0.5,
    "threshold": -1e-9,
    "compared": 3,
    "reason": "+ more, than\r\nenough",
    "rule_digest": "abc",
}


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_text_comes_back_and_numbers_stay(tmp_path: Path) -> None:
    write_decisions(tmp_path / "one.csv", [ROW])
    header, row = cells(tmp_path / "one.csv")
    assert tuple(header) == COLUMNS
    marked = {name for name, cell in zip(header, row, strict=True) if cell.startswith("'")}
    assert marked == {"trial", "run_id", "rule", "reason"}
    assert [typed(row) for row in read_decisions([tmp_path / "one.csv"])] == [ROW]


def test_rows_that_were_read_are_written_as_they_were(tmp_path: Path) -> None:
    """As when a phase's decisions begin with those of its rungs."""
    write_decisions(tmp_path / "one.csv", [ROW])
    write_decisions(tmp_path / "two.csv", read_decisions([tmp_path / "one.csv"]))
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


def test_tables_of_older_versions_are_read(tmp_path: Path) -> None:
    names = COLUMNS[:-1]
    text = ",".join(names) + "\n-1,r,10,stop,=x,-0.5,,3,- because\n"
    (tmp_path / "old.csv").write_text(text)
    (row,) = read_decisions([tmp_path / "old.csv"])
    assert (row["trial"], row["rule"], row["value"], row["reason"]) == (
        "-1",
        "=x",
        "-0.5",
        "- because",
    )
