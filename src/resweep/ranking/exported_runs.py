"""Runs in CSV files as W&B exports them.

    long    run_name, learning_rate, ..., Step, Train Loss     a row for each logged step
    panel   Step, "NAME - METRIC", "NAME - METRIC__MIN", ...   a column for each run
    table   Name, State, learning_rate, ..., val/loss          a row for each run: final values only

A panel has no hyperparameters; a table of the same runs, read beside it, has them. Cells that are
empty or no finite number are missing values.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.cells import csv_reader
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem

RUN = ("run_name", "run name", "name", "run", "run_id", "id", "display_name")
X_AXIS = ("step", "_step", "global_step", "trainer/global_step", "iter", "iteration", "epoch")
METRIC = ("train loss", "train/loss", "train_loss", "loss", "val/loss", "val_loss", "val loss")
# Columns of W&B's table of runs that are neither settings nor metrics.
OF_TABLE = (
    "state", "notes", "user", "tags", "created", "runtime", "sweep", "id", "name", "description",
    "group", "job type", "agent", "github", "gpu count", "gpu type", "host", "updated", "end time",
    "_runtime", "_timestamp", "_wandb", "run_name",
)  # fmt: skip
NOT_FINITE = ("NaN", "nan", "Infinity", "-Infinity", "inf", "-inf")
MOST_NAMED = 12
SPREAD = ("__MIN", "__MAX")
EXPORT = (
    "export a chart's data (its menu: Export, CSV), which has a column for each run, or the table "
    "of runs; the history of a single run cannot be compared with anything"
)


@dataclass(frozen=True, kw_only=True)
class ExportedRun:
    """A run of an export.

    Attributes:
        name: As in the file; of several with one name, with a number.
        points: Pairs of x and value, by x; one, without x, where only the final value is known.
        settings: Its hyperparameters, as in the file.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Columns:
    """Which columns to read; None: to be found.

    Attributes:
        run: With the names of runs.
        x: With the step.
        metric: The metric.
        settings: Hyperparameters.
    """

    run: str | None = None
    x: str | None = None
    metric: str | None = None
    settings: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Exported:
    """The runs of an export.

    Attributes:
        metric, x: Names of what was read; x is None for a table.
        runs: In the order of the file.
        problems: Lines about runs without a value.
    """

    metric: str
    x: str | None
    runs: tuple[ExportedRun, ...]


def read_exports(paths: Sequence[Path], wanted: Columns) -> Exported:
    """Read exports; settings that one of them lacks are taken from the others, by the runs' names.

    Args:
        paths: CSV files, that with the curves first.
        wanted: Which columns to read.

    Raises:
        ConfigError: One of them is no export of several runs, or what is wanted is not there.
    """
    first = read_export(paths[0], wanted)
    settings: dict[str, Mapping[str, Any]] = {}
    for path in paths[1:]:
        of_file = replace(wanted, x=None, metric=None)
        for run in _read_settings(path, of_file):
            settings[run.name] = run.settings
    runs = tuple(
        replace(run, settings={**settings.get(run.name, {}), **run.settings}) for run in first.runs
    )
    return replace(first, runs=runs)


