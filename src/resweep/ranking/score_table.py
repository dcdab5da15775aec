"""scores.csv: written, and read to show it or to decide by it."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from resweep.csv_files import read_columns, write_columns
from resweep.errors import DamagedFile
from resweep.paths import PhaseFolder
from resweep.plurals import counted
from resweep.ranking.score_row import SCORE_COLUMNS, ScoreRow, hyperparameters, scored
from resweep.trials.decisions import MADE_AGAIN
from resweep.trials.record import Record, read_record

READ_BACK = ("rank", "trial", "run_id", "status", "score", "step")  # in files of all versions
TEXT = ("trial", "run_id", "status", "rule", "stop_reason", "tie")
NUMBERS = tuple(name for name in SCORE_COLUMNS if name not in TEXT)


def write_scores(path: Path, rows: Sequence[ScoreRow]) -> None:
    """Write a ranking."""
    columns = {name: [getattr(row, name) for row in rows] for name in SCORE_COLUMNS}
    for name in hyperparameters(rows):
        columns[name] = [row.hyperparameters.get(name) for row in rows]
    write_columns(path, columns)


def read_scores(path: Path) -> list[ScoreRow]:
    """Read scores.csv; columns that an older version did not write are empty.

    Raises:
        DamagedFile: It is not a ranking.
    """
    columns = read_columns(path, MADE_AGAIN, text=TEXT, numbers=NUMBERS)
    lacking = [column for column in READ_BACK if column not in columns]
    if lacking:
        raise DamagedFile(path, f"has no column {lacking[0]}", MADE_AGAIN)
    for name in ("rank", "step"):
        if not all(isinstance(value, int) for value in columns[name]):
            raise DamagedFile(path, f"has a row without a whole number as {name}", MADE_AGAIN)
    for name in ("trial", "status"):
        if None in columns[name]:
            raise DamagedFile(path, f"has a row without {name}", MADE_AGAIN)
    own = [name for name in columns if name in SCORE_COLUMNS]
    swept = [name for name in columns if name not in SCORE_COLUMNS]
    return [
        ScoreRow(
            **{name: columns[name][row] for name in own},
            hyperparameters={name: columns[name][row] for name in swept},
        )
        for row in range(len(columns["rank"]))
    ]


def read_ranking(path: Path, trials: int | None = None) -> list[ScoreRow]:
    """Read scores.csv to decide by it: compared with the records that it was made from.

    Args:
        path: The ranking.
        trials: How many the phase has; None: unknown.

    Raises:
        DamagedFile: It is not the ranking of these records.
    """
    rows = read_scores(path)
    if trials is not None and len(rows) != trials:
        raise DamagedFile(
            path, f"has {counted(len(rows), 'row')} for {counted(trials, 'trial')}", MADE_AGAIN
        )
    ranks = [row.rank for row in rows]
    if any(after - before not in (0, 1) for before, after in pairwise([0, *ranks])):
        raise DamagedFile(path, "has ranks that do not rise one by one", MADE_AGAIN)
    scores = [row.score for row in scored(rows) if row.score is not None]
    if any(after > before for before, after in pairwise(scores)):
        raise DamagedFile(path, "has scores that do not fall with the rank", MADE_AGAIN)
    folder = PhaseFolder(path.parent)
    for row in rows:
        try:
            record = read_record(folder.record(row.trial))
        except DamagedFile:  # those who read records say so
            continue
        other = _difference(row, record)
        if other is not None:
            what = f"has another {other} of trial {row.trial} than its record"
            raise DamagedFile(path, what, MADE_AGAIN)
    return rows


def _difference(row: ScoreRow, record: Record) -> str | None:
    """Return a column of a row that is not as in the trial's record, or None."""
    for column in ("run_id", "status", "step"):
        if getattr(row, column) != getattr(record, column):
            return column
    return None if row.final is None or row.final in record.metrics.values() else "final"
