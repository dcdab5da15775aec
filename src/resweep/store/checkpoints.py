"""Checkpoint folders: written whole or not at all, checked by digest before they are used.

A folder is filled under another name, its files are flushed to disk, `digests.json` is written
last, and only then does it get its name by a rename. After that it never changes.
"""

import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from resweep.canonical import file_digest
from resweep.files import naming, removing

DIGESTS = "digests.json"
_NAME = re.compile(r"checkpoint_(\d+)")

log = logging.getLogger(__name__)


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
        files = sorted(path for path in new.rglob("*") if path.is_file())
        digests = {file.relative_to(new).as_posix(): file_digest(file) for file in files}
        (new / DIGESTS).write_text(json.dumps(digests, indent=2) + "\n")
        mode = (new / DIGESTS).stat().st_mode  # as usual; safetensors' are for their owner alone
        for path in (*new.rglob("*"), new):
            if path.is_file():
                path.chmod(mode)
            _flush(path)
        confirm()
        new.rename(folder)
        _flush(folder.parent)


def weights_digest(folder: Path) -> str:
    """SHA-256 of the weights of a checkpoint, from when it was written."""
    return str(json.loads((folder / DIGESTS).read_text())["model.safetensors"])


def find_damage(folder: Path) -> str | None:
    """Compare a checkpoint's files with their digests; returns the damage, or None."""
    try:
        digests = json.loads((folder / DIGESTS).read_text())
    except (OSError, ValueError):
        return f"{DIGESTS} is missing or unreadable"
    for name, digest in digests.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            return f"{DIGESTS} lists {name}, which is outside the folder"
        file = folder / path
        if not file.is_file():
            return f"{name} is missing"
        if file_digest(file) != digest:
            return f"{name} does not match its digest"
    return None


def steps_of(folder: Path) -> list[int]:
    """Steps of all checkpoint folders in `folder`, in ascending order."""
    found = (_NAME.fullmatch(child.name) for child in _children(folder))
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
        aside = checkpoint.with_name(f"{checkpoint.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        checkpoint.rename(aside)
        log.warning("%s: damaged: %s; falling back to the one before it", checkpoint, damage)
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
