"""Data frames as CSV files: names as text, and no cell that a spreadsheet would compute."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from resweep.cells import end_lines, from_cell, to_cell
from resweep.errors import DamagedFile
from resweep.files import write_atomically
from resweep.trials.decisions import MADE_AGAIN

NAMES = {"trial": str, "run_id": str}


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame without its index."""
    whole = _each_text(to_cell, frame).to_csv(index=False, lineterminator="\r\n")
    write_atomically(path, end_lines(whole))


def read_frame(path: Path) -> pd.DataFrame:
    """Read a frame; names of trials and runs are text, and only empty cells are missing.

    Raises:
        DamagedFile: It is not a table, or was cut off.
    """
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        raise DamagedFile(path, "was cut off", MADE_AGAIN)
    try:
        read = pd.read_csv(io.BytesIO(content), dtype=NAMES, keep_default_na=False, na_values=[""])
    except (ValueError, OverflowError) as error:  # pandas' own are ValueErrors
        text = " ".join(str(error).split())
        raise DamagedFile(path, f"is not a table ({text})", MADE_AGAIN) from None
    return _each_text(from_cell, read)


def _each_text(change: Callable[[Any], Any], frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with its text changed, names of columns included."""
    text = frame.select_dtypes(["object", "str"])
    changed = {str(name): text[name].map(change) for name in text}
    return frame.assign(**changed).rename(columns=change)
