"""Files that several processes use: written whole, linked, locked."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def link_relative(link: Path, target: Path) -> None:
    """Make `link` a relative symbolic link to `target`, atomically replacing what is there."""
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(link)
    temporary.symlink_to(os.path.relpath(target.absolute(), link.parent.resolve()))
    temporary.replace(link)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file such that readers, also after a crash, see the old content or the new one.

    Raises:
        OSError: It cannot be written, with its name; nothing else stays behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:  # of a full disk, without a name
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Return a name that no other process uses: process ids repeat across hosts."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}")


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Lock a file for a short operation: other processes on this file system wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
