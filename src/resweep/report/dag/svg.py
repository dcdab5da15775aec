"""The picture as SVG: no script, no font and no colour from outside; light and dark.

It may be a file, or stand in a page: its styles reach nothing else there.
"""

from collections.abc import Iterator
from html import escape

from resweep.report.dag.boxes import Box, Graph, State
from resweep.report.dag.layout import (
    BOX_HEIGHT,
    BOX_WIDTH,
    LABELS,
    MARGIN,
    Drawing,
    Line,
    Point,
    lay_out,
)

CORNER = 6  # radius, of boxes and of lines
BAR = 4  # height of the bar that shows how far a box is
INSET = 10  # of a box's text
ROW_LETTERS, BOX_LETTERS, SIZE_LETTERS = 15, 20, 31  # that fit
CLASSES = {State.DONE: "done", State.STALE: "stale", State.TO_DO: "todo"}
LEGEND = {
    State.DONE: "done",
    State.STALE: "stale: the next call makes it again",
    State.TO_DO: "to do",
}
STYLE = """
  .dag { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
  .dag .page { fill: #ffffff } .dag .row { fill: #f3f5f8 }
  .dag .box { fill: #ffffff; stroke: #c3cbd6 }
  .dag text { fill: #1d2530 } .dag .minor { fill: #5b6675; font-size: 11px }
  .dag .name { font-weight: 600 }
  .dag .line { fill: none; stroke: #7b8796; stroke-width: 1.4 }
  .dag .return { stroke-dasharray: 4 3 } .dag .head { fill: #7b8796 }
  .dag .done { fill: #2f8f5b } .dag .stale { fill: #d08a1d } .dag .todo { fill: #d5dbe3 }
  @media (prefers-color-scheme: dark) {
    .dag .page { fill: #12161c } .dag .row { fill: #1b212a }
    .dag .box { fill: #252d38; stroke: #434e5d }
    .dag text { fill: #e4e9f0 } .dag .minor { fill: #a2adbb }
    .dag .line { stroke: #8b97a6 } .dag .head { fill: #8b97a6 }
    .dag .done { fill: #3fae74 } .dag .stale { fill: #dd9f3d } .dag .todo { fill: #4a5564 }
  }
"""


def draw(graph: Graph) -> str:
    """Return the picture of a graph."""
    drawing = lay_out(graph)
    return "\n".join([*_elements(graph, drawing), "</svg>", ""])


def _elements(graph: Graph, drawing: Drawing) -> Iterator[str]:
    size = f"{drawing.width} {drawing.height}"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dag" viewBox="0 0 {size}" '
        f'width="{drawing.width}" height="{drawing.height}" role="img" '
        f'aria-label="{escape(graph.title)}">'
    )
    yield f"<style>{STYLE}</style>"
    yield (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="head" d="M0,0L8,4L0,8z"/></marker></defs>'
    )
    yield f'<rect class="page" width="100%" height="100%" rx="{CORNER}"/>'
    yield _text(MARGIN, 27, graph.title, "name")
    for name, (top, height) in drawing.rows.items():
        wide = drawing.width - MARGIN
        yield (
            f'<rect class="row" x="{MARGIN / 2:g}" y="{top}" width="{wide}" height="{height}" '
            f'rx="{CORNER}"/>'
        )
        about = graph.rows[name]
        y = top + height / 2 + 4 - 8 * len(about)
        yield _text(MARGIN, y, _cut(name, ROW_LETTERS), "name", whole=name)
        for number, word in enumerate(about, 1):
            yield _text(MARGIN, y + 16 * number, word, "minor")
    for line in drawing.lines:
        kind = "line return" if line.is_return else "line"
        yield f'<path class="{kind}" marker-end="url(#head)" d="{_path(line)}"/>'
    for place, corner in drawing.boxes.items():
        yield from _box(graph.boxes[place], corner)
    x = MARGIN + LABELS
    there = {state for box in graph.boxes.values() for state, n in box.counts.items() if n}
    for state, words in LEGEND.items():
        if state not in there:
            continue
        y = drawing.height - 14
        yield f'<rect class="{CLASSES[state]}" x="{x}" y="{y - 8}" width="10" height="8" rx="2"/>'
        yield _text(x + 15, y, words, "minor")
        x += 40 + 6 * len(words)


def _box(box: Box, corner: Point) -> Iterator[str]:
    x, y = corner
    yield f"<g><title>{escape(_rules(box))}</title>" if box.rules else "<g>"
    yield (
        f'<rect class="box" x="{x:g}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" '
        f'rx="{CORNER}"/>'
    )
    yield _text(x + INSET, y + 18, _cut(box.place.verb, BOX_LETTERS), "name")
    yield _text(x + INSET, y + 33, _cut(box.size, SIZE_LETTERS), "minor", whole=box.size)
    yield _text(x + INSET, y + 48, box.progress, "minor")
    total, wide = sum(box.counts.values()), BOX_WIDTH - 2 * INSET
    start = x + INSET
    for state, count in box.counts.items():
        if count:
            part = wide * count / total
            yield (
                f'<rect class="{CLASSES[state]}" x="{start:.4g}" y="{y + BOX_HEIGHT - 9:g}" '
                f'width="{part:.4g}" height="{BAR}"/>'
            )
            start += part
    yield "</g>"


def _rules(box: Box) -> str:
    first = ", ".join(box.rules[:4])
    more = len(box.rules) - 4
    return f"rules {first} and {more} more" if more > 0 else f"rules {first}"


def _text(x: float, y: float, text: str, kind: str, whole: str = "") -> str:
    title = f"<title>{escape(whole)}</title>" if whole not in ("", text) else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{title}{escape(text)}</text>'


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _path(line: Line) -> str:
    """Return the line with round corners."""
    first, *middle, last = [
        point
        for number, point in enumerate(line.points)
        if number == 0 or point != line.points[number - 1]
    ]
    words = [f"M{first[0]:g},{first[1]:g}"]
    before = first
    for corner, after in zip(middle, [*middle[1:], last], strict=False):
        start, end = _towards(corner, before), _towards(corner, after)
        words.append(f"L{start[0]:g},{start[1]:g}")
        words.append(f"Q{corner[0]:g},{corner[1]:g} {end[0]:g},{end[1]:g}")
        before = corner
    words.append(f"L{last[0]:g},{last[1]:g}")
    return "".join(words)


def _towards(corner: Point, other: Point) -> Point:
    """Return where a corner's curve begins or ends, on the way to another point."""
    away = [b - a for a, b in zip(corner, other, strict=True)]
    length = abs(away[0]) + abs(away[1])
    part = min(CORNER, length / 2) / length
    return corner[0] + away[0] * part, corner[1] + away[1] * part
