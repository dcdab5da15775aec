"""Files that several processes use: written whole, linked, locked; errors name the file."""

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from resweep.errors import ResweepError
from resweep.locks import DENIED, FileLock

ABANDONED_SECONDS = 3600.0
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}")
# How libraries report an error of the file system that is not an OSError of Python.
_OF_RUST = re.compile(r"\(os error (\d+)\)")
_OF_NUMPY = re.compile(r"\d+ requested and \d+ written")


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file can have is that of none."""
    try:
        return path.is_file()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give errors of writing the name of a file: those of a full disk have none.

    Errors that name a file of their own keep it, apart from our temporary ones.

    Args:
        path: What the body writes.

    Raises:
        OSError: With a file name; also for what libraries report in exceptions of their own.
    """
    try:
        yield
    except ResweepError:
        raise
    except Exception as error:
        number = _nameless(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _nameless(error: BaseException | None) -> int | None:
    """Return the number of an error of the file system that names no file, or None."""
    while error is not None:
        text = str(error)
        if found := _OF_RUST.search(text):
            return int(found[1])
        if _OF_NUMPY.fullmatch(text):
            return errno.ENOSPC
        if isinstance(error, OSError):
            names = [Path(str(name)) for name in (error.filename, error.filename2) if name]
            named = names and not any(map(_is_temporary, names))
            return None if named or error.errno is None or error.errno <= 0 else error.errno
        if not isinstance(error, RuntimeError):  # torch's, raised by its writer's error
            return None
        error = error.__cause__ or error.__context__
    return None


def _is_temporary(path: Path) -> bool:
    return any(_TEMPORARY.fullmatch(part) for part in path.parts)


def is_denied(error: OSError) -> bool:
    """Whether we may not write there: another user's file, or a file system without writing."""
    return error.errno in DENIED


def may_write(folder: Path) -> bool:
    """Whether we may make and remove files in an existing folder."""
    return os.access(folder, os.W_OK | os.X_OK)


def write_atomically(
    path: Path, content: str | bytes, confirm: Callable[[], None] = lambda: None
) -> None:
    """Write a file such that readers, also after a crash, see the old content or the new one.

    Args:
        path: The file.
        content: All of it.
        confirm: Called when all is written, right before the file gets its name; raises if this
            process may no longer write there.

    Raises:
        OSError: It cannot be written, with its name; nothing else stays behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    data = content.encode() if isinstance(content, str) else content
    with naming(path):
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            confirm()
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def handing_over(content: str, beside: Path) -> Iterator[Path]:
    """Write a file for other processes, maybe on other machines, that is there inside the body.

    Args:
        content: All of it.
        beside: A file in whose folder it is put.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    path = _beside(beside)
    with naming(path):
        try:
            path.write_text(content, encoding="utf-8")
            yield path
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def removing(folder: Path) -> Iterator[None]:
    """Remove a folder at the end, unless the body has renamed it to what it is made for."""
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def link_relative(link: Path, target: Path) -> None:
    """Make `link` a relative symbolic link to `target`, atomically replacing what is there.

    The link stays within the deepest folder that both have in common, so that this folder can be
    moved, and read through any path.
    """
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(link)
    with naming(link):
        try:
            temporary.symlink_to(_relative(target, link.parent))
            temporary.replace(link)
        finally:
            temporary.unlink(missing_ok=True)


def _relative(target: Path, folder: Path) -> str:
    """Return the text of a link in `folder` that leads to `target`."""
    target, folder = _without_dots(target), _without_dots(folder)
    common = Path(os.path.commonpath([target, folder]))
    up = len(folder.relative_to(common).parts)
    # `..` leads up from where the folder really is.
    if Path(os.path.realpath(folder), *[".."] * up).resolve() == common.resolve():
        return os.path.relpath(target, folder)
    return os.path.relpath(target.resolve(), folder.resolve())


def _without_dots(path: Path) -> Path:
    """Make a path absolute; follows symbolic links only as far as the last `..`."""
    parts = path.absolute().parts
    last = max((place for place, part in enumerate(parts) if part == ".."), default=-1) + 1
    return Path(os.path.realpath(Path(*parts[:last])), *parts[last:]) if last else Path(*parts)


def _beside(path: Path) -> Path:
    """Return a name that no other process uses: process ids repeat across hosts."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}")


def drop_temporaries(folder: Path, *, below: bool = False) -> list[Path]:
    """Delete what killed processes left half-written in a folder an hour ago, or earlier.

    Args:
        folder: Need not exist. Files that we may not delete stay.
        below: Whether also in its subfolders; links are not followed.

    Returns:
        The deleted files.
    """
    found = list(_temporaries(folder, below))
    if not found:
        return []
    dropped = []
    with contextlib.suppress(OSError):
        now = _clock_of(folder)
        for entry in found:
            with contextlib.suppress(OSError):
                if now - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_SECONDS:
                    Path(entry.path).unlink()
                    dropped.append(Path(entry.path))
    return dropped


def _temporaries(folder: Path | str, below: bool) -> Iterator[os.DirEntry[str]]:
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if below:
                    yield from _temporaries(entry.path, below)
            elif _TEMPORARY.fullmatch(entry.name):
                yield entry


def _clock_of(folder: Path) -> float:
    """Return the time by the clock that dates a folder's files: a server's may differ."""
    probe = _beside(folder / "clock")
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Lock a file for a short operation: other processes on this file system wait for it.

    Raises:
        OSError: It is another user's and cannot be locked, with its name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    lock.take()
    try:
        yield
    finally:
        lock.release()


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder, without those that vanish meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(place, name).lstat().st_size
    return total
