"""The files that `data.paths` and its like name, and their text.

a name that exists    that file, whatever characters it has
any other             a glob: * ? [...] **
"""

import errno
import glob
import os
import shlex
import stat
from collections.abc import Sequence
from pathlib import Path

from resweep.errors import DataError

SNIFFED = 4096  # bytes at the start of a file that are looked at first
BOM = "\ufeff"  # byte order mark: how some editors begin a file
# How files in other encodings begin; UTF-32 first, which begins like UTF-16.
MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
HINTS = (
    ("://", "a URL should be downloaded first"),
    ("$", "variables are not replaced; write the path out"),
    ("[", "[...] stands for one of these characters; write [[] for a bracket"),
)


def find_files(paths: Sequence[str], suffix: str, field: str = "data.paths") -> list[Path]:
    """Return the files that paths and globs name, sorted, each once.

    Links to a file are the same file; hard links are not, since they look like copies elsewhere.

    Args:
        paths: Paths and globs.
        suffix: What such files usually end in, for messages.
        field: The field that has the paths, for messages.

    Raises:
        DataError: One names no file, or what cannot be read.
    """
    files: dict[Path, tuple[int, int]] = {}
    for given in paths:
        try:
            files |= {
                file: (found.st_dev, found.st_ino) for file, found in _find(given, suffix, field)
            }
        except OSError as error:
            raise DataError(f"{field}: {given}: cannot be read ({error.strerror})") from None
    if len(set(files.values())) == len(files):  # names of one file share its inode
        return sorted(files)
    distinct: dict[str, Path] = {}
    for file in sorted(files, key=_detours):
        distinct.setdefault(os.path.realpath(file), file)
    return sorted(distinct.values())


def search_folders(paths: Sequence[str]) -> list[Path]:
    """Return the folders in which paths and globs are looked for, whether they exist or not."""
    return [_search_folder(given) for given in paths]


def expand_home(name: str) -> Path:
    """Return a path, with the home folder in place of `~`; unchanged for unknown users."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 (Path's own raises for unknown users)


def read_text(file: Path) -> str:
    """Return the text of a file, without byte order mark.

    Raises:
        DataError: It cannot be read, or is not UTF-8.
    """
    try:
        with file.open("rb") as opened:
            start = opened.read(SNIFFED)
        for mark, name in MARKS:
            if start.startswith(mark):
                old, new = (shlex.quote(str(one)) for one in (file, f"{file}.utf-8"))
                raise DataError(
                    f"{file}: is {name}, not UTF-8 text; convert it: "
                    f"iconv -f {name} -t UTF-8 {old} > {new} && mv {new} {old}"
                )
        if b"\0" in start:
            raise DataError(f"{file}: has NUL bytes: it is not text, or not UTF-8")
        return file.read_text(encoding="utf-8").lstrip(BOM)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: cannot be read as UTF-8 text: {error}") from None


def _find(given: str, suffix: str, field: str) -> list[tuple[Path, os.stat_result]]:
    """Return the files that one path or glob names, each with its status."""
    key = f"{field}: {given or repr(given)}"
    for path in (Path(given), expand_home(given)):
        status = _status(key, path)
        if status is None:
            continue
        if stat.S_ISREG(status.st_mode):
            return [(path, status)]
        if stat.S_ISDIR(status.st_mode):
            raise DataError(f"{key}: is a folder; use {path / '*'}{suffix}")
        raise DataError(f"{key}: is not a regular file")
    folder, pattern = _split(given)
    found = glob.glob(os.path.join(glob.escape(str(folder)), pattern), recursive=True)  # noqa: PTH118, PTH207 (absolute patterns too)
    matches = [(path, _status(key, path)) for path in map(Path, found)]
    files = [(path, status) for path, status in matches if status and stat.S_ISREG(status.st_mode)]
    if matches and not files:
        raise DataError(f"{key}: matches only folders; use {Path(given) / '*'}{suffix}")
    if not files:
        hint = next((hint for sign, hint in HINTS if sign in given), "fix the path or glob")
        if given.startswith("~") and expand_home(given) == Path(given):
            hint = "there is no such user's home; write the path out"
        raise DataError(f"{key}: no such file; {hint}")
    return files


def _status(key: str, path: Path) -> os.stat_result | None:
    """Return what a path is, or None if it is not there; refuses a link to nothing."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null byte
        pass
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    if not path.is_symlink():
        return None
    where = "" if str(path) in key else f"{path} "
    raise DataError(
        f"{key}: {where}is a link to {path.readlink()}, which does not exist; restore that, or "
        "remove the link"
    )


def _detours(file: Path) -> tuple[bool, bool, bool, bool, Path]:
    """Sort a file's plain name first: then its other names do not move it in the order."""
    is_below_link = os.path.abspath(file) != os.path.realpath(file)  # noqa: PTH100 (drops "..")
    return ".." in file.parts, file.is_symlink(), is_below_link, file.is_absolute(), file


def _search_folder(given: str) -> Path:
    path = expand_home(given)
    if path.is_symlink():
        return Path(os.path.realpath(path)).parent
    return _split(given)[0]


def _split(given: str) -> tuple[Path, str]:
    """Split a path or glob into the folder to search, existing or not, and the pattern in it."""
    path = expand_home(given)
    parts = path.parts or (".",)
    length = len(parts) - 1
    while length and not Path(*parts[:length]).is_dir():  # may have brackets in its name
        length -= 1
    while length < len(parts) - 1 and not glob.has_magic(parts[length]):
        length += 1
    return Path(*parts[:length]), os.path.join(*parts[length:])  # noqa: PTH118 (a pattern)
