"""Pictures and boards of systems as SVG: what is drawn where, and that any text is only text."""

import math
import re

import pytest

from resweep.report.pictures import pictures_html
from resweep.systems.values import Board, Image, Pictures

SVG = re.compile(r"<svg.*?</svg>", re.S)


def draw(*pictures: Image | Board) -> str:
    return pictures_html(Pictures(title="t", caption="c", rows={"best": pictures}))


def test_pixels_of_one_colour_share_a_path() -> None:
    html = draw(Image(pixels=[[0.0, 0.0, 1.0], [0.5, 1.0, 1.0]]))
    paths = dict(re.findall(r'<path fill="(#\w+)" d="(.*?)"/>', html))
    assert paths == {
        "#000000": "M0 0h2v1h-2z",
        "#ffffff": "M2 0h1v1h-1zM1 1h2v1h-2z",
        "#808080": "M0 1h1v1h-1z",
    }
    assert 'viewBox="0 0 3 2"' in html


@pytest.mark.parametrize(
    ("pixel", "colour"),
    [
        (1.7, "#ffffff"),
        (-0.2, "#000000"),
        (math.nan, "#000000"),
        (math.inf, "#ffffff"),
        ((1.0, 0.0, 0.2), "#ff0033"),
    ],
)
def test_any_value_of_a_pixel_is_drawn(pixel: float, colour: str) -> None:
    assert f'fill="{colour}"' in draw(Image(pixels=[[pixel]]))


def test_a_board_draws_cells_looks_and_boxes() -> None:
    cells = [["1", ""], ["", "2"]]
    html = draw(Board(cells=cells, looks={(0, 0): "given", (1, 1): "wrong"}, box=(1, 2)))
    assert re.findall(r'<text class="(\w+)"[^>]*>(.)</text>', html) == [
        ("given", "1"),
        ("wrong", "2"),
    ]
    assert html.count('class="plain"') == 2
    assert html.count('class="box"') == 2


def test_texts_are_only_text() -> None:
    nasty = '<script>alert(1)</script>"'
    board = Board(cells=[[nasty]], looks={}, label=nasty)
    html = pictures_html(Pictures(title="t", caption="c", rows={nasty: [board]}))
    assert "<script" not in html
    assert len(SVG.findall(html)) == 1


def test_rows_without_pictures_are_left_out() -> None:
    assert pictures_html(Pictures(title="t", caption="c", rows={"none": []})) == ""
