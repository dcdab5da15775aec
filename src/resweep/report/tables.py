"""The tables of runs: one of a study's trials, one of all runs in the store.

    records, trial files         ->  results/{study}/runs.csv    one row per trial
    results/runs/*/ and records  ->  results/runs.csv            one row per run

Both are rebuilt from files each time, so they are never out of date, and equal files give equal
bytes. `update_metrics` adds results of later analyses.
"""

import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from resweep.config import compose
from resweep.config.nesting import nest, split_path
from resweep.errors import ConfigError, DamagedFile, Problem, ResweepError, StoreError
from resweep.files import file_lock, write_atomically
from resweep.json_files import read_json, write_json
from resweep.paths import BY_HAND, Layout, phase_and_slot, run_of_link, trial_of
from resweep.report.rows import SIZES, Row, csv_text, result_columns, taken_columns
from resweep.store.outcome import OutcomeReader
from resweep.store.run import Run
from resweep.systems.registry import all_systems
from resweep.trials.record import Number, Status
from resweep.trials.trial import Outcome

_ADDED = TypeAdapter(dict[str, Number | str | bool])

REGISTERED = "registered"  # in the state of a run that a script of one's own trains

log = logging.getLogger(__name__)


def tabulate_study(records: Iterable[Path], layout: Layout) -> str:
    """Return a study's table as CSV text.

    Args:
        records: `.../{phase}/records/{trial}.json` of all its trials.
        layout: Where the runs are.

    Returns:
        One row per trial, ordered by the phases as given and by the trials' names.

    Raises:
        StoreError: Trials or records are damaged or do not belong together, one line each.
    """
    paths = list(records)
    places = {path: phase_and_slot(path) for path in paths}
    phases = list(dict.fromkeys(phase for phase, _ in places.values()))
    paths.sort(key=lambda path: (phases.index(places[path][0]), places[path][1]))
    outcomes = OutcomeReader(layout).read_all(paths)
    return csv_text([_trial_row(outcome, layout) for outcome in outcomes])


def write_runs_table(layout: Layout) -> Path:
    """Rebuild results/runs.csv from the store.

    Only one writer at a time reads and writes, so no row gets lost.
    """
    with file_lock(layout.runs_table.with_name(f".{layout.runs_table.name}.lock")):
        write_atomically(layout.runs_table, csv_text(_store_rows(layout)))
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
    config = dict(compose.leaves(run.config(), entries=True))
    state = run.state()
    own = taken_columns() | set(state.get("metrics", {})) | set(config)
    if REGISTERED in state:  # by a script, which alone knows its results
        own -= {*result_columns(all_systems()), *SIZES}
    problems = []
    for name, value in metrics.items():
        if name in own:
            hint = "is already a column of the run; choose another name"
            problems.append(Problem(run_id, name, value, hint))
        elif isinstance(value, float) and not math.isfinite(value):
            problems.append(Problem(run_id, name, value, "is not a finite number; leave it out"))
        elif not isinstance(value, float | int | str):
            hint = f"is a {type(value).__name__}; should be a number or text"
            problems.append(Problem(run_id, name, None, hint))
    if problems:
        raise ConfigError(problems)
    added = run.folder.added_metrics
    with file_lock(added.with_name(f".{added.name}.lock")):
        merged = {**_read_added(run), **metrics}
        write_json(added, dict(sorted(merged.items())))


def _config(run: Run) -> dict[str, Any]:
    """Return every leaf of a run's configuration; none if it never started, or is damaged."""
    try:
        return dict(compose.leaves(run.config(), entries=True))
    except DamagedFile as error:
        log.warning("%s; the table has no values of it", error)
        return {}


def _read_added(run: Run) -> dict[str, Any]:
    try:
        fix = "repair it, or delete it to lose what was added"  # nothing else has these values
        added: dict[str, Any] = read_json(run.folder.added_metrics, fix, _ADDED)
        return added
    except FileNotFoundError:
        return {}


def _added(run: Run) -> dict[str, Any]:
    """Return the metrics that were added to a run; none if their file is damaged."""
    try:
        return _read_added(run)
    except DamagedFile as error:
        log.warning("%s; the table has no values of it", error)
        return {}


def _started(run: Run) -> float | None:
    """Return when a run began, in seconds since 1970; None for one that never did."""
    try:
        return run.folder.config.stat().st_mtime
    except FileNotFoundError:
        return None


def _trial_row(outcome: Outcome, layout: Layout) -> Row:
    record, trial = outcome.record, outcome.trial
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
    row.say_end(record.status, record.rule, trial.config)
    if run is not None:
        row.add_stored(_started(run), _added(run))
    return row


def _filled(config: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a configuration, with gaps filled from another.

    Resolving a trial's configuration fills in some fields and empties those that it replaced (a
    warmup fraction becomes steps), which may be the swept ones: neither has all values. A section
    that is empty in one may have fields in the other, as that of a pretrained model's own settings.
    """
    known = {path: value for path, value in config.items() if value is not None}
    filled = {**config, **other, **known}
    inner = {tuple(split_path(path)[:-1]) for path in filled}
    sections = {".".join(parts[:end]) for parts in inner for end in range(1, len(parts) + 1)}
    return {path: value for path, value in filled.items() if path not in sections}


def _store_rows(layout: Layout) -> list[Row]:
    """Return a row for each run; one whose state is damaged is left out, with a warning."""
    places, reader = _first_trials(layout), OutcomeReader(layout)
    rows = []
    for folder in layout.all_runs():
        run = Run(folder)
        try:
            rows.append(_store_row(run, places.get(run.run_id), reader))
        except DamagedFile as error:
            log.warning("%s; the table has no row of it", error)
    return rows


def _store_row(run: Run, place: "tuple[str, str, str] | None", reader: OutcomeReader) -> Row:
    state, config = run.state(), _config(run)
    if place is not None:
        asked = _asked(reader.layout.record(*place), reader)
        config = config if asked is None else _filled(config, asked)
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
    if state.get("status") in (Status.FINISHED, Status.DIVERGED):  # the others end in trials
        row.say_end(state["status"], None, nest(config))
    row.add_stored(_started(run), _added(run))
    if REGISTERED in state:
        row.lead |= state[REGISTERED]
        row.results |= {name: row.added[name] for name in row.results if name in row.added}
    return row


def _asked(record: Path, reader: OutcomeReader) -> dict[str, Any] | None:
    """Return every leaf of what a trial asks for; None without its file, or if it is damaged."""
    if not trial_of(record).exists():
        return None
    try:
        return dict(compose.leaves(reader.read(record).trial.config, entries=True))
    except ResweepError as error:
        log.warning("%s", error)
        return None


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
        run_id = run_of_link(link)
        if run_id is not None:
            phase, trial = phase_and_slot(link)
            first.setdefault(run_id, (phase.path.parent.name, phase.path.name, trial))
    return first


def _parameters(run: Run) -> int | None:
    """Return the size of a run's model from its records; None before the first one."""
    for path in run.records().values():
        try:
            found = run.read_record(path).parameters
        except DamagedFile as error:
            log.warning("%s", error)
            continue
        if found is not None:
            return found
    return None
