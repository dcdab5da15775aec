"""The style sheet and the scripts of a page, as files that an editor understands."""

from pathlib import Path

STYLES = ("page.css", "charts.css")
SCRIPTS = (  # in the order in which they run
    "elements.js",
    "selection.js",
    "brush.js",
    "curves.js",
    "parallel.js",
    "charts.js",
    "tables.js",
    "drawings.js",
    "figures.js",
)
_FOLDER = Path(__file__).parent


def styles() -> str:
    """Return the content of the page's style element."""
    return "".join(_read(name) for name in STYLES)


def scripts() -> str:
    """Return the content of the page's last script element; it runs when all else is there."""
    return "".join(_read(name) for name in SCRIPTS)


def _read(name: str) -> str:
    text = (_FOLDER / name).read_text()
    assert "</s" not in text, f"{name} would end its own element"
    return text
