"""Write charts as SVG files that are light or dark, as the reader's system is.

Vega-Lite specification  ->  SVG in the light colors  ->  the same, with the dark ones in a style

A chart may only have the colors below, each of which has a counterpart on a dark page.
"""

import argparse
import re
from html import escape
from pathlib import Path
from typing import Any

import vl_convert

from resweep.files import write_atomically
from resweep.report.charts.spec import Spec

DOCS = Path(__file__).parent
WIDTH = 440  # of a plot: with axis and legend, text is still legible on a screen of 420 pixels
PAGE, TEXT, MINOR, AXIS, GRID = "#ffffff", "#1d2530", "#5b6675", "#c3cbd6", "#e6eaf0"
BLUE, ORANGE, GRAY = "#1f66b0", "#cc5a00", "#8d97a5"
# Seven colors of things in an order, and eight shades of one.
HUES = ["#5b2a86", "#3f5fa8", "#2a88a6", "#2a9d7f", "#6aa83a", "#c2921a", "#cf5f1a"]
SHADES = [
    *("#a9cbe6", "#8bb8dc", "#6da4d0", "#5190c2"),
    *("#387bb2", "#24669e", "#155187", "#0b3b6c"),
]
DARK_HUES = ["#b48ae0", "#86a5ee", "#5cb8d4", "#54c9a8", "#9bd36a", "#e8c04d", "#f29a58"]
DARK_SHADES = [
    *("#35577a", "#416c96", "#4f82b3", "#6197ca"),
    *("#7aacdb", "#97c2ea", "#b6d7f4", "#d8ebfc"),
]
DARK = {
    **{PAGE: "#12161c", TEXT: "#e4e9f0", MINOR: "#a2adbb", AXIS: "#434e5d", GRID: "#252d38"},
    **{BLUE: "#6cb2f5", ORANGE: "#f39a4a", GRAY: "#76818f"},
    **dict(zip(HUES, DARK_HUES, strict=True)),
    **dict(zip(SHADES, DARK_SHADES, strict=True)),
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
MEASURED = "DejaVu Sans"  # the widest of what that may be, so that no text is cut off
LABELS = {"labelFontSize": 13, "titleFontSize": 13, "titleFontWeight": "normal"}
LOOK: dict[str, Any] = {
    "background": PAGE,
    "padding": 10,
    "font": MEASURED,
    "view": {"stroke": None},
    "text": {"color": TEXT, "fontSize": 13},
    "title": {"anchor": "start", "fontSize": 14, "color": TEXT},
    "axis": {
        **LABELS,
        "labelColor": MINOR,
        "titleColor": TEXT,
        "domainColor": AXIS,
        "tickColor": AXIS,
        "gridColor": GRID,
    },
    "legend": {**LABELS, "labelColor": MINOR, "titleColor": TEXT, "columnPadding": 20},
}
_PAINT = re.compile(r'(?:fill|stroke)="(?!none|transparent|url)([^"]*)"')


def parse_arguments(about: str | None) -> argparse.Namespace:
    """Read the command line of a script that draws from results: `results` and `output`.

    Args:
        about: What the script does.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="(results)")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder (docs)")
    return parser.parse_args()


def write_svg(spec: Spec, path: Path, title: str) -> None:
    """Write a chart to a file.

    Args:
        spec: The chart, in the light colors of this module.
        path: Of the file.
        title: What screen readers say.

    Raises:
        ValueError: It has a color without a counterpart; names it.
    """
    drawn: str = vl_convert.vegalite_to_svg(spec, config=LOOK, allowed_base_urls=[])
    unknown = sorted(set(_PAINT.findall(drawn)) - DARK.keys())
    if unknown:
        raise ValueError(f"{path.name}: colors without a dark counterpart: {', '.join(unknown)}")
    used = [color for color in DARK if f'"{color}"' in drawn]
    rules = (f'[{of}="{c}"] {{ {of}: {DARK[c]} }}' for c in used for of in ("fill", "stroke"))
    style = f"<style>@media (prefers-color-scheme: dark) {{ {' '.join(rules)} }}</style>"
    head = f'<svg role="img" aria-label="{escape(title)}" '
    drawn = drawn.replace(f'font-family="{MEASURED}"', f'font-family="{FONT}"')
    body = drawn.replace("<svg ", head, 1).replace("><", f">{style}<", 1)
    write_atomically(path, f"{body}\n")
