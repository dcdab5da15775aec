"""JSON files of our own: written with a checksum, checked whole when they are read.

    write_json   content -> its checksum added -> file, atomically
    read_json    file -> JSON -> checksum -> the expected type; or DamagedFile: file, what, fix

Nothing is believed because it is there: a disk, a copy or an editor may have changed it. Files of
older versions have no checksum; their type is checked.
"""

import errno
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from resweep.errors import DamagedFile
from resweep.files import write_atomically
from resweep.violations import MISSING, violations

CHECKSUM = "checksum"
CHECKSUM_LENGTH = 16
_NO_FILE = {errno.EISDIR: "is a folder", errno.ELOOP: "is a link that leads to itself"}
MAPPING: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])

log = logging.getLogger(__name__)


def to_json(content: Mapping[str, Any]) -> str:
    """Return the text of a file: the content, then its checksum.

    Raises:
        ValueError: A number is nan or infinite, which JSON cannot hold.
    """
    return json.dumps({**content, CHECKSUM: checksum(content)}, indent=2, allow_nan=False) + "\n"


def from_json(text: str | bytes) -> dict[str, Any]:
    """Return the content of a file, without its checksum.

    Raises:
        ValueError: It is not a JSON object, or not the one that was written; the message is a
            predicate: "is not JSON".
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"should be a JSON object, not {content!r:.40}")
    known = content.pop(CHECKSUM, None)
    if known is not None and known != checksum(content):
        raise ValueError("was changed after it was written: its checksum does not fit")
    return content


def has_checksum(text: str | bytes) -> bool:
    """Whether the content of a file that `from_json` read has a checksum."""
    return CHECKSUM in json.loads(text)


def checksum(content: Mapping[str, Any]) -> str:
    """Digest of a content; does not depend on the order of keys or on spaces."""
    read_back = json.loads(json.dumps(content, allow_nan=False))  # keys are text then
    text = json.dumps(read_back, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:CHECKSUM_LENGTH]


def write_json(
    path: Path, content: Mapping[str, Any], confirm: Callable[[], None] = lambda: None
) -> None:
    """Write a JSON file with its checksum, as `write_atomically` does."""
    write_atomically(path, to_json(content), confirm)


def read_json(path: Path, fix: str, shape: TypeAdapter[Any] = MAPPING) -> Any:
    """Read a JSON file that `write_json` wrote, or an older version.

    Args:
        path: The file.
        fix: What to do if it is damaged, for the message.
        shape: The type of its content, checked strictly.

    Raises:
        FileNotFoundError: There is none.
        DamagedFile: It is not JSON, has another checksum, or is not of this type.
    """
    try:
        with refusing_others(path, fix):
            content = path.read_bytes()
        return typed(from_json(content), shape)
    except ValueError as error:
        raise DamagedFile(path, str(error), fix) from None


@contextmanager
def refusing_others(path: Path, fix: str) -> Iterator[None]:
    """Raise DamagedFile where something else is in the place of a file: a folder, a link in a loop.

    Args:
        path: The file that is read inside.
        fix: What to do, for the message.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise DamagedFile(path, _NO_FILE[error.errno], fix) from None


def typed(content: Mapping[str, Any], shape: TypeAdapter[Any]) -> Any:
    """Return a content of the expected type.

    Raises:
        ValueError: It is of another type; the message is a predicate: "has no step".
    """
    try:
        return shape.validate_python(content, strict=True)
    except ValidationError as error:
        first = violations(error, content)[0]
        if first.type == MISSING:
            raise ValueError(f"has no {first.key}") from None
        shown = f"has {first.key} = {first.value!r:.40}, which " if first.place else ""
        raise ValueError(f"{shown}{first.hint}") from None


def set_aside(path: Path, what: str) -> Path:
    """Rename a damaged file or folder to `{name}.damaged`, with a warning; returns that path.

    Args:
        path: What is damaged.
        what: How.
    """
    aside = path.with_name(f"{path.name}.damaged")
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside)
    else:
        aside.unlink(missing_ok=True)  # a folder would not replace a file
    path.replace(aside)
    log.warning("%s: %s; set aside as %s", path, what, aside.name)
    return aside
