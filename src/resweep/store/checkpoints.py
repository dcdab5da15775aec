"""Checkpoint folders: written whole or not at all, checked by digest before they are used.

A folder is filled under another name, its files are flushed to disk, `digests.json` is written
last, and only then does it get its name by a rename. After that it never changes.
"""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field, TypeAdapter

from resweep.canonical import file_digest
from resweep.errors import DamagedFile
from resweep.files import naming, removing
from resweep.json_files import read_json, set_aside, write_json
from resweep.paths import RunFolder

DIGESTS = "digests.json"
WEIGHTS = "model.safetensors"
OWNER = "run_id"  # older versions have none
_NAME = re.compile(r"checkpoint_(0|[1-9][0-9]*)")
_DIGESTS = TypeAdapter(dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]])


def folder_name(step: int) -> str:
    """Name of the checkpoint folder of a step."""
    return f"checkpoint_{step}"


def write_checkpoint(
    folder: Path, write: Callable[[Path], None], confirm: Callable[[], None]
) -> None:
    """Make a checkpoint folder.

    Args:
        folder: Its final path.
        write: Fills the folder that it is given.
        confirm: Called right before the rename; raises if this process may no longer write here.
    """
    if folder.is_dir():
        return  # the same step of the same run: it exists, and never changes
    new = _leftover(folder)
    new.mkdir(parents=True)
    with naming(folder), removing(new):
        write(new)
        (new / OWNER).write_text(_run_of(folder))
        files = sorted(path for path in new.rglob("*") if path.is_file())
        digests = {file.relative_to(new).as_posix(): file_digest(file) for file in files}
        write_json(new / DIGESTS, digests)
        mode = (new / DIGESTS).stat().st_mode  # as usual; safetensors' are for their owner alone
        for path in (*new.rglob("*"), new):
            if path.is_file():
                path.chmod(mode)
            _flush(path)
        confirm()
        new.rename(folder)
        _flush(folder.parent)


def read_digests(folder: Path) -> dict[str, str]:
    """Return SHA-256 of each file of a checkpoint by its name, from when it was written.

    Raises:
        DamagedFile: The list is missing, is none, or names a file outside the folder.
    """
    path, fix = folder / DIGESTS, "a training continues from the checkpoint before it"
    try:
        digests: dict[str, str] = read_json(path, fix, _DIGESTS)
    except FileNotFoundError:
        raise DamagedFile(path, "is missing", fix) from None
    for name in digests:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or not parts:
            raise DamagedFile(path, f"lists {name}, which is outside the folder", fix)
    return digests


def weights_digest(folder: Path) -> str:
    """SHA-256 of the weights of a checkpoint, from when it was written.

    Raises:
        DamagedFile: Its digests are damaged, or it has no weights.
    """
    digests = read_digests(folder)
    if WEIGHTS not in digests:
        raise DamagedFile(folder / DIGESTS, f"does not list {WEIGHTS}", "it has no weights")
    return digests[WEIGHTS]


def find_damage(folder: Path) -> str | None:
    """Compare a checkpoint's files with their digests; returns the damage, or None."""
    try:
        weights_digest(folder)
        digests = read_digests(folder)
    except DamagedFile as error:
        return f"{error.path.name} {error.what}"
    for name, digest in digests.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        if file_digest(file) != digest:
            return f"{name} does not match its digest"
    return _find_other_owner(folder)


def _find_other_owner(folder: Path) -> str | None:
    """Return the damage if the checkpoint of another run is in the place of this one."""
    owner = folder / OWNER
    found = owner.read_text(errors="replace") if owner.is_file() else _run_of(folder)
    return None if found == _run_of(folder) else f"is a checkpoint of run {found:.20}"


def _run_of(folder: Path) -> str:
    """Return the run of a checkpoint, by its place: {run}/ or {run}/again/."""
    place = folder.absolute().parent
    return place.parent.name if place == RunFolder(place.parent).again else place.name


def read_intact(folder: Path, name: str) -> bytes | None:
    """Return a file of a checkpoint if it has its digest; None if not, or if there is none."""
    try:
        digests, content = read_digests(folder), (folder / name).read_bytes()
    except (OSError, DamagedFile):
        return None
    if _find_other_owner(folder) is not None:
        return None
    return content if hashlib.sha256(content).hexdigest() == digests.get(name) else None


def set_aside_unlisted(folder: Path) -> None:
    """Set checkpoints aside whose list of digests is damaged; needs the run's lock."""
    for step in steps_of(folder):
        place = folder / folder_name(step)
        try:
            weights_digest(place)
        except DamagedFile as error:
            set_aside(place, f"{error.path.name} {error.what}")


def step_of(name: str) -> int | None:
    """Return the step of a checkpoint folder by its name; None for another one."""
    found = _NAME.fullmatch(name)
    return None if found is None else int(found[1])


def steps_of(folder: Path) -> list[int]:
    """Steps of all checkpoint folders in `folder`, in ascending order."""
    found = (_NAME.fullmatch(child.name) for child in _children(folder) if child.is_dir())
    return sorted(int(match.group(1)) for match in found if match)


def latest_intact(folder: Path, at_most: int) -> Path | None:
    """Return the last undamaged checkpoint up to a step, or None.

    Damaged ones are renamed to `checkpoint_{step}.damaged`, with a warning.
    """
    for step in reversed(steps_of(folder)):
        if step > at_most:
            continue
        checkpoint = folder / folder_name(step)
        damage = find_damage(checkpoint)
        if damage is None:
            return checkpoint
        set_aside(checkpoint, f"{damage}; falling back to the one before it")
    return None


def replace(folder: Path, better: Path) -> None:
    """Replace a checkpoint by another with the same weights; needs the run's lock.

    After a crash in between, both exist under other names.
    """
    aside = _leftover(folder)
    folder.rename(aside)
    better.rename(folder)
    _flush(folder.parent)
    shutil.rmtree(aside)


def delete(folder: Path) -> None:
    """Delete a checkpoint; a half-deleted one does not look like one."""
    doomed = _leftover(folder)
    folder.rename(doomed)
    shutil.rmtree(doomed)


def drop_leftovers(folder: Path) -> None:
    """Delete folders that killed processes left half-written or half-deleted; needs the lock."""
    for child in _children(folder):
        if re.fullmatch(r"\.checkpoint_\d+\.\w+", child.name):
            shutil.rmtree(child, ignore_errors=True)


def _leftover(folder: Path) -> Path:
    """Return a temporary name beside a checkpoint, which `drop_leftovers` recognizes."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")


def _children(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
