"""Where boxes and lines are: a row for each phase, and lines with right angles between them.

In a row, a box stands to the right of those that it needs. A line to another row leaves its box at
the bottom, runs in the space between rows, and enters from the top; past other rows it runs at
their left. A line back, to the next round, runs above its row. All numbers are pixels.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

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
Pair = tuple[Place, Place]
Key = TypeVar("Key", Pair, Place)
Tracks = defaultdict[str, dict[Key, int]]


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
    spaces = _Spaces.of(graph, columns)
    rows: dict[str, tuple[int, int]] = {}
    tops: dict[str, int] = {}
    y = TOP
    for name in graph.rows:
        tops[name] = y + PADDING + TRACK * len(spaces.above[name])
        bottom = tops[name] + BOX_HEIGHT + PADDING + TRACK * len(spaces.below[name])
        rows[name] = (y, bottom - y)
        y = bottom + GUTTER + TRACK * len(spaces.gutters[name])
    left = MARGIN + LABELS + CHANNEL + TRACK * len(spaces.sides[""])
    boxes = {
        place: (left + columns[place] * (BOX_WIDTH + SPACE), tops[place.row])
        for place in graph.boxes
    }
    width = left + (1 + max(columns.values(), default=0)) * (BOX_WIDTH + SPACE) - SPACE + 2 * MARGIN
    height = max((top + high for top, high in rows.values()), default=TOP) + BOTTOM
    lines = [*_lines_in_rows(boxes, spaces), *_lines_between(boxes, rows, spaces, left)]
    return Drawing(width=width, height=height, boxes=boxes, rows=rows, lines=lines)


@dataclass(frozen=True, kw_only=True)
class _Spaces:
    """Lines by where they run; those that share a space get a track each.

    Attributes:
        steps: From a box to the next one of its row.
        skips, returns: To other boxes of a row; below it, and above it.
        between: To other rows.
        above, below: Tracks in a row, by its name and the line.
        gutters: Tracks below a row, by its name and where the line comes from.
        sides: Tracks at the left of all rows, under "", by where the line comes from.
    """

    steps: Sequence[Pair]
    skips: Sequence[Pair]
    returns: Sequence[Pair]
    between: Sequence[Pair]
    above: Tracks[Pair]
    below: Tracks[Pair]
    gutters: Tracks[Place]
    sides: Tracks[Place]

    @classmethod
    def of(cls, graph: Graph, columns: Mapping[Place, int]) -> "_Spaces":
        names = list(graph.rows)
        inside = [pair for pair in graph.needs if pair[0].row == pair[1].row]
        between = [pair for pair in graph.needs if pair[0].row != pair[1].row]
        steps = [pair for pair in inside if columns[pair[1]] == columns[pair[0]] + 1]
        skips = [pair for pair in inside if pair not in steps]
        first = {pair: names.index(pair[0].row) for pair in between}
        last = {pair: names.index(pair[1].row) - 1 for pair in between}
        return cls(
            steps=steps,
            skips=skips,
            returns=graph.returns,
            between=between,
            above=_tracks((pair[0].row, pair) for pair in graph.returns),
            below=_tracks((pair[0].row, pair) for pair in skips),
            gutters=_tracks(
                (names[row], pair[0]) for pair in between for row in (first[pair], last[pair])
            ),
            sides=_tracks(("", pair[0]) for pair in between if first[pair] != last[pair]),
        )


def _lines_in_rows(boxes: Mapping[Place, Point], spaces: _Spaces) -> Iterator[Line]:
    for needed, place in spaces.steps:
        (x, y), (to, _) = boxes[needed], boxes[place]
        middle = y + BOX_HEIGHT / 2
        yield Line(points=((x + BOX_WIDTH, middle), (to, middle)))
    for needed, place in spaces.skips:
        (x, y), (to, _) = _bottom(boxes[needed]), _bottom(boxes[place])
        track = y + TRACK * (1 + spaces.below[needed.row][needed, place])
        yield Line(points=((x, y), (x, track), (to, track), (to, y)))
    for needed, place in spaces.returns:
        (x, y), (to, _) = _top(boxes[needed], LEAVES), _top(boxes[place], ENTERS)
        track = y - TRACK * (1 + spaces.above[needed.row][needed, place])
        yield Line(points=((x, y), (x, track), (to, track), (to, y)), is_return=True)


def _lines_between(
    boxes: Mapping[Place, Point], rows: Mapping[str, tuple[int, int]], spaces: _Spaces, left: float
) -> Iterator[Line]:
    names = list(rows)
    for needed, place in spaces.between:
        before = names[names.index(place.row) - 1]
        first, last = (
            sum(rows[row]) + GUTTER / 2 + TRACK * spaces.gutters[row][needed]
            for row in (needed.row, before)
        )
        (x, y), (to, end) = _bottom(boxes[needed]), _top(boxes[place])
        points: tuple[Point, ...] = ((x, y), (x, first))
        if before != needed.row:
            side = left - CHANNEL / 2 - TRACK * spaces.sides[""][needed]
            points = (*points, (side, first), (side, last))
        yield Line(points=(*points, (to, last), (to, end)))


def _top(corner: Point, shift: float = 0) -> Point:
    return corner[0] + BOX_WIDTH / 2 + shift, corner[1]


def _bottom(corner: Point) -> Point:
    return corner[0] + BOX_WIDTH / 2, corner[1] + BOX_HEIGHT


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


def _tracks(used: Iterable[tuple[str, Key]]) -> Tracks[Key]:
    """Number what runs through each space."""
    found: Tracks[Key] = defaultdict(dict)
    for space, what in used:
        found[space].setdefault(what, len(found[space]))
    return found
