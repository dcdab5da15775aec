"""The table of runs as people look at it: filtered, sorted, without columns that say nothing.

results/runs.csv  ->  RunTable  ->  rows and columns asked for  ->  text, CSV, JSON, Markdown

A column is named by its path (`training.learning_rate`), or by the end of it where only one column
ends so (`learning_rate`).
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from resweep.cells import end_lines, to_cell
from resweep.config.nesting import OWN
from resweep.config.spelling import nearest
from resweep.csv_files import read_columns
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout, RunFolder
from resweep.plurals import counted, span_text
from resweep.report.results import shown
from resweep.report.rows import LEAD, SIZES, TIMES, result_columns
from resweep.report.run_filters import Condition
from resweep.report.tables import write_runs_table
from resweep.report.text_table import LONGEST_CELL, WIDTH, cut
from resweep.study.find_results import sweep_label
from resweep.systems.registry import all_systems

SWEEP = "sweep_name"
ALWAYS = ("run_id", "run_name", "status")  # shown even where all rows are equal
NEVER = frozenset({"study", "phase", "trial"})  # `sweep_name` and `run_name` have them
MOST_UNIQUE = 8  # values of a column that are listed
MOST_NAMED = 6  # columns of a message


@dataclass(frozen=True)
class RunTable:
    """Rows of the table of runs.

    Attributes:
        columns: Name -> values, equally many in all; None is an empty cell.
    """

    columns: Mapping[str, Sequence[Any]]

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def column(self, name: str, option: str) -> str:
        """Return the full name of a column.

        Args:
            name: Its name, or the end of its path.
            option: Where it was given, for messages.

        Raises:
            ConfigError: There is none, or several; names close ones.
        """
        if name in self.columns:
            return name
        ends = [full for full in self.columns if full.endswith(f".{name}")]
        if len(ends) == 1:
            return ends[0]
        if ends:
            hint = f"could be {' or '.join(ends)}; write the whole name"
            raise ConfigError(Problem(option, name, None, hint))
        raise ConfigError(Problem(option, name, None, f"is not a column; {self._close(name)}"))

    def _close(self, name: str) -> str:
        leaf = name.rpartition(".")[2].lower()
        leaves = {full.rpartition(".")[2]: full for full in self.columns}
        meant = nearest(name, self.columns) or leaves.get(str(nearest(leaf, leaves)))
        alike = [meant] if meant else [full for full in self.columns if leaf in full.lower()]
        if alike:
            return f"did you mean {' or '.join(map(str, alike[:MOST_NAMED]))}?"
        return "--list_columns lists them"

    def where(self, conditions: Iterable[Condition]) -> "RunTable":
        """Return the rows that fulfil all conditions."""
        kept = range(len(self))
        for condition in conditions:
            values = self.columns[self.column(condition.name, "--filter")]
            kept = [row for row in kept if condition.holds(values[row])]  # type: ignore[assignment]
        return self._rows(kept)

    def of_sweep(self, name: str) -> "RunTable":
        """Return the runs of a sweep: `STUDY/PHASE`, all of a study, or a sweep file's name.

        Raises:
            ConfigError: There is none of that name.
        """
        values = self.columns.get(SWEEP, [None] * len(self))
        rows = [row for row, of in enumerate(values) if of and _is_named(of, name)]
        if not rows:
            known = list(dict.fromkeys(value for value in values if value))
            meant = nearest(name, known)
            there = f"did you mean {meant}?" if meant else f"there are: {_listed(known) or 'none'}"
            raise ConfigError(Problem("--filter_sweep", name, None, f"has no runs; {there}"))
        return self._rows(rows)

    def sorted_by(self, name: str, descending: bool = False) -> "RunTable":
        """Return the rows sorted by a column; empty cells come last either way."""
        values = self.columns[self.column(name, "--sort_by")]
        known = [row for row, value in enumerate(values) if value is not None]
        numbers = all(isinstance(values[row], int | float) for row in known)
        known.sort(key=lambda row: values[row] if numbers else str(values[row]), reverse=descending)
        return self._rows([*known, *(row for row, value in enumerate(values) if value is None)])

    def first(self, count: int) -> "RunTable":
        """Return the first rows."""
        return self._rows(range(min(count, len(self))))

    def only(self, names: Iterable[str]) -> "RunTable":
        """Return these columns, in this order."""
        return replace(self, columns={name: self.columns[name] for name in names})

    def _rows(self, rows: Sequence[int]) -> "RunTable":
        return RunTable({n: [values[row] for row in rows] for n, values in self.columns.items()})

    @cached_property
    def filled(self) -> list[str]:
        """Names of the columns with a value in any row."""
        return [
            name
            for name, values in self.columns.items()
            if any(value not in (None, "[]", "{}") for value in values)
        ]

    @cached_property
    def varying(self) -> list[str]:
        """Names of the columns with different values."""
        return [name for name in self.filled if len(set(map(repr, self.columns[name]))) > 1]


def _is_named(sweep: str, name: str) -> bool:
    """Whether a sweep is of a name: its own, its study's, or that in its file."""
    study = sweep.split("/")[0]
    label = re.sub(r"-[0-9a-f]{8}$", "", study)
    return name in (sweep, study, label) or sweep_label(name) == label


