"""The JavaScript that draws the charts of a page, bundled once for all reports of a user.

Bundling takes more than a second of CPU time, and what comes out depends on the version of
vl-convert alone: it is kept in the user's cache folder, below its digest.
"""

import hashlib
import logging
import os
from functools import cache
from importlib.metadata import version
from pathlib import Path

from resweep.errors import describe
from resweep.files import write_atomically

log = logging.getLogger(__name__)


def library_element() -> str:
    """Return the script element of a page that holds the library; by its class, it is code."""
    return f'<script class="library">{chart_library()}</script>'


@cache
def chart_library() -> str:
    """Return the JavaScript that draws the charts, fit for a script element."""
    folder = _cache_folder()
    file = folder / f"vega-{version('vl-convert-python')}.js"
    known = _read(file) if folder.is_absolute() else None
    if known is not None:
        return known
    import vl_convert  # 90 MB

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    text = bundle.replace("</script", "<\\/script")
    if folder.is_absolute():
        try:
            write_atomically(file, f"{_digest(text)}\n{text}")
        except OSError as error:
            log.info("%s", describe(error))
    return text


def _cache_folder() -> Path:
    """Return a folder; a relative one where the user has no home."""
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given or os.path.expanduser("~/.cache"), "resweep")  # noqa: PTH111


def _read(file: Path) -> str | None:
    try:
        digest, _, text = file.read_bytes().decode().partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return text if digest == _digest(text) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
