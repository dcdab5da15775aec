"""Versions of an artifact: one for each distinct content, each a permanent copy.

    files -> cleaned (leaving.py) -> versions/{name}/v{n}/, v{n}.json

The digest is that of what leaves this machine. Nothing here knows where a version is sent.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from resweep.canonical import digest, file_digest
from resweep.errors import DamagedFile
from resweep.files import removing
from resweep.json_files import read_json, set_aside, write_json
from resweep.publish.leaving import Machine, cleaned, is_cleaned

_VERSION = re.compile(r"v(0|[1-9][0-9]*)\.json(?:\.damaged)?").fullmatch


class Description(TypedDict):
    """Content of v{n}.json; `places` are all that it was published to."""

    name: str
    type: str
    version: str
    digest: str
    files: dict[str, str]
    metadata: dict[str, Any]
    created: str
    places: list[dict[str, Any]]


_DESCRIPTION = TypeAdapter(Description)


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content of a version.

    Attributes:
        name: Of the artifact.
        type: configs, model, scores, report or code.
        files: Name in the artifact -> file, or its bytes.
        metadata: Its origin; kept from when the version was made.
        notes: For the stamp alone, which may be written again for the same version.
        link: Whether the files never change, so that a hard link can replace a copy.
        hub: What a Hugging Face folder of a model has besides: name -> file, or its bytes.
        run: Folder of the run that made it, in W&B too; None: none did.
        uses: Artifacts of W&B that it was made from, by their full names.
    """

    name: str
    type: str
    files: Mapping[str, Path | bytes]
    metadata: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)
    link: bool = False
    hub: Mapping[str, Path | bytes] = field(default_factory=dict)
    run: Path | None = None
    uses: tuple[str, ...] = ()


def make_version(content: Content, versions: Path, machine: Machine) -> Description:
    """Return the description of the version with this content; makes the version if it is new.

    Args:
        content: What to publish.
        versions: Folder of the artifact's versions, whose lock is held.
        machine: Where this is.

    Raises:
        ConfigError: A file holds a secret, or names a folder of this machine in code.
    """
    new = versions / ".new"
    shutil.rmtree(new, ignore_errors=True)  # left by a killed process
    with removing(new):
        for name, source in content.files.items():
            write_clean(name, source, new / name, machine, link=content.link)
        return _place(content, versions, new)


def write_clean(
    name: str, source: Path | bytes, copy: Path, machine: Machine, *, link: bool = False
) -> None:
    """Write a file as it leaves this machine.

    Args:
        name: Of the file, which says what it is.
        source: The file, or its bytes.
        copy: What to write.
        machine: Where this is.
        link: Whether a hard link can replace a copy.
    """
    copy.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, bytes):
        copy.write_bytes(cleaned(name, source, machine, name))
        return
    if is_cleaned(name):
        data = source.read_bytes()
        clean = cleaned(name, data, machine, str(source))
        if clean != data or not link:
            copy.write_bytes(clean)
            return
    _copy(source.resolve(), copy, link)


def _copy(file: Path, copy: Path, link: bool) -> None:
    if link:
        try:
            copy.hardlink_to(file)
            return
        except OSError:  # another file system, or one without hard links
            pass
    shutil.copyfile(file, copy)


def _place(content: Content, versions: Path, new: Path) -> Description:
    """Make a new folder the version, if its content is new."""
    # Of the copies: the originals may change meanwhile.
    files = {name: file_digest(new / name) for name in sorted(content.files)}
    total = digest(files)
    numbers = sorted(
        {int(found[1]) for path in versions.iterdir() if (found := _VERSION(path.name))}
    )
    for number in numbers:
        known = _read_version(versions / f"v{number}", content, files)
        if known is not None and known["digest"] == total:
            place = versions / f"v{number}"
            if os.path.lexists(place) and digests(place) != files:
                set_aside(place, "its files are not those that were published")
            if not place.is_dir():  # deleted to save space
                new.rename(place)
            return known
    version = f"v{numbers[-1] + 1 if numbers else 0}"
    shutil.rmtree(versions / version, ignore_errors=True)
    new.rename(versions / version)
    return write_description(versions, _described(content, version, files))


def _described(content: Content, version: str, files: Mapping[str, str]) -> Description:
    """Return the description of a version that was published nowhere yet."""
    return {
        "name": content.name,
        "type": content.type,
        "version": version,
        "digest": digest(files),
        "files": dict(files),
        "metadata": dict(content.metadata),
        "created": now(),
        "places": [],
    }


def _read_version(folder: Path, content: Content, files: Mapping[str, str]) -> Description | None:
    """Return the description of a version; None if it is damaged and of other files.

    A damaged one is set aside. If its files are the same, it is written again, and they are
    published again: only the description knew where they had been sent.
    """
    path = folder.with_name(f"{folder.name}.json")
    try:
        known: Description = read_json(path, "it is written again", _DESCRIPTION)
        return known
    except FileNotFoundError:
        pass
    except DamagedFile as error:
        set_aside(path, error.what)
    if digests(folder) != files:
        return None
    return write_description(folder.parent, _described(content, folder.name, files))


def write_description(versions: Path, known: Description) -> Description:
    """Write the description of a version beside its folder."""
    write_json(versions / f"{known['version']}.json", known)
    return known


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a folder by its name."""
    return {
        file.relative_to(folder).as_posix(): file_digest(file)
        for file in folder.rglob("*")
        if file.is_file()
    }


def now() -> str:
    """Return the time, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
