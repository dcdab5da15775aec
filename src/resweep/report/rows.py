"""The rows of the tables of runs, and their CSV text.

    configuration, results, times  ->  Row  ->  one line; columns in groups

Columns do not depend on the order of rows, so that equal files give equal bytes.
"""

import csv
import functools
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from resweep.cells import end_lines, to_cell
from resweep.config.nesting import nest
from resweep.config.schema import SYSTEM
from resweep.systems.registry import all_systems, is_system, system_of
from resweep.systems.system import DEFAULT, System

LEAD = (
    "run_id", "run_name", "timestamp", "sweep_name", "study", "phase", "trial", "status",
)  # fmt: skip
SIZES = ("total_steps", "model_size_M")
TIMES = ("seconds", "gpu_seconds")


def result_columns(systems: Iterable[System]) -> dict[str, str]:
    """Return the columns that systems declare for final metrics: column -> metric."""
    metrics = (metric for system in systems for metric in system.metrics)
    return {metric.column: metric.name for metric in metrics if metric.column is not None}


def stop_columns(systems: Iterable[System]) -> list[str]:
    """Return the columns in which systems say why trainings ended."""
    return [system.stop_column for system in systems if system.stop_column is not None]


@functools.cache  # each row asks
def taken_columns() -> frozenset[str]:
    """Return the column names that hyperparameters may not use."""
    systems = all_systems()
    results = (*result_columns(systems), *stop_columns(systems))
    return frozenset({*LEAD, *results, *SIZES, *TIMES})


class Row:
    """One row, with its columns in groups; the table orders columns by group.

    Args:
        config: The leaves of a configuration, path -> value; fields that its kind of model does
            not have are left out.

    Attributes:
        system: The system of the configuration; None without one, or if it was removed.
        lead: Identifies the row: run, study, phase, trial, status.
        config: The configuration, under names that no other column has.
        results: Final values, under the names of `result_columns`.
        metrics: Every final metric under its own name.
        times: Training time.
        added: Metrics that were added later.
    """

    GROUPS = ("lead", "config", "results", "metrics", "times", "added")

    def __init__(self, config: Mapping[str, Any]):
        self.lead: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        known = bool(config) and is_system(config.get(SYSTEM, DEFAULT))
        self.system = system_of(config) if known else None
        unused = self.system.unused(nest(config)) if self.system else ()
        taken = taken_columns()
        for path, value in config.items():
            if ".".join(path.split(".")[:2]) in unused:
                continue
            # A hyperparameter may be called `status`, which is a column of ours.
            self.config[f"config.{path}" if path in taken else path] = value
        self.results: dict[str, Any] = {}
        self.metrics: dict[str, Any] = {}
        self.times: dict[str, Any] = {}
        self.added: dict[str, Any] = {}

    def name_run(self, run_id: str | None) -> None:
        """Set the id, and the name if the configuration gives one."""
        given = self.config.get("run.name")
        self.lead |= {"run_id": run_id} | ({"run_name": given} if given else {})

    def fill(
        self,
        *,
        metrics: Mapping[str, float],
        step: int | None,
        parameters: int | None,
        seconds: float | None,
        gpu_seconds: float | None,
    ) -> None:
        """Set the numbers, from a record or a run's state."""
        self.metrics = dict(metrics)
        columns = result_columns([self.system] if self.system else [])
        self.results = {column: self.metrics.get(name) for column, name in columns.items()}
        self.results |= {
            "total_steps": step,
            "model_size_M": None if parameters is None else round(parameters / 1e6, 6),
        }
        self.times = {"seconds": seconds, "gpu_seconds": gpu_seconds}

    def say_end(self, status: str, rule: str | None, config: Mapping[str, Any]) -> None:
        """Set why the training ended, if the system has words for it; `fill` was called before.

        Args:
            status, rule: Of its record.
            config: Of the trial, complete.
        """
        if self.system is not None and self.system.stop_column is not None:
            text = self.system.stop_text(status, rule, config)
            self.results[self.system.stop_column] = text

    def add_stored(self, started: float | None, added: Mapping[str, Any]) -> None:
        """Set what only the run's folder knows.

        Args:
            started: When it began, in seconds since 1970.
            added: Metrics that were added later.
        """
        if started is not None:
            moment = datetime.fromtimestamp(int(started), UTC)
            self.lead["timestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.added = dict(added)

    def cells(self) -> dict[str, Any]:
        """Return the row as column -> value."""
        return {k: v for group in reversed(self.GROUPS) for k, v in getattr(self, group).items()}


def csv_text(rows: list[Row]) -> str:
    """Format rows as CSV; a row leaves the columns that it does not have empty."""
    systems = list(dict.fromkeys(row.system for row in rows if row.system))
    known: dict[str, list[str]] = {
        "lead": list(LEAD),
        "results": [*result_columns(systems), *stop_columns(systems), *SIZES],
        "times": list(TIMES),
    }
    columns: dict[str, None] = {}
    for group in Row.GROUPS:
        names = {name: None for row in rows for name in getattr(row, group)}
        # Fields of configurations keep the order of the files; others have none.
        listed = list(names) if group == "config" else sorted(names)
        columns |= dict.fromkeys(known.get(group, listed))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns))
    writer.writerow({name: to_cell(name) for name in columns})
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.cells().items()})
    return end_lines(text.getvalue())


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool | list | dict) else to_cell(value)
