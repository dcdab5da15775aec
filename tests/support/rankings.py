"""Rankings as data frames, in which tests look things up, and back."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from resweep.csv_files import write_columns
from resweep.ranking.score_row import SCORE_COLUMNS, ScoreRow
from resweep.ranking.score_table import read_scores


def frame(rows: Iterable[ScoreRow]) -> pd.DataFrame:
    """Return the columns of scores.csv."""
    return pd.DataFrame(
        [{name: getattr(row, name) for name in SCORE_COLUMNS} | row.hyperparameters for row in rows]
    )


def read_frame(path: Path) -> pd.DataFrame:
    return frame(read_scores(path))


def write_frame(path: Path, table: pd.DataFrame) -> None:
    write_columns(path, {name: table[name].tolist() for name in table})
