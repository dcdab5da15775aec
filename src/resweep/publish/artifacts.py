"""Versioned artifacts: files under a name and a version, published, with a stamp.

    files -> versions/{name}/v{n}/ (a permanent copy) -> W&B, further targets -> {name}.json

The stamp is `{name}.json`. Beside it, `versions/{name}/v{n}/` holds the files of each distinct
content, and `v{n}.json` its description, with all places that it was published to. Publishing the
same content to the same place again sends nothing and writes the same stamp. A failure is only
noted in the stamp, with the command that tries again.
"""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resweep.canonical import canonical_json
from resweep.credentials import hide_secrets
from resweep.errors import ConfigError, DamagedFile, Problem
from resweep.files import file_lock
from resweep.json_files import read_json, write_json
from resweep.local_paths import without_folders
from resweep.paths import Layout, artifact_versions
from resweep.publish.hub_folder import fill_hub_folder
from resweep.publish.leaving import Machine
from resweep.publish.place import STATUSES, Place
from resweep.publish.targets import copy_to_target
from resweep.publish.to_wandb import aliases_of, send_to_wandb
from resweep.publish.versions import Content, Description, make_version, now, write_description
from resweep.study.publish_target import HUB
from resweep.wandb.process import line_about

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
CURRENT = "current.json"  # beside the versions: which one has the aliases, by place


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
    content: Content, place: Place, stamp: Path, layout: Layout, again: Sequence[str]
) -> dict[str, Any]:
    """Make a version of the files if they are new, publish it, and write the stamp.

    W&B's own files go to the folder `wandb` beside the stamp's folder.

    Args:
        content: What to publish; without files, only the stamp is written.
        place: Where to publish.
        stamp: The file to write; versions are beside it.
        layout: Paths in the stamp are relative to its results folder.
        again: Command to retry, for the warning and the stamp when a place fails.

    Returns:
        The stamp's content; `status` is published (online), recorded (offline), local (disabled),
        failed (at W&B, with the reason under `where`), pruned or empty.

    Raises:
        ConfigError: The name is invalid, or a file may not leave this machine.
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
    machine = Machine.of(layout)
    with file_lock(versions / ".lock"):
        known = make_version(content, versions, machine)
        where = _publish_to_wandb(known, content, place, versions, layout, machine)
        targets = [
            _publish_to_target(target, known, content, versions, machine)
            for target in place.to
            if isinstance(target, str) or content.type == "model"
        ]
        failed = [str(one["error"]) for one in (where, *targets) if "error" in one]
        for error in failed:
            print(
                f"warning: {content.name}: not published: {error}; the files are in "
                f"{versions / known['version']}; to retry, run: {shlex.join(again)}",
                file=sys.stderr,
            )
        made = {name: value for name, value in known.items() if name != "places"}
        made |= {"status": "failed" if "error" in where else STATUSES[place.mode], "where": where}
        made |= {"to": targets} if targets else {}
        made |= {"again": list(again)} if failed else {}
        return _write(stamp, {**made, **content.notes})


def _publish_to_wandb(
    known: Description,
    content: Content,
    place: Place,
    versions: Path,
    layout: Layout,
    machine: Machine,
) -> dict[str, Any]:
    """Send a version to W&B, unless it is there under its aliases; returns where it is."""
    described, version = place.described(), known["version"]
    before = next((p for p in known["places"] if described.items() <= p.items()), None)
    current, key = _current(versions), canonical_json(described)
    if before is not None and current.get(key, version) == version:
        return before
    where = described | send_to_wandb(known, content, place, versions, layout, machine)
    if "error" not in where:
        where["when"] = now()
        known["places"] = [*(one for one in known["places"] if one is not before), where]
        write_description(versions, known)
        write_json(versions / CURRENT, {**current, key: version})
    return where


def _current(versions: Path) -> dict[str, Any]:
    """Return which version was sent last, by place; empty where that is not known."""
    try:
        current: dict[str, Any] = read_json(versions / CURRENT, "it is written again")
        return current
    except (FileNotFoundError, DamagedFile):
        return {}


def _publish_to_target(
    target: str | Mapping[str, str],
    known: Description,
    content: Content,
    versions: Path,
    machine: Machine,
) -> dict[str, Any]:
    """Copy a version to a target, unless it is there; returns where it is, or the error."""
    to: dict[str, Any] = {"to": target if isinstance(target, str) else dict(target)}
    folder = versions / known["version"]
    try:
        if isinstance(target, str):
            metadata = without_folders(known["metadata"], machine.known)
            to["version"] = copy_to_target(target, known, metadata, folder, aliases_of(content))
        else:
            files = {name: folder / name for name in known["files"]} | dict(content.hub)
            fill_hub_folder(Path(target[HUB]).expanduser(), files, machine)
            to["version"] = known["version"]
    except Exception as error:  # of any file system; the study is done all the same
        return {**to, "error": hide_secrets(f"{target}: {line_about(error)}")}
    before = next((one for one in known["places"] if to.items() <= one.items()), None)
    if before is not None:
        return before
    to["when"] = now()
    known["places"].append(to)
    write_description(versions, known)
    return to


def _write(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    write_json(path, content)
    return content
