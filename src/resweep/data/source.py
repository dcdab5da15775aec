"""What data is prepared from: its settings, which name it, and the files that they name."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import TypeAdapter

from resweep.canonical import digest
from resweep.config.schema import Schema
from resweep.config.section import AsBefore
from resweep.data.notes import Note, difference


class Source(Protocol):
    """What prepares data: the part of a system that the data store uses."""

    data_format: ClassVar[int]
    data_shape: ClassVar[TypeAdapter[Any]]

    def __hash__(self) -> int:
        """Hash of its identity: what it describes is read once."""

    @property
    def schema(self) -> Schema:
        """The schema, with a section `data`."""

    def source_files(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the local files that data is prepared from."""

    def source_folders(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return where these files are looked for, whether it exists or not."""

    def prepare_data(self, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Write prepared data into an empty folder; returns its description for data.json."""

    def recompute_digest(self, folder: Path, described: Mapping[str, Any]) -> str | None:
        """Return the digest of prepared data, from its files; None if that is not possible."""


def data_id(source: Source, settings: Mapping[str, Any]) -> str:
    """Name of the data set of these settings; later fields count only if not `AsBefore`."""
    fields = source.schema.sections["data"].model_fields
    kept = {}
    for name, value in settings.items():
        marks = fields[name].metadata if name in fields else []
        if not any(isinstance(mark, AsBefore) and mark.value == value for mark in marks):
            kept[name] = value
    return digest({"format": source.data_format, **source.schema.identity, **kept}, 12)


def is_mounted(source: Source, settings: Mapping[str, Any]) -> bool:
    """Whether any place where the source files are looked for exists here."""
    return any(map(os.path.exists, source.source_folders(settings)))


def source_change(
    source: Source, settings: Mapping[str, Any], known: Mapping[str, Note]
) -> str | None:
    """Return how the source files differ from what data was prepared from, or None.

    Args:
        source: What prepares it.
        settings: The data section.
        known: Notes of the files that it was prepared from.

    Raises:
        DataError: Some of the files are missing.
    """
    named = {str(file) for file in source.source_files(settings)}
    for name in sorted(named ^ known.keys()):
        return f"its source {name} is {'new' if name in named else 'gone'}"
    for name, note in known.items():
        what = difference(Path(name), note)
        if what is not None:
            return f"its source {name} {what}"
    return None
