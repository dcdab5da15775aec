"""A self-contained page: tables, charts and their JavaScript in one HTML file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from resweep.report.vega import library_element

STYLE = """
:root { color-scheme: light dark; --page: #f7f7f4; --card: #ffffff; --ink: #14140f;
  --soft: #5c5b55; --line: #e2e1da; --accent: #1f66bd; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --page: #141413; --card: #1d1d1b; --ink: #f4f3ee;
  --soft: #b9b8ae; --line: #34332f; --accent: #7db3f5; --bad: #f2938c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 27px; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 46px 0 4px; }
h3 { font-size: 14px; margin: 0 0 10px; }
p { margin: 2px 0 14px; color: var(--soft); }
p.warning { color: var(--bad); }
.card p { margin: 10px 0 0; }
a { color: var(--accent); }
nav a { margin-right: 16px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 16px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 18px 12px; min-width: 130px; }
.tile b { display: block; font-size: 22px; font-weight: 600; }
.tile span { color: var(--soft); font-size: 13px; }
.grid { display: grid; gap: 14px; margin: 0 0 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 14px 16px; margin: 0 0 14px; min-width: 0; }
.grid .card { margin: 0; max-width: 606px; }
.chart { width: 100%; min-height: 260px; }
.scroll { overflow: auto; max-height: 33rem; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { padding: 5px 12px 5px 0; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { position: sticky; top: 0; background: var(--card); color: var(--soft); font-weight: 500;
  cursor: pointer; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.wide, tr.lost td.status { white-space: normal; min-width: 15rem; }
tr.first td { font-weight: 600; }
tr.lost td { color: var(--soft); }
tr.lost td.status { color: var(--bad); }
tr:last-child td { border-bottom: 0; }
details summary { cursor: pointer; color: var(--soft); font-size: 14px; }
details[open] summary { margin-bottom: 10px; }
#vg-tooltip-element { font-family: inherit; }
@media print { .scroll { max-height: none; } }
"""

# The browser then blocks all loading and sending. Vega needs `eval`.
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'"

# Charts are redrawn when the system switches between light and dark. Clicking a column header
# sorts the table. The tables are complete without JavaScript.
SCRIPT = """
const LIGHT = {ink: '#14140f', soft: '#5c5b55', line: '#e9e8e2', mark: '#2a78d6', bad: '#b3261e',
  ramp: ['#a9cbf5', '#6aa3e6', '#256abf', '#0d2f5e'], ring: '#ffffff'};
const DARK = {ink: '#f4f3ee', soft: '#b9b8ae', line: '#2f2e2a', mark: '#6da7ec', bad: '#f2938c',
  ramp: ['#26508a', '#3579c8', '#86b6ef', '#e4f0ff'], ring: '#1d1d1b'};
const scheme = matchMedia('(prefers-color-scheme: dark)');
function theme(c) {
  return {background: 'transparent', font: 'system-ui, sans-serif', view: {stroke: null},
    range: {ramp: c.ramp}, mark: {color: c.mark},
    axis: {labelColor: c.soft, titleColor: c.soft, gridColor: c.line, domainColor: c.line,
      tickColor: c.line, titleFontWeight: 'normal', labelFontSize: 11, titleFontSize: 12},
    axisX: {grid: false},
    legend: {labelColor: c.soft, titleColor: c.soft, titleFontWeight: 'normal'},
    style: {note: {color: c.soft}, 'note-text': {color: c.soft, fontSize: 11},
      'note-rim': {color: c.ring, stroke: c.ring, strokeWidth: 4, fontSize: 11},
      dot: {stroke: c.ring, strokeWidth: 1}, lost: {color: c.bad}, mean: {color: c.soft}}};
}
let views = [];
async function draw() {
  views.forEach(result => result.finalize());
  const dark = scheme.matches;
  const options = {actions: false, renderer: 'svg', config: theme(dark ? DARK : LIGHT),
    tooltip: {theme: dark ? 'dark' : 'light'}};
  views = await Promise.all(Object.entries(CHARTS).map(
    ([id, spec]) => vegaEmbed('#' + id, spec, options)));
}
draw();
scheme.addEventListener('change', draw);
document.querySelectorAll('th').forEach(head => head.addEventListener('click', () => {
  const body = head.closest('table').tBodies[0], column = head.cellIndex;
  const up = head.dataset.up !== 'yes';
  head.dataset.up = up ? 'yes' : 'no';
  const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (a, b) => {
    if (a === '' || b === '') return a === b ? 0 : a === '' ? 1 : -1;
    const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    return up ? order : -order;
  };
  [...body.rows].sort((a, b) => compare(key(a), key(b))).forEach(row => body.append(row));
}));
"""


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
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}"
        "<noscript><p>The charts need JavaScript; the tables work without it.</p></noscript>\n"
        f"</main>\n{library_element()}\n"
        f"<script>const CHARTS = {specs};\n{SCRIPT}</script>\n"
        "</body>\n</html>\n"
    )
