"""The tables of runs: one of a study's trials, one of all runs in the store.

    records, trial files         ->  results/{study}/runs.csv    one row per trial
    results/runs/*/ and records  ->  results/runs.csv            one row per run

Both are rebuilt from files each time, so they are never out of date, and equal files give equal
bytes. `update_metrics` adds results of later analyses.
"""

import csv
import functools
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.cells import end_lines, to_cell
from resweep.config import compose
from resweep.config.nesting import nest
from resweep.config.schema import SYSTEM
from resweep.errors import ConfigError, Problem, StoreError
from resweep.files import file_lock, write_atomically
from resweep.paths import BY_HAND, Layout, phase_and_slot, trial_of
from resweep.store.run import Run
from resweep.systems.registry import all_systems, is_system, system_of
from resweep.systems.system import DEFAULT, System
from resweep.trials.record import read_record
from resweep.trials.trial import read_trial

LEAD = (
    "run_id", "run_name", "timestamp", "sweep_name", "study", "phase", "trial", "status",
)  # fmt: skip
SIZES = ("total_steps", "model_size_M")
TIMES = ("seconds", "gpu_seconds")


def result_columns(systems: Iterable[System]) -> dict[str, str]:
    """Return the columns that systems declare for final metrics: column -> metric."""
    metrics = (metric for system in systems for metric in system.metrics)
    return {metric.column: metric.name for metric in metrics if metric.column is not None}


@functools.cache  # each row asks
def taken_columns() -> frozenset[str]:
    """Return the column names that hyperparameters may not use."""
    return frozenset({*LEAD, *result_columns(all_systems()), *SIZES, *TIMES})


def tabulate_study(records: Iterable[Path], layout: Layout) -> str:
    """Return a study's table as CSV text.

    Args:
        records: `.../{phase}/records/{trial}.json` of all its trials.
        layout: Where the runs are.

    Returns:
        One row per trial, ordered by the phases as given and by the trials' names.
    """
    paths = list(records)
    places = {path: phase_and_slot(path) for path in paths}
    phases = list(dict.fromkeys(phase for phase, _ in places.values()))
    paths.sort(key=lambda path: (phases.index(places[path][0]), places[path][1]))
    return _csv([_trial_row(path, layout) for path in paths])


def write_runs_table(layout: Layout) -> Path:
    """Rebuild results/runs.csv from the store.

    Only one writer at a time reads and writes, so no row gets lost.
    """
    with file_lock(layout.runs_table.with_name(f".{layout.runs_table.name}.lock")):
        write_atomically(layout.runs_table, _csv(_store_rows(layout)))
    return layout.runs_table


def update_metrics(
    run_id: str, metrics: Mapping[str, float | int | str | bool], layout: Layout
) -> None:
    """Add metrics to a run; they become columns when the tables are next rebuilt.

    Args:
        run_id: A run in the store.
        metrics: Name -> value; replaces values that were added before.
        layout: Where the runs are.

    Raises:
        StoreError: There is no such run.
        ConfigError: A name is already a column or metric of the run, or a value is neither a
            number nor text.
    """
    run = Run(layout.run(run_id))
    if not run.path.is_dir():
        raise StoreError(
            f"{run_id}: no such run in {layout.runs}; see the list in {layout.runs_table}"
        )
    own = taken_columns() | set(run.state().get("metrics", {})) | set(_config(run))
    problems = []
    for name, value in metrics.items():
        if name in own:
            hint = "is already a column of the run; choose another name"
            problems.append(Problem(run_id, name, value, hint))
        elif not isinstance(value, float | int | str):
            hint = f"is a {type(value).__name__}; should be a number or text"
            problems.append(Problem(run_id, name, None, hint))
    if problems:
        raise ConfigError(problems)
    added = run.folder.added_metrics
    with file_lock(added.with_name(f".{added.name}.lock")):
        merged = {**_added(run), **metrics}
        write_atomically(added, json.dumps(merged, indent=2, sort_keys=True) + "\n")


def _config(run: Run) -> dict[str, Any]:
    """Return every leaf of a run's configuration; empty for a run that never started."""
    path = run.folder.config
    return dict(compose.leaves(yaml12.load_mapping(path), entries=True)) if path.exists() else {}


