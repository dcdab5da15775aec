"""Small pictures and boards of the systems, drawn as SVG inside the page.

They need no JavaScript. Colours of boards come from the page's style sheet, for light and dark.
"""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from resweep.systems.values import Board, Image, Pictures

IMAGE = 72  # width and height of an image on the page, in pixels; wide ones keep their shape
CELL = 22  # of a board
EDGE = 2


def pictures_html(pictures: Pictures) -> str:
    """Draw rows of pictures with their headings; empty without any picture."""
    rows = [
        f'<div class="pictures"><b>{escape(heading)}</b>{"".join(map(_figure, row))}</div>\n'
        for heading, row in pictures.rows.items()
        if row
    ]
    return "".join(rows)


def _figure(picture: Image | Board) -> str:
    drawn = _image(picture) if isinstance(picture, Image) else _board(picture)
    label = f"<figcaption>{escape(picture.label)}</figcaption>" if picture.label else ""
    return f"<figure>{drawn}{label}</figure>"


def _svg(width: float, height: float, box: tuple[int, int], inner: str, label: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {box[0]} {box[1]}">{inner}</svg>'
    )


def _image(image: Image) -> str:
    """Draw one path per colour: it takes a fraction of the text of one rectangle per pixel."""
    rows = [[_colour(pixel) for pixel in row] for row in image.pixels]
    height, width = len(rows), max(map(len, rows), default=0)
    if not width:
        return ""
    strips: dict[str, list[str]] = {}
    for y, row in enumerate(rows):
        for x, length, colour in _strips(row):
            strips.setdefault(colour, []).append(f"M{x} {y}h{length}v1h-{length}z")
    inner = "".join(f'<path fill="{c}" d="{"".join(d)}"/>' for c, d in strips.items())
    scale = IMAGE / max(width, height)
    crisp = f'<g shape-rendering="crispEdges">{inner}</g>'
    return _svg(width * scale, height * scale, (width, height), crisp, image.label or "image")


def _strips(row: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield where each stretch of one colour starts, and its length."""
    start = 0
    for colour, pixels in groupby(row):
        length = len(list(pixels))
        yield start, length, colour
        start += length


def _colour(pixel: float | tuple[float, float, float]) -> str:
    channels = pixel if isinstance(pixel, tuple) else (pixel, pixel, pixel)
    # Not a number compares false and becomes 0: a diverged model's image is black.
    return "#" + "".join(
        f"{round(255 * (min(value, 1.0) if value > 0 else 0)):02x}" for value in channels
    )


def _board(board: Board) -> str:
    rows, columns = len(board.cells), max(map(len, board.cells), default=0)
    width, height = columns * CELL, rows * CELL
    parts = []
    for y, row in enumerate(board.cells):
        for x, text in enumerate(row):
            look = board.looks.get((y, x), "plain")
            place = f'x="{x * CELL}" y="{y * CELL}"'
            parts.append(f'<rect class="{look}" {place} width="{CELL}" height="{CELL}"/>')
            if text:
                middle = f'x="{x * CELL + CELL / 2:g}" y="{y * CELL + CELL / 2:g}"'
                parts.append(f'<text class="{look}" {middle}>{escape(text)}</text>')
    if board.box is not None:
        high, wide = board.box
        parts += [
            f'<rect class="box" x="{x * CELL}" y="{y * CELL}" width="{wide * CELL}" '
            f'height="{high * CELL}"/>'
            for y in range(0, rows, high)
            for x in range(0, columns, wide)
        ]
    moved = f'<g class="board" transform="translate({EDGE} {EDGE})">{"".join(parts)}</g>'
    size = (width + 2 * EDGE, height + 2 * EDGE)
    return _svg(*size, size, moved, board.label or "board")
