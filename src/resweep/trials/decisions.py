"""decisions.csv: every keep, stop and promotion of a phase with its evidence, one per row.

`rule` is for people; `rule_digest` is for programs: at rungs it is the digest of the settings that
decided, elsewhere it is empty. Files of older versions lack it.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from resweep.cells import dict_reader, from_cell, to_cell
from resweep.errors import DamagedFile
from resweep.files import write_atomically

COLUMNS = (
    "trial", "run_id", "step", "decision", "rule", "value", "threshold", "compared", "reason",
    "rule_digest",
)  # fmt: skip
MADE_AGAIN = "delete it and run snakemake: it is made again from the records"
NUMBERS = ("step", "value", "threshold", "compared")  # text too, in rows that were read


def read_decisions(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Read decision files, in order; all values are text.

    Raises:
        DamagedFile: One is not what was written.
    """
    return [row for path in paths for row in _read(path)]


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_bytes().decode()
        if not text.endswith("\n"):
            raise ValueError("was cut off")
        reader = dict_reader(io.StringIO(text, newline=""))
        lacking = [column for column in COLUMNS[:-1] if column not in (reader.fieldnames or ())]
        if lacking:
            raise ValueError(f"has no column {lacking[0]}")
        rows = [_each(from_cell, row) for row in reader]
        for row in rows:
            typed(row)
    except (ValueError, TypeError, csv.Error) as error:
        what = f"is not a table of decisions ({error})"
        raise DamagedFile(path, what, MADE_AGAIN) from None
    return rows


def write_decisions(path: Path, decisions: Iterable[dict[str, Any]]) -> None:
    """Write decisions."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(_each(to_cell, row) for row in decisions)
    write_atomically(path, text.getvalue())


def _each(change: Callable[[Any], Any], row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if name in NUMBERS else change(value) for name, value in row.items()}


def typed(row: Mapping[str, str]) -> dict[str, Any]:
    """Return a row with its types as before writing: numbers as numbers, None for empty ones."""
    return {
        **row,
        "run_id": row["run_id"] or None,
        "step": int(row["step"]),
        "value": float(row["value"]) if row["value"] else None,
        "threshold": float(row["threshold"]) if row["threshold"] else None,
        "compared": int(row["compared"]),
    }
