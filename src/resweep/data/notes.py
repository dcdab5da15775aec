"""Notes of what files were, to see later whether they still are that.

size, date, inode    one stat, at every look
SHA-256              only if date or inode are not the noted ones; once per process
"""

import os
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from resweep.canonical import file_digest


class Note(TypedDict):
    """What a file was; the inode is noted of our own files only."""

    size: int
    mtime_ns: int
    inode: NotRequired[int]
    sha256: str


def note_source(file: Path) -> Note:
    """Return the note of a file outside the store; raises OSError."""
    status = file.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": _digest(file, status)}


def note_own(file: Path) -> Note:
    """Return the note of a file in the store; raises OSError."""
    return {**note_source(file), "inode": file.stat().st_ino}


def note_again(file: Path, note: Note) -> Note:
    """Return the note of a file with its present date and inode, if its content is as noted."""
    try:
        found = note_own(file) if "inode" in note else note_source(file)
    except OSError:
        return note
    return found if found["sha256"] == note["sha256"] else note


def is_as_noted(file: Path, note: Note) -> bool:
    """Whether a file has the noted size, date and inode."""
    try:
        return matches(file.stat(), note)
    except OSError:
        return False


def matches(status: os.stat_result, note: Note) -> bool:
    """Whether a file of this status has the noted size, date and inode."""
    noted = (note["size"], note["mtime_ns"], note.get("inode", status.st_ino))
    found = (status.st_size, status.st_mtime_ns, status.st_ino)
    return stat.S_ISREG(status.st_mode) and found == noted


def size_difference(file: Path, note: Note) -> str | None:
    """Return what one stat shows to be wrong, as a predicate ("is missing"), or None."""
    return _look(file, note)[1]


def difference(file: Path, note: Note) -> str | None:
    """Return how a file differs from its note, as a predicate, or None.

    Its content is read only if its date or inode are not the noted ones.
    """
    status, wrong = _look(file, note)
    if status is None or wrong is not None or matches(status, note):
        return wrong
    try:
        changed = _digest(file, status) != note["sha256"]
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "was changed: its SHA-256 is not the noted one" if changed else None


def _look(file: Path, note: Note) -> tuple[os.stat_result | None, str | None]:
    """Return a file's status, and what it shows to be wrong."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None, "is missing"
    except OSError as error:
        return None, f"cannot be read ({error.strerror})"
    if not stat.S_ISREG(status.st_mode):
        return status, "is not a file"
    if status.st_size != note["size"]:
        return status, f"has {status.st_size:,} bytes instead of {note['size']:,}"
    return status, None


def without_dates(notes: Mapping[str, Note]) -> dict[str, dict[str, Any]]:
    """Return what of some notes depends on the content of the files alone."""
    return {name: {"size": note["size"], "sha256": note["sha256"]} for name, note in notes.items()}


def _digest(file: Path, status: os.stat_result) -> str:
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return _digest_of(str(file.absolute()), key)


@lru_cache(maxsize=2**16)
def _digest_of(file: str, status: tuple[int, ...]) -> str:
    """Digest of a file that has this status: a plan asks for the same files for each trial."""
    return file_digest(Path(file))
