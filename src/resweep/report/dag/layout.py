"""Where boxes and lines are: a row for each phase, and lines with right angles between them.

In a row, a box stands to the right of those that it needs. A line to another row leaves its box at
the bottom, runs in the space between rows, and enters from the top; past other rows it runs at
their left. A line back, to the next round, runs above its row. All numbers are pixels.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from resweep.report.dag.boxes import Graph, Place

BOX_WIDTH, BOX_HEIGHT = 188, 62
SPACE = 28  # between boxes of a row
LABELS = 128  # width of the names of rows
CHANNEL = 26  # between these and the boxes
TOP = 44  # above the first row: the title
BOTTOM = 34  # below the last: the legend
PADDING = 14  # above and below the boxes of a row
TRACK = 8  # between lines that run side by side
GUTTER = 14  # between rows, without lines
MARGIN = 16
LEAVES, ENTERS = 44, 20  # from the middle of a box, of lines back

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Line:
    """An arrow along points.

    Attributes:
        points: From its box to the other.
        is_return: Whether it leads back, to the next round or rung.
    """

    points: tuple[Point, ...]
    is_return: bool = False


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A graph with places for everything.

    Attributes:
        width, height: Of the picture.
        boxes: Upper left corner of each box.
        rows: Top and height of each row.
        lines: The arrows.
    """

    width: int
    height: int
    boxes: Mapping[Place, Point]
    rows: Mapping[str, tuple[int, int]]
    lines: Sequence[Line]


def lay_out(graph: Graph) -> Drawing:
    """Place boxes and lines."""
    columns = _columns(graph)
    names = list(graph.rows)
    number = {name: index for index, name in enumerate(names)}
    inside = [pair for pair in graph.needs if pair[0].row == pair[1].row]
    between = [pair for pair in graph.needs if pair[0].row != pair[1].row]
    left_to_right = [pair for pair in inside if columns[pair[1]] == columns[pair[0]] + 1]
    skipping = [pair for pair in inside if pair not in left_to_right]

    # Lines that share a space get a track each, by where they come from.
    above = _tracks((row, pair) for pair in graph.returns for row in [pair[0].row])
    below = _tracks((row, pair) for pair in skipping for row in [pair[0].row])
    gutters = _tracks(
        (names[row], pair[0])
        for pair in between
        for row in {number[pair[0].row], number[pair[1].row] - 1}
    )
    sides = _tracks(
        ("", pair[0]) for pair in between if number[pair[1].row] > number[pair[0].row] + 1
    )

    rows: dict[str, tuple[int, int]] = {}
    tops: dict[str, int] = {}
    ends: dict[str, int] = {}  # where the space below a row begins
    y = TOP
    for name in names:
        tops[name] = y + PADDING + TRACK * len(above[name])
        height = tops[name] + BOX_HEIGHT + PADDING + TRACK * len(below[name]) - y
        rows[name] = (y, height)
        ends[name] = y + height
        y += height + GUTTER + TRACK * len(gutters[name])
    left = MARGIN + LABELS + CHANNEL + TRACK * len(sides[""])
    boxes = {
        place: (left + columns[place] * (BOX_WIDTH + SPACE), tops[place.row])
        for place in graph.boxes
    }

    def top(place: Place, shift: float = 0) -> Point:
        return boxes[place][0] + BOX_WIDTH / 2 + shift, boxes[place][1]

    def bottom(place: Place) -> Point:
        return boxes[place][0] + BOX_WIDTH / 2, boxes[place][1] + BOX_HEIGHT

    lines = []
    for needed, place in left_to_right:
        middle = boxes[needed][1] + BOX_HEIGHT / 2
        ends_at = ((boxes[needed][0] + BOX_WIDTH, middle), (boxes[place][0], middle))
        lines.append(Line(points=ends_at))
    for needed, place in skipping:
        track = tops[needed.row] + BOX_HEIGHT + TRACK * (1 + below[needed.row][needed, place])
        (x, y0), (to, y1) = bottom(needed), bottom(place)
        lines.append(Line(points=((x, y0), (x, track), (to, track), (to, y1))))
    for needed, place in graph.returns:
        track = tops[needed.row] - TRACK * (1 + above[needed.row][needed, place])
        (x, y0), (to, y1) = top(needed, LEAVES), top(place, ENTERS)
        points = ((x, y0), (x, track), (to, track), (to, y1))
        lines.append(Line(points=points, is_return=True))
    for needed, place in between:
        before = names[number[place.row] - 1]
        first = ends[needed.row] + GUTTER / 2 + TRACK * gutters[needed.row][needed]
        last = ends[before] + GUTTER / 2 + TRACK * gutters[before][needed]
        (x, y0), (to, y1) = bottom(needed), top(place)
        points = ((x, y0), (x, first))
        if before != needed.row:
            side = left - CHANNEL / 2 - TRACK * sides[""][needed]
            points = (*points, (side, first), (side, last))
        lines.append(Line(points=(*points, (to, last), (to, y1))))
    width = left + (1 + max(columns.values(), default=0)) * (BOX_WIDTH + SPACE) - SPACE + 2 * MARGIN
    height = max(ends.values(), default=TOP) + BOTTOM
    return Drawing(width=width, height=height, boxes=boxes, rows=rows, lines=lines)


def _columns(graph: Graph) -> dict[Place, int]:
    """Return the column of each box: the longest way to it within its row."""
    found: dict[Place, int] = {}
    for place in graph.boxes:
        before = [found[a] for a, b in graph.needs if b == place and a.row == place.row]
        column = 1 + max(before, default=-1)
        taken = {found[other] for other in found if other.row == place.row}
        while column in taken:
            column += 1
        found[place] = column
    return found


def _tracks(used: Iterable[tuple[str, object]]) -> defaultdict[str, dict[object, int]]:
    """Number what runs through each space."""
    found: defaultdict[str, dict[object, int]] = defaultdict(dict)
    for space, what in used:
        found[space].setdefault(what, len(found[space]))
    return found