def _added(run: Run) -> dict[str, Any]:
    try:
        return dict(json.loads(run.folder.added_metrics.read_text()))
    except FileNotFoundError:
        return {}


def _trial_row(path: Path, layout: Layout) -> "Row":
    record = read_record(path)
    trial = read_trial(trial_of(path))
    run = None if record.run_id is None else Run(layout.run(record.run_id))
    asked = dict(compose.leaves(trial.config, entries=True))
    row = Row(asked if run is None else _filled(asked, _config(run)))
    row.lead = {"status": record.status} | _place(trial.study, trial.phase, trial.trial)
    row.name_run(record.run_id)
    row.fill(
        metrics=record.metrics,
        step=record.step,
        parameters=record.parameters,
        seconds=record.seconds,
        gpu_seconds=record.gpu_seconds,
    )
    if run is not None:
        row.add_stored(run)
    return row


def _filled(config: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a configuration, with gaps filled from another.

    Resolving a trial's configuration fills in some fields and empties those that it replaced (a
    warmup fraction becomes steps), which may be the swept ones: neither has all values.
    """
    known = {path: value for path, value in config.items() if value is not None}
    return {**config, **other, **known}


def _store_rows(layout: Layout) -> list["Row"]:
    places = _first_trials(layout)
    rows = []
    for folder in sorted(path for path in layout.runs.glob("[!.]*") if path.is_dir()):
        run = Run(folder)
        state = run.state()
        config, place = _config(run), places.get(run.run_id)
        file = None if place is None else layout.trial(*place)
        if file is not None and file.exists():
            config = _filled(config, dict(compose.leaves(read_trial(file).config, entries=True)))
        row = Row(config)
        row.lead = {"status": state.get("status")} | (_place(*place) if place else {})
        row.name_run(run.run_id)
        seconds = [part["seconds"] for part in state.get("segments", [])]
        row.fill(
            metrics=state.get("metrics", {}),
            step=state.get("step"),
            parameters=_parameters(run),
            seconds=round(sum(seconds), 2),
            gpu_seconds=state.get("gpu_seconds"),
        )
        row.add_stored(run)
        rows.append(row)
    return rows


def _place(study: str, phase: str, trial: str) -> dict[str, str]:
    sweep = {"sweep_name": f"{study}/{phase}", "run_name": f"{phase}/{trial}"}
    return {"study": study, "phase": phase, "trial": trial, **sweep}


def _first_trials(layout: Layout) -> dict[str, tuple[str, str, str]]:
    """Return the first trial by name that links to each run; trainings by hand come last.

    Reads the links only, no files.
    """
    first: dict[str, tuple[str, str, str]] = {}
    by_hand = layout.study(BY_HAND).path
    links = layout.all_trial_records()
    for link in sorted(links, key=lambda link: (by_hand in link.parents, link)):
        if link.is_symlink():
            run_id = link.readlink().parent.parent.name
            phase, trial = phase_and_slot(link)
            first.setdefault(run_id, (phase.path.parent.name, phase.path.name, trial))
    return first


def _parameters(run: Run) -> int | None:
    """Return the size of a run's model from its records; None before the first one."""
    for path in run.records().values():
        found = read_record(path).parameters
        if found is not None:
            return found
    return None


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

    def add_stored(self, run: Run) -> None:
        """Set what only the run's folder knows: when it started, and what was added."""
        try:
            started = (run.folder.config).stat().st_mtime
        except FileNotFoundError:
            pass
        else:
            moment = datetime.fromtimestamp(int(started), UTC)
            self.lead["timestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.added = _added(run)

    def cells(self) -> dict[str, Any]:
        """Return the row as column -> value."""
        return {k: v for group in reversed(self.GROUPS) for k, v in getattr(self, group).items()}


def _csv(rows: list[Row]) -> str:
    """Format rows as CSV; a row leaves the columns that it does not have empty."""
    systems = list(dict.fromkeys(row.system for row in rows if row.system))
    known: dict[str, list[str]] = {
        "lead": list(LEAD),
        "results": [*result_columns(systems), *SIZES],
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
