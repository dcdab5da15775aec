"""Tables of a page: complete as HTML up to a number of rows, with the rest as data.

    columns, rows  ->  <table> with the first MOST_ROWS rows
                   ->  the rows after them as JSON, which assets/tables.js shows a page at a time

The script adds what needs one: sorting, a filter, a choice of columns, downloads, selection. A row
of a trial has `data-phase` and `data-trial`, by which the parts of the page agree on a selection.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from resweep.paths import RunFolder

MOST_ROWS = 500  # as HTML; the script shows fewer at a time
TRIAL = "trial"  # class of the cells that name the trial of their row
RUN = "run"  # class of the cells that name a run
_RUN = RunFolder(Path())
# Files of a run that a cell of a run links to: text -> name.
RUN_LINKS = {
    text: path.name
    for text, path in {"config": _RUN.config, "curve": _RUN.metrics, "log": _RUN.log}.items()
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its header.
        number: Whether it is right-aligned.
        name: Class of its cells, for the style sheet.
    """

    title: str
    number: bool = False
    name: str = ""

    @property
    def classes(self) -> str:
        """The classes of its cells."""
        return " ".join(filter(None, (self.name, "number" if self.number else "")))


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: What is shown.
        value: What its column is sorted by and what a download has, if that is not the text.
        mark: A word about the value, shown beside it: tie, stopped, estimate.
    """

    text: str
    value: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """A row: its cells, its CSS class, and the trial that it is of."""

    cells: Sequence[Cell]
    kind: str = ""
    trial: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the script adds to a table that people look things up in.

    Attributes:
        name: Of downloaded files, without their ending.
        phase: Whose trials the rows are.
        runs: Where the folders of runs are, relative to the page.
        source: The file that has all rows, relative to the page.
    """

    name: str
    phase: str
    runs: str
    source: str


def table(columns: Sequence[Column], rows: Iterable[Row], tools: Tools | None = None) -> str:
    """Render a table; without tools, all rows are HTML and can only be sorted."""
    rows = list(rows)
    shown = rows if tools is None else rows[:MOST_ROWS]
    head = "".join(
        f'<th scope="col" class="{column.classes}">{escape(column.title)}</th>'
        for column in columns
    )
    body = "".join(_row(columns, row, tools) for row in shown)
    drawn = (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )
    if tools is None:
        return drawn
    about = f'data-name="{escape(tools.name)}" data-phase="{escape(tools.phase)}"'
    source = f'<a href="{escape(tools.source)}">{escape(tools.source.rpartition("/")[2])}</a>'
    note = ""
    if len(rows) > MOST_ROWS:
        note = (
            f"<noscript><p>Without JavaScript, this table shows the first {MOST_ROWS:,} of "
            f"{len(rows):,} rows; all are in {source}.</p></noscript>"
        )
    return (
        f'<div class="table" {about} data-runs="{escape(tools.runs)}">{drawn}'
        f'{_rest(rows[MOST_ROWS:])}{note}<p class="source">From {source}.</p></div>'
    )


def _row(columns: Sequence[Column], row: Row, tools: Tools | None) -> str:
    about = f' class="{row.kind}"' if row.kind else ""
    if tools is not None and row.trial is not None:
        about += f' data-phase="{escape(tools.phase)}" data-trial="{escape(row.trial)}"'
    cells = "".join(
        f'<td class="{column.classes}"{_value(cell)}>{_content(column, cell, tools)}</td>'
        for column, cell in zip(columns, row.cells, strict=True)
    )
    return f"<tr{about}>{cells}</tr>\n"


def _value(cell: Cell) -> str:
    return "" if cell.value is None else f' data-value="{cell.value!r}"'


def _content(column: Column, cell: Cell, tools: Tools | None) -> str:
    content = escape(cell.text)
    if cell.mark:
        content += f' <span class="mark">{escape(cell.mark)}</span>'
    if column.name == RUN and tools is not None and cell.text:
        folder = f"{tools.runs}/{cell.text}"
        content += "".join(
            f' <a href="{escape(f"{folder}/{file}")}">{text}</a>'
            for text, file in RUN_LINKS.items()
        )
    return content


def _rest(rows: Sequence[Row]) -> str:
    """Return rows as data for the script."""
    if not rows:
        return ""
    content = {"links": RUN_LINKS, "rows": [_packed(row) for row in rows]}
    return f'<script type="application/json">{script_json(content)}</script>'


def _packed(row: Row) -> list[Any]:
    """Return [class, trial, *cells]; a cell with a value or a mark is [text, value, mark]."""
    cells = [
        one.text if one.value is None and not one.mark else [one.text, one.value, one.mark]
        for one in row.cells
    ]
    return [row.kind, row.trial, *cells]


def script_json(content: Any) -> str:
    """Return JSON that cannot end its script element, nor begin a comment in it."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
