"""A self-contained page: tables, charts and their JavaScript in one HTML file."""

from html import escape
from typing import Any

from resweep.report.assets import scripts, styles
from resweep.report.html_table import script_json
from resweep.report.vega import library_element

# The browser then blocks all loading and sending. Vega needs `eval`. A drawing that is saved as PNG
# is an image in between, whose content is its address.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:"
)


def card(title: str, content: str) -> str:
    """Render a titled box; `content` is HTML."""
    return f'<section class="card"><h3>{escape(title)}</h3>{content}</section>\n'


def fold(title: str, content: str) -> str:
    """Render a box that opens on a click; `content` is HTML."""
    return (
        f'<section class="card"><details><summary>{escape(title)}</summary>{content}'
        "</details></section>\n"
    )


def drawing(title: str, content: str, caption: str) -> str:
    """Render a box with a picture and what it shows; `content` is HTML with svg elements."""
    return card(title, f'<div class="drawing">{content}</div><p>{escape(caption)}</p>')


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
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{styles()}</style>\n</head>\n<body>\n<main>\n{body}"
        "<noscript><p>The charts need JavaScript; the tables work without it.</p></noscript>\n"
        f"</main>\n{library_element()}\n"
        f"<script>const CHARTS = {script_json(charts.specs)};\n{scripts()}</script>\n"
        "</body>\n</html>\n"
    )
