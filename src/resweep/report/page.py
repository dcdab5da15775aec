"""A self-contained page: tables, charts and their JavaScript in one HTML file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from resweep.report.assets import scripts, styles
from resweep.report.vega import library_element

# The browser then blocks all loading and sending. Vega needs `eval`.
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'"


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


@dataclass(frozen=True)
class Cell:
    """A cell: the text that is shown, and what its column is sorted by if that differs."""

    text: str
    value: float | None = None


def table(columns: Sequence[Column], rows: Iterable[tuple[str, Sequence[Cell]]]) -> str:
    """Render a table; each row comes with its CSS class."""
    classes = [" ".join(filter(None, (c.name, "number" if c.number else ""))) for c in columns]
    head = "".join(
        f'<th class="{name}">{escape(column.title)}</th>'
        for name, column in zip(classes, columns, strict=True)
    )
    body = []
    for kind, cells in rows:
        inner = "".join(
            f'<td class="{name}"{_sort_value(cell)}>{escape(cell.text)}</td>'
            for name, cell in zip(classes, cells, strict=True)
        )
        body.append(f'<tr class="{kind}">{inner}</tr>\n')
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _sort_value(cell: Cell) -> str:
    return "" if cell.value is None else f' data-value="{cell.value!r}"'


def card(title: str, content: str) -> str:
    """Render a titled box; `content` is HTML."""
    return f'<section class="card"><h3>{escape(title)}</h3>{content}</section>\n'


def fold(title: str, content: str) -> str:
    """Render a box that opens on a click; `content` is HTML."""
    return (
        f'<section class="card"><details><summary>{escape(title)}</summary>{content}'
        "</details></section>\n"
    )


def tiles(values: Mapping[str, str]) -> str:
    """Render a row of figures: caption -> figure."""
    inner = "".join(
        f'<div class="tile"><b>{escape(figure)}</b><span>{escape(caption)}</span></div>'
        for caption, figure in values.items()
    )
    return f'<div class="tiles">{inner}</div>\n'


class Charts:
    """The charts of a page, numbered in order."""

    def __init__(self) -> None:
        self.specs: dict[str, dict[str, Any]] = {}

    def place(self, title: str, spec: dict[str, Any] | None, caption: str = "") -> str:
        """Add a chart; returns its box, or an empty string without a chart."""
        if spec is None:
            return ""
        name = f"chart-{len(self.specs) + 1}"
        self.specs[name] = spec
        below = f"<p>{escape(caption)}</p>" if caption else ""
        return card(title, f'<div class="chart" id="{name}"></div>{below}')


def page(title: str, body: str, charts: Charts) -> str:
    """Render the page; `body` is HTML, and the JavaScript of the charts is inlined."""
    # In a string, `</` would end the script and `<!--` would start a comment.
    specs = json.dumps(charts.specs, separators=(",", ":")).replace("<", "\\u003c")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{styles()}</style>\n</head>\n<body>\n<main>\n{body}"
        "<noscript><p>The charts need JavaScript; the tables work without it.</p></noscript>\n"
        f"</main>\n{library_element()}\n"
        f"<script>const CHARTS = {specs};\n{scripts()}</script>\n"
        "</body>\n</html>\n"
    )