def read_table(layout: Layout) -> RunTable:
    """Read the table of runs; it is written again first where a run changed after it was.

    Raises:
        DamagedFile: It is not a table.
    """
    file = layout.runs_table
    if not _is_fresh(file, layout):
        write_runs_table(layout)
    return RunTable(read_columns(file, "delete it: it is written again", text=["run_id"]))


def _is_fresh(file: Path, layout: Layout) -> bool:
    if not file.exists():
        return False
    written = file.stat().st_mtime_ns
    if layout.runs.exists() and layout.runs.stat().st_mtime_ns > written:
        return False
    for folder in layout.all_runs():
        run = RunFolder(folder)
        for path in (folder, run.state, run.added_metrics):
            try:
                if path.stat().st_mtime_ns > written:
                    return False
            except FileNotFoundError:
                continue
    return True


def owner_of(name: str) -> str:
    """Return who fills a column: a section of a system, the training's results, or the user."""
    if name in LEAD:
        return "run"
    if name in TIMES or name in SIZES:
        return "training"
    systems = all_systems()
    if name in result_columns(systems) or any(system.find_metric(name) for system in systems):
        return "metric"
    path = name.removeprefix("config.")
    having = [system.name for system in systems if system.schema.is_known(path)]
    if not having:
        return "own" if "." in path or path.startswith(f"{OWN}.") else "own or added"
    return "all systems" if len(having) == len(systems) else ", ".join(having)


def default_columns(table: RunTable) -> list[str]:
    """Return the columns that are shown if none are asked for: those that tell rows apart."""
    if len(table) < 2:
        return [name for name in table.filled if name not in NEVER]
    telling = set(table.varying) | set(ALWAYS) & set(table.filled)
    doubled = {
        metric.name for system in all_systems() for metric in system.metrics if metric.column
    }
    return [
        name
        for name in table.filled
        if name in telling and name not in NEVER and name not in doubled
    ]


def as_text(table: RunTable, everything: RunTable) -> Iterator[str]:
    """Yield the rows as lines, in blocks where they do not fit beside each other.

    Args:
        table: What to show.
        everything: The same rows with all columns, for what is said below.
    """
    if not len(table):
        yield "no run fulfils this"
        return
    titles = [f"{name} (own)" if owner_of(name).startswith("own") else name for name in table.names]
    cells = [[_cell(value) for value in values] for values in table.columns.values()]
    widths = [
        max(len(title), *map(len, column)) for title, column in zip(titles, cells, strict=True)
    ]
    key = 0 if table.names[:1] == ["run_id"] else None
    for block in _blocks(widths, key):
        yield "  ".join(_pad(titles[c], widths[c], cells[c]) for c in block).rstrip()
        for row in range(len(table)):
            yield "  ".join(_pad(cells[c][row], widths[c], cells[c]) for c in block).rstrip()
        yield ""
    yield from _same_lines(everything, table.names)


