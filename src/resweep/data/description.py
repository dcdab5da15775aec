"""data.json: what a folder of the data store has, and what its files and sources were."""

import os
import stat
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, NotRequired

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep.data.notes import Note
from resweep.data.source import Source, data_id
from resweep.errors import DamagedFile
from resweep.json_files import read_json

DESCRIPTION = "data.json"
FIX = "run the same command again to prepare the data again from its source"
# File systems count time in steps of up to 2 seconds: after a change, what is written in the same
# step looks the same.
SETTLED = 10.0


@with_config(ConfigDict(extra="allow"))
class Description(TypedDict):
    """Content of data.json, besides the system's own description.

    Older versions noted no files.
    """

    settings: dict[str, Any]
    digest: str
    sources: dict[str, Note]
    files: NotRequired[dict[str, Note]]


SHAPE: TypeAdapter[Description] = TypeAdapter(Description)


def read_description(source: Source, folder: Path) -> Description:
    """Return the description of a folder of the data store.

    Raises:
        DamagedFile: It is damaged, or is that of another data set.
        OSError: There is none, or it cannot be read.
    """
    path = folder / DESCRIPTION
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DamagedFile(path, "is not a file", FIX)
    if time.time() - status.st_mtime < SETTLED:
        return _read(source, path)
    return _read_once(source, path, _key(status))


def _key(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1024)
def _read_once(source: Source, path: Path, status: tuple[int, ...]) -> Description:
    """Read a file that has this status: a plan asks for the same one for each trial."""
    return _read(source, path)


def _read(source: Source, path: Path) -> Description:
    read_json(path, FIX, source.data_shape)
    described: Description = read_json(path, FIX, SHAPE)
    try:
        name = data_id(source, described["settings"])
    except ValueError as error:
        raise DamagedFile(path, f"settings: {error}", FIX) from None
    if name != path.parent.name:
        raise DamagedFile(path, f"describes the data set {name}", FIX)
    return described