def read_export(path: Path, wanted: Columns) -> Exported:
    """Read one export; raises ConfigError."""
    header, rows = _read(path)
    panel = _Panel.of(path, header, wanted)
    if panel is not None:
        return panel.read(rows)
    run = _find(path, header, "--run-column", wanted.run, RUN)
    if run is None:
        hint = f"has no column with the names of runs, and none NAME - METRIC; {EXPORT}"
        raise ConfigError(Problem(str(path), "", None, hint))
    is_table = "state" in {name.lower() for name in header} and wanted.x is None
    x = None if is_table else _find(path, header, "--x-axis", wanted.x, X_AXIS)
    names = [row[run] for row in rows]
    if x is None and not is_table and len(set(names)) < len(names):
        hint = f"has several rows of one run, and none of {', '.join(X_AXIS)}"
        raise ConfigError(Problem(str(path), "--x-axis", None, hint + "; name the column of steps"))
    metric = _find(path, header, "--metric", wanted.metric, METRIC)
    if metric is None:
        numbers = [name for name in header if _is_number(rows, name) and name not in (run, x)]
        hint = f"is missing: the file has {', '.join(numbers[:MOST_NAMED])}"
        raise ConfigError(Problem(str(path), "--metric", None, hint))
    if x is None or len(set(names)) == len(names):
        return Exported(metric, None, _table(path, header, rows, run, metric, wanted))
    return Exported(metric, x, _long(path, header, rows, run, x, metric, wanted))


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the header and the rows, short ones filled up with empty cells."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(filter(None, csv_reader(file)))
    except OSError as error:
        hint = f"cannot be read: {error.strerror}"
        raise ConfigError(Problem(str(path), "", None, hint)) from None
    except (ValueError, csv.Error) as error:
        raise ConfigError(Problem(str(path), "", None, f"is not a CSV file: {error}")) from None
    if not lines:
        raise ConfigError(Problem(str(path), "", None, "is empty"))
    header, *rows = lines
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        hint = f"has two columns {twice[0]!r}; rename one"
        raise ConfigError(Problem(str(path), "", None, hint))
    long = next((n for n, row in enumerate(rows, 2) if len(row) > len(header)), None)
    if long is not None:
        hint = f"row {long} has more cells than the header has names"
        raise ConfigError(Problem(str(path), "", None, hint))
    filled = ([*row, *[""] * (len(header) - len(row))] for row in rows)
    return header, [dict(zip(header, row, strict=True)) for row in filled]


@dataclass(frozen=True)
class _Panel:
    """A chart's data.

    Attributes:
        x: Its column of steps.
        metric: The metric.
        columns: Column -> name of the run.
    """

    x: str
    metric: str
    columns: Mapping[str, str]

    @classmethod
    def of(cls, path: Path, header: Sequence[str], wanted: Columns) -> "_Panel | None":
        """Return it; None if the file is of another shape."""
        pairs = [
            (name, *name.rsplit(" - ", 1))
            for name in header
            if " - " in name and not name.endswith(SPREAD)
        ]
        if wanted.metric is not None:
            end = f" - {wanted.metric}"
            of_metric = [name for name, *_ in pairs if name.endswith(end)]
            pairs = [(name, name.removesuffix(end), wanted.metric) for name in of_metric]
        if not pairs or wanted.run is not None:
            return None
        metrics = list(dict.fromkeys(metric for *_, metric in pairs))
        if len(metrics) > 1:
            hint = f"should be one of {', '.join(metrics)}, which the file has"
            raise ConfigError(Problem(str(path), "--metric", None, hint))
        others = [name for name in header if " - " not in name]
        x = _find(path, others, "--x-axis", wanted.x, X_AXIS) or next(iter(others), None)
        if x is None:
            hint = "is missing: the file has no column besides those of runs"
            raise ConfigError(Problem(str(path), "--x-axis", None, hint))
        return cls(x, metrics[0], {name: run for name, run, _ in pairs})

    def read(self, rows: Sequence[Mapping[str, str]]) -> Exported:
        """Return its runs."""
        runs = [
            ExportedRun(name=run, points=_points((row[self.x], row[column]) for row in rows))
            for column, run in self.columns.items()
        ]
        return Exported(self.metric, self.x, tuple(runs))


def _long(
    path: Path,
    header: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    run: str,
    x: str,
    metric: str,
    wanted: Columns,
) -> tuple[ExportedRun, ...]:
    """Return the runs of a file with a row for each logged step."""
    groups: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault(row[run], []).append(row)
    fixed = [
        name
        for name in header
        if name not in (run, x, metric)
        and all(len(_known(row[name] for row in group)) <= 1 for group in groups.values())
    ]
    names = _settings(path, header, fixed, wanted)
    return tuple(
        ExportedRun(
            name=name,
            points=_points((row[x], row[metric]) for row in group),
            settings={key: value for key in names for value in _values(group, key)},
        )
        for name, group in groups.items()
    )