def _blocks(widths: Sequence[int], key: int | None) -> Iterator[list[int]]:
    """Divide columns into blocks of lines; each begins with the run's id."""
    start = [] if key is None else [key]
    block, used = list(start), sum(widths[c] + 2 for c in start)
    for column, width in enumerate(widths):
        if column == key:
            continue
        if used + width > WIDTH and len(block) > len(start):
            yield block
            block, used = list(start), sum(widths[c] + 2 for c in start)
        block.append(column)
        used += width + 2
    yield block


def _pad(text: str, width: int, column: Sequence[str]) -> str:
    numbers = all(cell == "" or cell.lstrip("-")[:1].isdigit() for cell in column)
    return text.rjust(width) if numbers else text.ljust(width)


def _cell(value: Any) -> str:
    text = shown(value, 6) if not isinstance(value, str) else value
    return cut(text, LONGEST_CELL)


def _same_lines(everything: RunTable, named: Sequence[str]) -> Iterator[str]:
    """Yield what all rows have alike, as far as a configuration's fields are set otherwise."""
    if len(everything) < 2:
        return
    alike = [name for name in everything.filled if name not in everything.varying]
    hidden = [name for name in alike if name not in named and name not in NEVER]
    if hidden:
        yield (
            f"the same in all {counted(len(everything), 'run')}: {counted(len(hidden), 'column')}, "
            "as --show all lists"
        )


def statistics_lines(table: RunTable) -> Iterator[str]:
    """Yield the number of runs, and of each column its range, or its values."""
    yield counted(len(table), "run")
    for name in table.names:
        values = [value for value in table.columns[name] if value is not None]
        if name in ("run_id", "timestamp") or not values:
            continue
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        unique = list(dict.fromkeys(values))
        is_measured = any(isinstance(value, float) for value in unique) and len(unique) > 3
        if len(numbers) == len(values) and (is_measured or len(unique) > MOST_UNIQUE):
            mean = math.fsum(numbers) / len(numbers)
            text = (
                f"{span_text(numbers, 6)}, mean {shown(mean, 6)} ({counted(len(numbers), 'value')})"
            )
        elif len(unique) <= MOST_UNIQUE:
            text = ", ".join(_cell(value) for value in sorted(unique, key=_order))
        else:
            text = f"{len(unique)} different values"
        yield cut(f"  {name}: {text}", WIDTH)


def _order(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def as_csv(table: RunTable) -> str:
    """Return the rows as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(map(to_cell, table.names))
    writer.writerows(zip(*(map(to_cell, values) for values in table.columns.values()), strict=True))
    return end_lines(text.getvalue())


def as_json(table: RunTable) -> str:
    """Return the rows as a JSON list of objects."""
    rows = zip(*table.columns.values(), strict=True)
    return json.dumps([dict(zip(table.names, row, strict=True)) for row in rows], indent=2) + "\n"


def as_markdown(table: RunTable) -> str:
    """Return the rows as a table of Markdown."""
    lines = [table.names, ["---"] * len(table.names)]
    lines += [[_cell(value) for value in row] for row in zip(*table.columns.values(), strict=True)]
    return "".join(f"| {' | '.join(_escaped(cell) for cell in line)} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def column_lines(table: RunTable) -> Iterator[str]:
    """Yield each column with who fills it and how many values it has."""
    width = max(map(len, table.names), default=0)
    filled = set(table.filled)
    for name in table.names:
        values = [value for value in table.columns[name] if value is not None]
        unique = len(set(map(repr, values)))
        if name not in filled:
            about = "empty"
        elif unique == 1:
            about = f"{_cell(values[0])} in all" if len(values) == len(table) else _cell(values[0])
        else:
            about = counted(unique, "value")
        yield f"{name:{width}}  {owner_of(name):<14}  {about}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
