"""Data frames as CSV files: names as text, and no cell that a spreadsheet would compute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from resweep.cells import end_lines, from_cell, to_cell
from resweep.files import write_atomically

NAMES = {"trial": str, "run_id": str}


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame without its index."""
    whole = _each_text(to_cell, frame).to_csv(index=False, lineterminator="\r\n")
    write_atomically(path, end_lines(whole))


def read_frame(path: Path) -> pd.DataFrame:
    """Read a frame; names of trials and runs are text, and only empty cells are missing."""
    read = pd.read_csv(path, dtype=NAMES, keep_default_na=False, na_values=[""])
    return _each_text(from_cell, read)


def _each_text(change: Callable[[Any], Any], frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with its text changed, names of columns included."""
    text = frame.select_dtypes(["object", "str"])
    changed = {str(name): text[name].map(change) for name in text}
    return frame.assign(**changed).rename(columns=change)
