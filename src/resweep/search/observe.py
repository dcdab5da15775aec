"""What a search has observed: the points tried, and their results.

    records of earlier rounds   -> observations, in canonical order
    a CSV of earlier trainings  -> observations to start from

A trial that a rung stopped has no final value. It gets an estimate: its value at the rung, plus the
median change from that rung to the end of the trials that finished. Without it, a model would treat
its region as untried.
"""

import contextlib
import csv
import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from resweep import yaml12
from resweep.cells import dict_reader, from_cell, is_marked
from resweep.config import compose
from resweep.config.metric import sign_of
from resweep.config.schema import Schema
from resweep.errors import ConfigError, Problem
from resweep.paths import PhaseFolder
from resweep.search.suggest import Observation
from resweep.trials.record import Status, has_result
from resweep.trials.trial import Outcome, read_outcome

Progress = Callable[[Outcome], float | None]  # see `Observation.progress`
FINAL = "final"  # the metric's column in scores.csv


def no_progress(outcome: Outcome) -> None:
    """Return that it is unknown."""


def histories(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Group outcomes by trial, in the order of their names and, within one, of its rungs."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.trial.trial, []).append(outcome)
    return {name: sorted(found[name], key=_asked) for name in sorted(found)}


def _asked(outcome: Outcome) -> float:
    """Step that a trial should have reached; after a failure, its record is from an earlier one."""
    return math.inf if outcome.trial.stop is None else outcome.trial.stop


def observe(
    outcomes: Iterable[Outcome], metric: str, progress: Progress = no_progress
) -> list[Observation]:
    """Turn the outcomes of a search into observations.

    Args:
        outcomes: Of all trials, at all their rungs.
        metric: The metric to optimise.
        progress: Returns how much a training still improved in its second half.
    """
    tried = histories(outcomes)
    changes = _changes(tried.values(), metric)
    observations = []
    for history in tried.values():
        last = history[-1]
        status, value = last.record.status, last.record.value(metric)
        point = last.trial.assignments
        if status in (Status.FINISHED, Status.STOPPED) and value is not None:
            if last.record.has_result:
                observations.append(Observation(point, value, progress=progress(last)))
            else:
                estimate = value + changes.get(len(history), 0.0)
                observations.append(Observation(point, estimate, Status.STOPPED))
        elif status in (Status.DIVERGED, Status.INFEASIBLE, Status.FAILED):
            observations.append(Observation(point, None, status))
    return observations


def _changes(tried: Iterable[Sequence[Outcome]], metric: str) -> dict[int, float]:
    """Median change of the metric from each rung to the end, over the trials that finished."""
    changes: dict[int, list[float]] = {}
    for history in tried:
        end = history[-1].record.value(metric)
        if history[-1].record.status != Status.FINISHED or end is None:
            continue
        for rung, outcome in enumerate(history[:-1], 1):
            value = outcome.record.value(metric)
            if value is not None:
                changes.setdefault(rung, []).append(end - value)
    return {rung: statistics.median(found) for rung, found in changes.items()}


def reached(outcomes: Iterable[Outcome], metric: str, goal: str, target: float) -> Outcome | None:
    """Return the first trial that reaches the target, or None."""
    sign = sign_of(goal)
    for history in histories(outcomes).values():
        value = history[-1].record.value(metric)
        good = value is not None and sign * value <= sign * target
        if good and history[-1].record.has_result:
            return history[-1]
    return None


def read_table(
    path: Path,
    metric: str,
    names: Sequence[str],
    schema: Schema,
    read: Callable[[Path], Outcome] = read_outcome,
    progress: Progress = no_progress,
) -> list[Observation]:
    """Read tried points from a CSV: scores.csv of a phase, or W&B's export of a runs table.

    Args:
        path: One row per training; columns are hyperparameters, by path or short name, and the
            metric (`final` in scores.csv). If there is a status (W&B: State), diverged and
            infeasible trainings count as such, others only if they finished. For the table of a
            phase its records are read too: trials that a rung stopped count as in a search.
        metric: The metric to optimise.
        names: Paths of the parameters; rows that lack one are left out.
        schema: The known fields.
        read: Reads the trials of a phase by their records.
        progress: As of `observe`.

    Raises:
        ConfigError: No such table, or no column for the metric or for a parameter.
    """
    rows, column, by_path = _read_rows(path, metric, names, schema)
    phase = PhaseFolder(path.parent)
    if column == FINAL and phase.records.is_dir():
        return _observe_phase(phase, metric, names, read, progress)
    found = []
    for row in rows:
        point = {name: _cell(row[by_path[name]]) for name in names}
        value = _cell(row[column])
        status = _status(row)
        known = type(value) in (int, float) and math.isfinite(value)
        if None in point.values() or status is None:
            continue
        if status != Status.FINISHED or known:
            value = float(value) if status == Status.FINISHED else None
            found.append(Observation(_coerced(point, schema), value, status))
    return found


def _observe_phase(
    phase: PhaseFolder,
    metric: str,
    names: Collection[str],
    read: Callable[[Path], Outcome],
    progress: Progress,
) -> list[Observation]:
    """Observe the trials of a ranked phase, at all their rungs if it has any.

    Parameters that it did not sweep are read from the configurations of its trials.
    """
    outcomes = []
    # Not where a run is gone.
    records = filter(Path.exists, phase.records_at_rungs() or phase.final_records())
    for outcome in map(read, records):
        values = dict(compose.leaves(outcome.trial.config))
        point = {name: values[name] for name in names if name in values}
        if len(point) == len(names) and None not in point.values():
            outcomes.append(replace(outcome, trial=replace(outcome.trial, assignments=point)))
    return observe(outcomes, metric, progress)


def check_tables(
    paths: Iterable[Path], metric: str, names: Sequence[str], schema: Schema
) -> list[Problem]:
    """Return the problems that `read_table` would raise."""
    problems: list[Problem] = []
    for path in paths:
        try:
            _read_rows(path, metric, names, schema)
        except ConfigError as error:
            problems += error.problems
    return problems


def _read_rows(
    path: Path, metric: str, names: Sequence[str], schema: Schema
) -> tuple[list[dict[str, str]], str, dict[str, str]]:
    """Return the rows of a table, the column of the metric, and columns by path."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = dict_reader(file, restval="")
            reader.fieldnames = list(map(from_cell, reader.fieldnames or ()))
            rows, columns = list(reader), list(reader.fieldnames)
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(
            Problem(str(path), "warm_start", None, f"cannot be read as CSV: {error}")
        ) from None
    of_phase = {"trial", "run_id", "status", FINAL} <= set(columns)
    column = FINAL if of_phase else metric
    by_path = {_path(name, schema): name for name in columns}
    records = of_phase and PhaseFolder(path.parent).records.is_dir()
    lacking = [name for name in names if name not in by_path and not records]
    if column not in columns:
        lacking.insert(0, column)
    if lacking:
        hint = f"no such column; there are: {', '.join(columns)}"
        raise ConfigError(Problem(str(path), "warm_start", lacking[0], hint))
    return rows, column, by_path


def _status(row: Mapping[str, str]) -> Status | None:
    """Return the status of a row's training; None if it did not finish."""
    status = row.get("status", row.get("State", Status.FINISHED))
    if has_result(status, row.get("rule")):
        return Status.FINISHED
    return Status(status) if status in (Status.DIVERGED, Status.INFEASIBLE) else None


def _cell(text: str) -> Any:
    """Parse a cell by the rules of YAML 1.2, lists included: choices may be lists."""
    if is_marked(text):
        return from_cell(text)
    if text.startswith("["):
        with contextlib.suppress(yaml.YAMLError):
            return yaml12.parse(text)
    return yaml12.parse_scalar(text)


def _path(column: str, schema: Schema) -> str:
    try:
        return compose.resolve_name(column, {}, schema)
    except ValueError:
        return column


def _coerced(point: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    coerced = {}
    for path, value in point.items():
        try:
            coerced[path] = compose.coerce(path, value, schema)
        except ValueError:
            coerced[path] = value  # not an allowed value, so not in the space either
    return coerced
