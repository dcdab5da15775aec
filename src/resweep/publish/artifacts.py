"""Versioned artifacts: files under a name and a version, published to W&B, with a stamp.

    files -> versions/{name}/v{n}/ (a permanent copy) -> W&B -> {name}.json (the stamp)

Beside the stamp, `versions/{name}/v{n}/` holds the files of each distinct content, and `v{n}.json`
its description, with all places that it was published to. Publishing the same content to the same
place again sends nothing and writes the same stamp. A failure is only noted in the stamp, so that
the same command tries again.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from resweep.canonical import digest, file_digest
from resweep.errors import ConfigError, DamagedFile, Problem
from resweep.files import file_lock, removing
from resweep.json_files import read_json, set_aside, write_json
from resweep.paths import Layout, artifact_versions, tracking_log
from resweep.wandb import process as wandb_process
from resweep.wandb import upload

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
SECONDS_TO_PUBLISH = 90.0
SLOWEST_BYTES_PER_SECOND = 1e6
_VERSION = re.compile(r"v(0|[1-9][0-9]*)\.json(?:\.damaged)?").fullmatch


class _Description(TypedDict):
    """Content of v{n}.json."""

    name: str
    type: str
    version: str
    digest: str
    files: dict[str, str]
    metadata: dict[str, Any]
    created: str
    places: list[dict[str, Any]]


_DESCRIPTION = TypeAdapter(_Description)
STATUSES = {"offline": "recorded", "online": "published", "disabled": "local"}


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content of a version.

    Attributes:
        name: Of the artifact.
        type: configs or model.
        files: Name in the artifact -> file.
        metadata: Its origin; kept from when the version was made.
        notes: For the stamp alone, which may be written again for the same version.
        link: Whether the files never change, so that a hard link can replace a copy.
    """

    name: str
    type: str
    files: Mapping[str, Path]
    metadata: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)
    link: bool = False


@dataclass(frozen=True)
class Place:
    """Where to publish.

    Attributes:
        mode: offline (`wandb sync` sends it later), online or disabled (files and stamp only).
        project, entity: In W&B.
    """

    mode: str
    project: str
    entity: str | None = None

    def described(self) -> dict[str, Any]:
        """Return the fields that matter in this mode."""
        if self.mode == "disabled":
            return {"mode": self.mode}
        return {"mode": self.mode, "project": self.project, "entity": self.entity}


def check_name(name: str) -> str:
    """Return the name if it is valid for files and for W&B.

    Raises:
        ConfigError: It is not.
    """
    if not re.fullmatch(NAME, name):
        hint = "should start with a letter or digit, then letters, digits, _ . - (at most 128)"
        raise ConfigError(Problem("--artifact-name", "", None, f"{name!r} {hint}"))
    return name


def publish(
    content: Content, place: Place, stamp: Path, layout: Layout, again: str
) -> dict[str, Any]:
    """Make a version of the files if they are new, publish it, and write the stamp.

    W&B's own files go to the folder `wandb` beside the stamp's folder.

    Args:
        content: What to publish; without files, only the stamp is written.
        place: Where to publish.
        stamp: The file to write; versions are beside it.
        layout: Paths in the stamp are relative to its results folder.
        again: Command to retry, for the warning when W&B fails.

    Returns:
        The stamp's content; `status` is published (online), recorded (offline), local (disabled),
        failed (at W&B, with the reason under `where`), pruned or empty.

    Raises:
        ConfigError: The name is invalid.
    """
    check_name(content.name)
    if not content.files:
        missing = content.metadata.get("missing")
        status = "pruned" if missing else "empty"
        if missing:
            print(f"warning: {content.name}: not published: {missing}", file=sys.stderr)
        about = {"name": content.name, "type": content.type, "status": status}
        return _write(stamp, {**about, "metadata": content.metadata, **content.notes})
    versions = artifact_versions(stamp) / content.name
    with file_lock(versions / ".lock"):
        known = _version(content, versions)
        where = next((p for p in known["places"] if place.described().items() <= p.items()), None)
        if where is None:
            where = place.described() | _send(known, place, versions, layout)
            if "error" not in where:
                where["when"] = _now()
                known["places"].append(where)
                _write(versions / f"{known['version']}.json", known)
        status = "failed" if "error" in where else STATUSES[place.mode]
        if status == "failed":
            print(
                f"warning: {content.name}: not published: {where['error']}; the files are in "
                f"{versions / known['version']}; to retry, run: {again}",
                file=sys.stderr,
            )
        shown = {name: value for name, value in known.items() if name != "places"}
        return _write(stamp, {**shown, "status": status, "where": where, **content.notes})


