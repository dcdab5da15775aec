"""Paths of this machine in what leaves it: relative to a known folder, or only their last part.

    /home/me/checkout/texts/a.txt  ->  texts/a.txt      below a folder that others have too
    /data/me/corpus/*.txt          ->  *.txt            elsewhere
    see ~/notes/a.md               ->  see a.md         within a text

Others have no use for the folders of this machine; the rest says what the file is.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

_START = r"(?:[a-z][a-z0-9+.-]*:///+|file:/+|~[\w.-]*/|\.\./|/(?=[\w.@-]+/))"
_BEFORE = r"""(?:(?<=[\s"'`=,:;(\[{>|])|^)"""
# Up to its own quotes where it has some, since names of folders have spaces.
_WITHIN = re.compile(
    rf"""(?<=")(?:{_START}|/)[^"\n]*(?=")|(?<=')(?:{_START}|/)[^'\n]*(?=')"""
    rf"""|{_BEFORE}{_START}[^\s"'`,:;)\]}}<>|&]*""",
    re.MULTILINE,
)
_SCHEME = re.compile(r"(?:file:/+|[a-z][a-z0-9+.-]*:///+)(?=[^/])")
_WHOLE = ("/", "~", "../")


def without_folders(value: Any, known: Sequence[Path] = ()) -> Any:
    """Return a value, or the values and keys in it, without absolute paths.

    Args:
        value: Text, or anything that JSON can hold.
        known: Folders that paths may be relative to, absolute.
    """
    if isinstance(value, str):
        whole = value.startswith(_WHOLE) or _SCHEME.match(value)
        return _short(value, known) if whole else shortened(value, known)
    if isinstance(value, Mapping):
        return {
            without_folders(name, known): without_folders(item, known)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_folders(item, known) for item in value]
    return value


def home() -> list[Path]:
    """Return the user's home; none where a user has none, as in some containers."""
    try:
        return [Path.home()]
    except RuntimeError:
        return []


def shortened(text: str, known: Sequence[Path] = ()) -> str:
    """Return a text with the absolute paths within it shortened; arguments of `without_folders`."""
    return _WITHIN.sub(lambda found: _short(found[0], known), text)


def _short(path: str, known: Sequence[Path]) -> str:
    path = re.sub(rf"^{_SCHEME.pattern}", "/", path)
    full = f"{home()[0]}{path[1:]}" if path.startswith("~/") and home() else path
    # A path with ../ may lead back to a folder that others have too.
    full = os.path.normpath(known[0] / full if known else full)
    for folder in known:
        if full == str(folder) or full.startswith(f"{folder}/"):
            return os.path.relpath(full, folder)
    return PurePath(path).name or path
