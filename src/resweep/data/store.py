"""The data store: `results/data/{data_id}/`, prepared once for equal settings.

data.json    settings, digest, the system's description of the data, fingerprints of its sources
...          the files that trainings read, defined by the system
"""

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from resweep.canonical import digest, file_digest
from resweep.config.schema import Schema
from resweep.config.section import AsBefore
from resweep.errors import DataError
from resweep.files import file_lock, naming, removing, write_atomically
from resweep.locks import FileLock
from resweep.paths import Layout

DESCRIPTION = "data.json"


class Source(Protocol):
    """What prepares data: the part of a system that this store uses."""

    data_format: ClassVar[int]

    @property
    def schema(self) -> Schema:
        """The schema, with a section `data`."""

    def source_files(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the local files that data is prepared from."""

    def prepare_data(self, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Write prepared data into an empty folder; returns its description for data.json."""


@dataclass(frozen=True)
class Prepared:
    """One prepared data set.

    Attributes:
        folder: Where its files are.
        digest: SHA-256 of everything that trainings read from it.
        about: Content of data.json.
    """

    folder: Path
    digest: str
    about: Mapping[str, Any]


def data_id(source: Source, settings: Mapping[str, Any]) -> str:
    """Name of the data set of these settings; later fields count only if not `AsBefore`."""
    fields = source.schema.sections["data"].model_fields
    kept = {}
    for name, value in settings.items():
        marks = fields[name].metadata if name in fields else []
        if not any(isinstance(mark, AsBefore) and mark.value == value for mark in marks):
            kept[name] = value
    return digest({"format": source.data_format, **source.schema.identity, **kept}, 12)


def find(source: Source, settings: Mapping[str, Any], layout: Layout) -> Prepared | None:
    """Return the data set if it is prepared and its source files have not changed."""
    folder = layout.data(data_id(source, settings))
    try:
        about = json.loads((folder / DESCRIPTION).read_text())
    except (OSError, ValueError):
        return None
    known = about["sources"]
    if not all(_unchanged(Path(name), fingerprint) for name, fingerprint in known.items()):
        return None
    if _named_files(source, settings) - known.keys():
        return None
    return Prepared(folder, about["digest"], about)


def ensure(source: Source, settings: Mapping[str, Any], layout: Layout) -> Prepared:
    """Prepare the data set, or return the existing one; safe to call from many processes.

    Raises:
        DataError: The source is missing, empty or unfit.
    """
    found = find(source, settings, layout)
    if found is not None:
        return found
    folder = layout.data(data_id(source, settings))
    _drop_unfinished(folder.parent)
    with file_lock(folder.with_suffix(".lock")):
        found = find(source, settings, layout)
        if found is not None:
            return found
        return _prepare(source, settings, folder)


def _drop_unfinished(folder: Path) -> None:
    """Delete what killed processes left half-prepared: nobody holds its lock any more."""
    for new in folder.glob("*.new"):
        lock = FileLock(new.with_suffix(".lock"))
        with contextlib.suppress(OSError):  # another user's
            if lock.take(0.0):
                shutil.rmtree(new, ignore_errors=True)
                lock.release()


def _prepare(source: Source, settings: Mapping[str, Any], folder: Path) -> Prepared:
    before = {str(file): _fingerprint(file) for file in source.source_files(settings)}
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    with naming(folder), removing(new):
        made = source.prepare_data(settings, new)
        about = {"settings": dict(settings), **made, "sources": before}
        write_atomically(new / DESCRIPTION, json.dumps(about, indent=2) + "\n")
        if folder.exists():  # made from other source files: its runs have another digest
            shutil.rmtree(folder)
        new.rename(folder)
    return Prepared(folder, about["digest"], about)


def _fingerprint(file: Path) -> dict[str, Any]:
    status = file.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": file_digest(file)}


def _unchanged(file: Path, known: Mapping[str, Any]) -> bool:
    try:
        status = file.stat()
    except OSError:
        return True  # deleted, or not mounted here: what was prepared from it is still valid
    if status.st_size != known["size"]:
        return False
    return status.st_mtime_ns == known["mtime_ns"] or file_digest(file) == known["sha256"]


def _named_files(source: Source, settings: Mapping[str, Any]) -> set[str]:
    """Return the existing source files; none where they are not mounted."""
    try:
        return {str(file) for file in source.source_files(settings)}
    except DataError:
        return set()
