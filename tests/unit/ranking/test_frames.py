"""Tables through pandas: equal values, equal bytes, no formulas."""

import csv
import math
from pathlib import Path

import pandas as pd

from resweep.ranking.frames import read_frame, write_frame


def test_text_numbers_and_gaps_come_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "trial": ["01", "02", "-3", "4"],
            "run_id": ["000000000001", None, "000000000003", "1e5"],
            "=cmd()": ["=1+1", "adam", "'=x", None],
            "mixed": ["@x", 0.1, -0.5, None],
            "text": ["\r=1", "\tx", "NA", "a\r\nb\rc"],
            "number": [0.1 + 0.2, -1e-300, math.nan, 3.0],
            "step": [1, -2, 3, 4],
        }
    )
    write_frame(tmp_path / "table.csv", frame)
    read = read_frame(tmp_path / "table.csv")
    assert list(read.columns) == list(frame.columns)
    for name in ("trial", "run_id", "=cmd()", "text"):
        assert read[name].where(read[name].notna(), None).tolist() == frame[name].tolist(), name
    assert read["mixed"].tolist()[:3] == ["@x", "0.1", "-0.5"]
    assert read["step"].tolist() == frame["step"].tolist()
    assert read["number"].tolist()[:2] == frame["number"].tolist()[:2]
    with (tmp_path / "table.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert [c for c in cells if c[:1] in tuple("=+@\t\r")] == []
    assert {c for c in cells if c.startswith("-")} == {"-0.5", "-1e-300", "-2"}  # numbers


def test_harmless_tables_have_the_bytes_that_pandas_writes(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"trial": ["a", "b"], "rate": [-0.1, None], "list": [[0.9, -1], "x"], "flag": [True, False]}
    )
    write_frame(tmp_path / "ours.csv", frame)
    frame.to_csv(tmp_path / "theirs.csv", index=False)
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "theirs.csv").read_bytes()
