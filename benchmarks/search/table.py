"""Tables of learning curves, in a form that anyone can write.

    learning_rate,optimizer,val/loss@100,val/loss@200
    0.001,adamw,3.61,3.2
    0.01,sgd,4.2,

One row a training: columns of hyperparameters, then one column a value of the metric, named
`metric@step`, in rising steps. A training that diverged leaves the rest of its row empty. Rows with
equal hyperparameters are repeats with other seeds: they tell how noisy a training is.

The search space is read off the columns. Words are choices, and so are up to eight different
numbers; other whole numbers are a range of whole numbers; other numbers are a range, uniform or
log-uniform, whichever the column fills more evenly.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kstest

from resweep import yaml12
from resweep.errors import ConfigError, Problem
from resweep.sweep import Parameter

FEWEST_ROWS = 16
MOST_CHOICES = 8  # more different numbers than this are a range


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of learning curves.

    Attributes:
        name: Of the file, without its ending.
        metric: What the curves are of.
        parameters: The search space that the columns span.
        points: Hyperparameters of each row.
        steps: At which the metric was evaluated.
        curves: The metric, shape (rows, evaluations); nan where a training had diverged.
    """

    name: str
    metric: str
    parameters: tuple[Parameter, ...]
    points: tuple[dict[str, Any], ...]
    steps: tuple[int, ...]
    curves: np.ndarray


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        ConfigError: All that is wrong with it, with line and column.
    """
    origin = str(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(Problem(origin, "", None, f"cannot be read: {error}")) from None
    except ValueError:
        raise ConfigError(Problem(origin, "", None, "is empty")) from None
    metric, steps = _read_header(origin, header)
    names = header[: len(header) - len(steps)]
    problems: list[Problem] = []
    if len(rows) < FEWEST_ROWS:
        hint = f"has {len(rows)} rows; an interpolation needs {FEWEST_ROWS}, better hundreds"
        problems.append(Problem(origin, "", None, hint))
    points, curves = [], []
    for line, row in enumerate(rows, 2):
        where = f"{origin}:{line}"
        if len(row) != len(header):
            hint = f"has {len(row)} cells; the header has {len(header)}"
            problems.append(Problem(where, "", None, hint))
            continue
        cells = [yaml12.parse_scalar(cell) for cell in row]
        point = dict(zip(names, cells, strict=False))
        problems += [
            Problem(where, name, None, "is empty") for name, v in point.items() if v is None
        ]
        points.append(point)
        curves.append(_read_curve(where, header[len(names) :], cells[len(names) :], problems))
    if problems:
        raise ConfigError(problems)
    parameters = [_parameter(origin, name, [point[name] for point in points]) for name in names]
    swept = tuple(parameter for parameter in parameters if parameter is not None)
    if not swept:
        raise ConfigError(Problem(origin, "", None, "has no hyperparameter with two values"))
    kept = tuple({p.name: point[p.name] for p in swept} for point in points)
    return Table(
        name=path.stem,
        metric=metric,
        parameters=swept,
        points=kept,
        steps=steps,
        curves=np.array(curves),
    )


def _read_header(origin: str, header: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Return the metric and its steps."""
    split = [name.rpartition("@") for name in header]
    curve = [bool(metric) and step.isdecimal() for metric, _, step in split]
    form = "columns should be hyperparameters, then metric@step, in rising steps"
    if True not in curve or not all(curve[curve.index(True) :]) or curve[0]:
        raise ConfigError(Problem(origin, "header", ",".join(header), form))
    first = curve.index(True)
    metrics = {metric for metric, _, _ in split[first:]}
    steps = tuple(int(step) for _, _, step in split[first:])
    if len(metrics) > 1:
        hint = f"{form}; of one metric, not of {', '.join(sorted(metrics))}"
        raise ConfigError(Problem(origin, "header", None, hint))
    if len(set(header)) < len(header) or list(steps) != sorted(set(steps)):
        raise ConfigError(Problem(origin, "header", ",".join(header), f"{form}, each once"))
    return metrics.pop(), steps


def _read_curve(
    where: str, columns: Sequence[str], cells: Sequence[Any], problems: list[Problem]
) -> list[float]:
    values = []
    for column, cell in zip(columns, cells, strict=True):
        if cell is not None and (type(cell) not in (int, float) or not math.isfinite(cell)):
            problems.append(Problem(where, column, cell, "should be a number, or empty"))
            cell = None
        values.append(math.nan if cell is None else float(cell))
    known = [math.isfinite(value) for value in values]
    if known != sorted(known, reverse=True):
        problems.append(Problem(where, columns[0], None, "has a gap before later values"))
    return values


def _parameter(origin: str, name: str, values: Sequence[Any]) -> Parameter | None:
    """Read a parameter off its column; None where all values are the same."""
    different = sorted(set(values), key=lambda value: (str(type(value)), value))
    if len(different) < 2:
        return None
    numbers = [value for value in different if type(value) in (int, float)]
    if len(numbers) < len(different):
        if numbers:
            hint = f"mixes numbers, such as {numbers[0]}, with words"
            raise ConfigError(Problem(origin, name, None, hint))
        return Parameter(name, "categorical", values=tuple(different))
    if len(different) <= MOST_CHOICES:
        return Parameter(name, "categorical", values=tuple(sorted(numbers)))
    low, high = min(numbers), max(numbers)
    if all(type(value) is int for value in numbers):
        return Parameter(name, "int_uniform", low=low, high=high)
    log = low > 0 and _unevenness(np.log(numbers)) < _unevenness(np.array(numbers, float))
    kind = "log_uniform_values" if log else "uniform"
    return Parameter(name, kind, low=float(low), high=float(high))


def _unevenness(values: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance from a uniform distribution over the values' range."""
    low, high = values.min(), values.max()
    return float(kstest((values - low) / (high - low), "uniform").statistic)