def _version(content: Content, versions: Path) -> dict[str, Any]:
    """Return the description of the version with this content; makes the version if new."""
    new = versions / ".new"
    shutil.rmtree(new, ignore_errors=True)  # left by a killed process; we hold the lock
    with removing(new):
        return _place(content, versions, new)


def _place(content: Content, versions: Path, new: Path) -> dict[str, Any]:
    """Copy the files to a new folder, and make it the version if it is new."""
    for name, file in content.files.items():
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        _copy(file.resolve(), new / name, content.link)
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
            if os.path.lexists(place) and _digests(place) != files:
                set_aside(place, "its files are not those that were published")
            if not place.is_dir():  # deleted to save space
                new.rename(place)
            return known
    version = f"v{numbers[-1] + 1 if numbers else 0}"
    shutil.rmtree(versions / version, ignore_errors=True)
    new.rename(versions / version)
    return _write(versions / f"{version}.json", _described(content, version, files))


def _described(content: Content, version: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Return the description of a version that was published nowhere yet."""
    return {
        "name": content.name,
        "type": content.type,
        "version": version,
        "digest": digest(files),
        "files": dict(files),
        "metadata": dict(content.metadata),
        "created": _now(),
        "places": [],
    }


def _read_version(
    folder: Path, content: Content, files: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return the description of a version; None if it is damaged and of other files.

    A damaged one is set aside. If its files are the same, it is written again, and they are
    published again: only the description knew where they had been sent.
    """
    path = folder.with_name(f"{folder.name}.json")
    try:
        known: dict[str, Any] = read_json(path, "it is written again", _DESCRIPTION)
        return known
    except FileNotFoundError:
        pass
    except DamagedFile as error:
        set_aside(path, error.what)
    if _digests(folder) != files:
        return None
    return _write(path, _described(content, folder.name, files))


def _digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a version by its name."""
    return {
        file.relative_to(folder).as_posix(): file_digest(file)
        for file in folder.rglob("*")
        if file.is_file()
    }


def _copy(file: Path, copy: Path, link: bool) -> None:
    if link:
        try:
            copy.hardlink_to(file)
            return
        except OSError:  # another file system, or one without hard links
            pass
    shutil.copyfile(file, copy)


def _send(known: Mapping[str, Any], place: Place, versions: Path, layout: Layout) -> dict[str, Any]:
    """Publish a version in a child process; returns where it went, or the error."""
    if place.mode == "disabled":
        return {}
    # Relative to where we are, and where `wandb sync` is called: W&B records and sends this path.
    folder = Path(os.path.relpath(versions / known["version"]))
    directory = versions.parents[2].absolute()
    size = sum((folder / name).stat().st_size for name in known["files"])
    seconds = SECONDS_TO_PUBLISH + size / SLOWEST_BYTES_PER_SECOND
    output = tracking_log(directory, f"publish-{known['name']}")
    with tempfile.TemporaryDirectory() as temporary:
        answer = Path(temporary) / "answer.json"
        order = {
            "folder": str(folder),
            "answer": str(answer),
            "seconds": seconds,
            "artifact": {
                "name": known["name"],
                "type": known["type"],
                "metadata": wandb_process.without_folders(known["metadata"])
                | {k: known[k] for k in ("version", "digest")},
            },
            "init": {
                **place.described(),
                "dir": str(directory),
                "job_type": "publish",
                "name": f"publish/{known['name']}",
                "group": known["metadata"].get("study"),
            },
        }
        try:
            process = wandb_process.start(upload.__name__, order, output)
            with process:
                try:
                    code = process.wait(seconds + 2.0)  # it exits by itself before that
                except subprocess.TimeoutExpired:
                    process.kill()
                    return {"error": f"did not finish within {seconds:.0f} s"}
        except OSError as error:
            return {"error": f"could not start: {error}"}
        if code or not answer.exists():
            return {"error": wandb_process.last_line(output)}
        went = _read_answer(answer)
    if "run" in went:
        went["run"] = os.path.relpath(went["run"], layout.root.absolute())
    return went


def _read_answer(path: Path) -> dict[str, Any]:
    try:
        went: dict[str, Any] = read_json(path, "it is written again")
        return went
    except DamagedFile as error:
        return {"error": str(error)}


def _write(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    write_json(path, content)
    return content


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
