"""Paths of this machine in what leaves it: relative to a known folder, or only their last part.

    /home/me/checkout/texts/a.txt  ->  texts/a.txt      below a folder that others have too
    /data/me/corpus/*.txt          ->  *.txt            elsewhere
    see ~/notes/a.md               ->  see a.md         within a text
    C:\\Users\\me\\a.txt             ->  a.txt            of another machine

Others have no use for the folders of this machine; the rest says what the file is.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

_HOME = r"(?:~[\w.-]*|\$HOME|\$\{HOME\})/"
_DRIVE = r"[A-Za-z]:[\\/]+(?=[\w.$ -]+[\\/])"  # of Windows
_START = rf"(?:[A-Za-z][\w+.-]*:///+|(?i:file):/+|{_DRIVE}|{_HOME}|(?:\./)*\.\./|/(?=[\w.@-]+/))"
_BEFORE = r"""(?:(?<=[\s"'`“\u2018„«=,:;(\[{<>|])|^)"""
# Up to its own quotes where it has some, since names of folders have spaces.
_WITHIN = re.compile(
    rf"""(?<=")(?:{_START}|/)[^"\n]*(?=")|(?<=')(?:{_START}|/)[^'\n]*(?=')"""
    rf"""|{_BEFORE}{_START}[^\s"'`,:;)\]}}<>|&]*""",
    re.MULTILINE,
)
_SCHEME = re.compile(r"(?:(?i:file):/+|[A-Za-z][\w+.-]*:///+)(?=[^/])")
_WHOLE = re.compile(rf"[/~]|{_HOME}|{_DRIVE}|{_SCHEME.pattern}|(?:[^\s:/]+/)*\.\./")


def without_folders(value: Any, known: Sequence[Path] = ()) -> Any:
    """Return a value, or the values and keys in it, without absolute paths.

    Args:
        value: Text, or anything that JSON can hold.
        known: Folders that paths may be relative to, absolute.
    """
    if isinstance(value, str):
        return _short(value, known) if _WHOLE.match(value) else shortened(value, known)
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
    path = _SCHEME.sub("/", path) if _SCHEME.match(path) else path
    if re.match(_DRIVE, path):
        escape = path[len(path.rstrip("\\")) :]  # of a quote behind it, in JSON
        return PureWindowsPath(path).name + escape
    if re.match(_HOME, path) and not path.startswith("~/"):  # of somebody, who need not exist here
        return PurePath(path).name
    full = f"{home()[0]}{path[1:]}" if path.startswith("~/") and home() else path
    # A path with ../ may lead back to a folder that others have too.
    full = os.path.normpath(known[0] / full if known else full)
    for folder in known:
        if full == str(folder) or full.startswith(f"{folder}/"):
            return os.path.relpath(full, folder)
    return PurePath(path).name or path