def _table(
    path: Path,
    header: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    run: str,
    metric: str | None,
    wanted: Columns,
) -> tuple[ExportedRun, ...]:
    """Return the runs of a file with a row for each; without points if no metric is given."""
    varying = [
        name
        for name in header
        if name not in (run, metric)
        and name.lower() not in OF_TABLE
        and not name.startswith("_")
        and "/" not in name
        and len(_known(row[name] for row in rows)) > 1
    ]
    names = _settings(path, header, varying, wanted)
    found = []
    seen: Counter[str] = Counter()
    for row in rows:
        seen[row[run]] += 1
        count = seen[row[run]]
        found.append(
            ExportedRun(
                name=row[run] if count == 1 else f"{row[run]} ({count})",
                points=() if metric is None else _points([("0", row[metric])]),
                settings={name: value for name in names for value in _values([row], name)},
            )
        )
    return tuple(found)


def _read_settings(path: Path, wanted: Columns) -> tuple[ExportedRun, ...]:
    """Return the runs of a file that is read for their settings alone."""
    header, rows = _read(path)
    run = _find(path, header, "--run-column", wanted.run, RUN)
    if run is None:
        hint = "has no column with the names of runs; it should be W&B's table of runs"
        raise ConfigError(Problem(str(path), "", None, hint))
    return _table(path, header, rows, run, None, wanted)


def _settings(
    path: Path, header: Sequence[str], found: Sequence[str], wanted: Columns
) -> Sequence[str]:
    """Return the columns that are hyperparameters."""
    if wanted.settings is None:
        return found
    for name in wanted.settings:
        if name not in header:
            hint = _no_column(name, header)
            raise ConfigError(Problem(str(path), "--hyperparameters", name, hint))
    return wanted.settings


def _find(
    path: Path, header: Sequence[str], option: str, given: str | None, usual: Sequence[str]
) -> str | None:
    """Return the column that an option names, or the first that usually is it.

    Raises:
        ConfigError: The option names a column that is not there.
    """
    if given is not None:
        if given in header:
            return given
        raise ConfigError(Problem(str(path), option, given, _no_column(given, header)))
    lower = {name.lower(): name for name in reversed(header)}
    return next((lower[name] for name in usual if name in lower), None)


def _no_column(given: str, header: Sequence[str]) -> str:
    meant = nearest(given, header)
    if meant:
        return f"is not a column; did you mean {meant}?"
    more = ", ..." if len(header) > MOST_NAMED else ""
    return f"is not a column; there are: {', '.join(header[:MOST_NAMED])}{more}"


def _points(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[float, float], ...]:
    """Return the pairs of finite numbers, by x; of equal x the last counts."""
    known = {}
    for x, value in pairs:
        at, y = _number(x), _number(value)
        if at is not None and y is not None:
            known[at] = y
    return tuple(sorted(known.items()))


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_number(rows: Iterable[Mapping[str, str]], name: str) -> bool:
    known = _known(row[name] for row in rows) - set(NOT_FINITE)
    return bool(known) and all(_number(cell) is not None for cell in known)


def _known(cells: Iterable[str]) -> set[str]:
    return {cell for cell in cells if cell.strip()}


def _values(rows: Iterable[Mapping[str, str]], name: str) -> list[Any]:
    """Return the value of a setting, as a list of one; empty where it is missing."""
    known = next((row[name] for row in rows if row[name].strip()), None)
    if known is None:
        return []
    # W&B writes numbers as text with all their digits: 0.001, 1e-05.
    number = re.fullmatch(r"[-+]?\d+(\.0)?", known)
    return [int(float(known)) if number else yaml12.parse_scalar(known)]
