"""Runs in CSV files as W&B exports them.

    long    run_name, learning_rate, ..., Step, Train Loss     a row for each logged step
    panel   Step, "NAME - METRIC", "NAME - METRIC__MIN", ...   a column for each run
    table   Name, State, learning_rate, ..., val/loss          a row for each run: final values only

A panel has no hyperparameters; a table of the same runs, read beside it, has them. Cells that are
empty or no finite number are missing values.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError, Problem
from resweep.ranking.export_cells import (
    MOST_NAMED,
    are_numbers,
    find_column,
    first_value,
    known_cells,
    no_column,
    points_of,
    read_cells,
)

RUN = ("run_name", "run name", "name", "run", "run_id", "id", "display_name")
X_AXIS = ("step", "_step", "global_step", "trainer/global_step", "iter", "iteration", "epoch")
METRIC = ("train loss", "train/loss", "train_loss", "loss", "val/loss", "val_loss", "val loss")
# Columns of W&B's table of runs that are neither settings nor metrics.
OF_TABLE = (
    "state", "notes", "user", "tags", "created", "runtime", "sweep", "id", "name", "description",
    "group", "job type", "agent", "github", "gpu count", "gpu type", "host", "updated", "end time",
    "_runtime", "_timestamp", "_wandb", "run_name",
)  # fmt: skip
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
        ConfigError: One of them is not an export of several runs, or lacks what is wanted.
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
    header, rows = read_cells(path)
    panel = _Panel.of(path, header, wanted)
    if panel is not None:
        return panel.read(rows)
    run = find_column(path, header, "--run-column", wanted.run, RUN)
    if run is None:
        hint = f"has no column with the names of runs, and none NAME - METRIC; {EXPORT}"
        raise ConfigError(Problem(str(path), "", None, hint))
    is_table = "state" in {name.lower() for name in header} and wanted.x is None
    x = None if is_table else find_column(path, header, "--x-axis", wanted.x, X_AXIS)
    names = [row[run] for row in rows]
    if x is None and not is_table and len(set(names)) < len(names):
        hint = f"has several rows of one run, and none of {', '.join(X_AXIS)}"
        raise ConfigError(Problem(str(path), "--x-axis", None, hint + "; name the column of steps"))
    metric = find_column(path, header, "--metric", wanted.metric, METRIC)
    if metric is None:
        numbers = [name for name in header if are_numbers(rows, name) and name not in (run, x)]
        hint = f"is missing: the file has {', '.join(numbers[:MOST_NAMED])}"
        raise ConfigError(Problem(str(path), "--metric", None, hint))
    if x is None or len(set(names)) == len(names):
        return Exported(metric, None, _table(path, header, rows, run, metric, wanted))
    return Exported(metric, x, _long(path, header, rows, run, x, metric, wanted))


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
        x = find_column(path, others, "--x-axis", wanted.x, X_AXIS) or next(iter(others), None)
        if x is None:
            hint = "is missing: the file has no column besides those of runs"
            raise ConfigError(Problem(str(path), "--x-axis", None, hint))
        return cls(x, metrics[0], {name: run for name, run, _ in pairs})

    def read(self, rows: Sequence[Mapping[str, str]]) -> Exported:
        """Return its runs."""
        runs = [
            ExportedRun(name=run, points=points_of((row[self.x], row[column]) for row in rows))
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
        and all(len(known_cells(row[name] for row in group)) <= 1 for group in groups.values())
    ]
    names = _settings(path, header, fixed, wanted)
    return tuple(
        ExportedRun(
            name=name,
            points=points_of((row[x], row[metric]) for row in group),
            settings={key: value for key in names for value in first_value(group, key)},
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
        and len(known_cells(row[name] for row in rows)) > 1
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
                points=() if metric is None else points_of([("0", row[metric])]),
                settings={name: value for name in names for value in first_value([row], name)},
            )
        )
    return tuple(found)


def _read_settings(path: Path, wanted: Columns) -> tuple[ExportedRun, ...]:
    """Return the runs of a file that is read for their settings alone."""
    header, rows = read_cells(path)
    run = find_column(path, header, "--run-column", wanted.run, RUN)
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
            hint = no_column(name, header)
            raise ConfigError(Problem(str(path), "--hyperparameters", name, hint))
    return wanted.settings
