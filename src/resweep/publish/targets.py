"""A version copied to a folder or a URL of fsspec.

    {target}/{name}/v{n}/       the files
    {target}/{name}/v{n}.json   written last: a version without it is not complete
    {target}/{name}/aliases.json

A target counts versions for itself, since several results folders may share it: the same content
is there once. A copy that was interrupted is continued: files that are there whole stay.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resweep.json_files import from_json, to_json
from resweep.publish.versions import Description
from resweep.study.publish_target import scheme_of

_VERSION = re.compile(r"v(0|[1-9][0-9]*)\.json").fullmatch
CHUNK_BYTES = 1 << 20


def copy_to_target(
    target: str,
    known: Description,
    metadata: Mapping[str, Any],
    folder: Path,
    aliases: Sequence[str],
) -> str:
    """Copy a version to a target, unless it is there; returns its version there.

    Args:
        target: A folder, or a URL.
        known: The version.
        metadata: Its origin, as it leaves.
        folder: Its files.
        aliases: Names that are to mean this version.

    Raises:
        Exception: Whatever the file system raises; the same call continues.
    """
    from fsspec.core import url_to_fs

    path = target if scheme_of(target) else str(Path(target).expanduser().absolute())
    files, root = url_to_fs(path)
    base = f"{root.rstrip('/')}/{known['name']}"
    files.makedirs(base, exist_ok=True)
    files.invalidate_cache()
    there = _complete_versions(files, base)
    same = [number for number, about in there.items() if about.get("digest") == known["digest"]]
    number = same[0] if same else max(there, default=-1) + 1
    place = f"{base}/v{number}"
    _copy_files(files, place, known["files"], folder)
    if not same:
        about = {key: known[key] for key in ("name", "type", "digest", "files", "created")}
        about |= {"version": f"v{number}", "metadata": dict(metadata)}
        files.pipe_file(f"{place}.json", to_json(about).encode())
    current = _read(files, f"{base}/aliases.json")
    moved = {**current, **dict.fromkeys(aliases, f"v{number}")}
    if moved != current:
        files.pipe_file(f"{base}/aliases.json", to_json(moved).encode())
    return f"v{number}"


def _complete_versions(files: Any, base: str) -> dict[int, dict[str, Any]]:
    """Return the descriptions of the versions of an artifact that are there, by their numbers."""
    names = (str(path).rpartition("/")[2] for path in files.ls(base, detail=False))
    numbers = sorted(int(found[1]) for found in map(_VERSION, names) if found)
    read = {number: _read(files, f"{base}/v{number}.json") for number in numbers}
    return {number: about for number, about in read.items() if about}


def _read(files: Any, path: str) -> dict[str, Any]:
    """Return the content of a JSON file; empty if there is none, or half of one."""
    try:
        return from_json(files.cat_file(path))
    except (FileNotFoundError, ValueError):
        return {}


def _copy_files(files: Any, place: str, wanted: Mapping[str, str], folder: Path) -> None:
    """Copy the files that are not there whole, and remove what is not part of the version."""
    files.makedirs(place, exist_ok=True)
    sizes = {
        str(path)[len(place) :].lstrip("/"): about["size"]
        for path, about in files.find(place, detail=True).items()
    }
    for name in sizes.keys() - wanted.keys():
        files.rm_file(f"{place}/{name}")
    for name, digest in wanted.items():
        remote = f"{place}/{name}"
        size = (folder / name).stat().st_size
        if sizes.get(name) == size and _digest(files, remote) == digest:
            continue
        files.makedirs(remote.rpartition("/")[0], exist_ok=True)
        files.put_file(str(folder / name), remote)


def _digest(files: Any, path: str) -> str:
    total = hashlib.sha256()
    with files.open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            total.update(chunk)
    return total.hexdigest()
