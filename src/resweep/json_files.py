"""JSON files of our own: written with a checksum, checked whole when they are read.

    write_json   content -> its checksum added -> file, atomically
    read_json    file -> JSON -> checksum -> the expected type; or DamagedFile: file, what, fix

Nothing is believed because it is there: a disk, a copy or an editor may have changed it. Files of
older versions have no checksum; their type is checked.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from resweep.canonical import digest
from resweep.errors import DamagedFile
from resweep.files import write_atomically

CHECKSUM = "checksum"
CHECKSUM_LENGTH = 16
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
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"should be a JSON object, not {content!r:.40}")
    known = content.pop(CHECKSUM, None)
    if known is not None and known != checksum(content):
        raise ValueError("was changed after it was written: its checksum does not fit")
    return content


def checksum(content: Mapping[str, Any]) -> str:
    """Digest of a content; does not depend on the order of keys or on spaces."""
    return digest(json.loads(json.dumps(content, allow_nan=False)), CHECKSUM_LENGTH)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, atomically, with its checksum."""
    write_atomically(path, to_json(content))


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
        return shape.validate_python(from_json(path.read_bytes()), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = f"{key} = {first['input']!r:.40}: {first['msg']}" if key else str(first["msg"])
        raise DamagedFile(path, what, fix) from None
    except ValueError as error:
        raise DamagedFile(path, str(error), fix) from None


def set_aside(path: Path, what: str) -> Path:
    """Rename a damaged file or folder to `{name}.damaged`, with a warning; returns that path.

    Args:
        path: What is damaged.
        what: How.
    """
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    log.warning("%s: %s; set aside as %s", path, what, aside.name)
    return aside
