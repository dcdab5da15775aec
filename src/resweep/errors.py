"""Errors that a user can fix: one line each, no stack trace.

Everything that is neither a `ResweepError` nor an error of the file system is a bug and keeps its
trace.
"""

import errno
import io
import os
import pwd
import signal
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.credentials import HIDDEN, HINT, find_secrets, hide_secrets

# Of a disk without space, a quota, a limit on the size of files.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MOST_SHOWN = 200  # characters of a key or a value in a message


class ResweepError(Exception):
    """An error outside the code; its text names the key, its value and the fix."""


@dataclass(frozen=True)
class Problem:
    """One error in a configuration: where it is, what it is, how to fix it."""

    file: str
    key: str
    value: Any
    hint: str

    def __str__(self) -> str:
        secret = next(find_secrets(self.value, self.key), None) is not None
        value, hint = repr(self.value), self.hint
        if secret:
            value, hint = HIDDEN, hint.replace(str(self.value), HIDDEN)
        shown = f" = {shortened(value)}" if self.value is not None else ""
        where = f"{shortened(self.key)}{shown}: " if self.key else ""
        return one_line(hide_secrets(f"{self.file}: {where}{hint}"))


def one_line(text: str) -> str:
    """Return text with its line breaks and other control characters written out."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def shortened(text: str) -> str:
    """Return text that is short enough for a line: a value can have megabytes."""
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 40]} ... {text[-30:]}"


class ConfigError(ResweepError):
    """All errors of a configuration, reported together."""

    def __init__(self, problems: Problem | Iterable[Problem]):
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def secret_problems(file: str, content: Any, key: str = "") -> list[Problem]:
    """Return an error for each value of a configuration that looks like a key or a password.

    Args:
        file: Where it was written.
        content: What JSON can hold.
        key: Its own path there.
    """
    return [Problem(file, path, None, HINT) for path in find_secrets(content, key)]


class DataError(ResweepError):
    """Source data that is missing, empty or cannot be split; names of files may be in its text."""

    def __init__(self, text: str):
        super().__init__(one_line(text))


class StoreError(ResweepError):
    """A run that cannot be advanced or read."""


class DamagedFile(StoreError):
    """A file of our own that is not what was written.

    Attributes:
        path: The file.
        what: The damage, as a predicate: "is not JSON".
        fix: What to do.
    """

    def __init__(self, path: Path, what: str, fix: str):
        self.path, self.what, self.fix = path, what, fix
        super().__init__(f"{path}: {what}; {fix}")


class Interrupted(ResweepError):
    """Asked to stop; what was trained is saved, and the same command continues it."""


class LockTimeout(StoreError):
    """Another process held the lock of a run for longer than the timeout."""


class ProcessLost(ResweepError):
    """Another process of the same training died, because of the machine or of its own error."""


class GpuFull(ResweepError):
    """Other processes hold so much of a GPU's memory that a training lacks it."""


class LeaseLost(StoreError):
    """Another process took the run over while we were working on it."""


def run_command(main: Callable[[], int | None], end: Callable[[int], object] = sys.exit) -> None:
    """Run a command's `main` and end with its return code.

    A `ResweepError` becomes `error: ...` lines on stderr and exit code 1, and so does a file that
    cannot be read or written; anything else is a bug and keeps its stack trace. Ctrl-C ends it by
    the signal itself, so that a shell that runs it stops too.

    Args:
        main: The command.
        end: Ends the process with an exit code.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # of scripts, while they import
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # a letter that a terminal lacks becomes `?`
    try:
        code = main()
        sys.stdout.flush()  # at exit nobody would catch the error of a full disk
    except ResweepError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        code = 1
    except OSError as error:
        if error.filename is None:  # all others have one: resweep.files.naming
            if error.errno not in (*FULL, errno.EPIPE):
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:  # the reader has seen enough: `| head`
            print(f"error: {describe(error)}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        end_by_signal(signal.SIGINT)
    end(code or 0)


def end_by_signal(number: int) -> None:
    """End by a signal itself, as its sender and a shell expect."""
    sys.stdout.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def describe(error: OSError) -> str:
    """Return one line about a file that cannot be read or written: the file, the error, the fix."""
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"standard output: {reason}"
    path = Path(str(error.filename))
    if error.filename2 is not None:
        other = Path(str(error.filename2))
        if error.errno in FULL:
            path = other  # a copy: what is read has no need of space
        else:
            hint = _hint(error.errno, other)
            return f"{path} -> {other}: {reason}{hint}"
    return f"{path}: {reason}{_hint(error.errno, path)}"


def _hint(number: int | None, path: Path) -> str:
    """Return what helps, after a separator; empty if that is not known."""
    if number in FULL:
        return "; free some space, then run the same command again"
    if number == errno.ENAMETOOLONG:
        return "; use a shorter name"
    if number == errno.EROFS:
        return "; only reading is possible there: write elsewhere, or mount it for writing"
    if number in (errno.EACCES, errno.EPERM):
        return _denied(path)
    for place in (*reversed(path.parents), path):
        if place.is_symlink() and not place.exists():
            target = place.readlink()
            return f"; {place} is a link to {target}, which cannot be reached: mount or remove it"
        if place.is_file() and (place != path or number == errno.EEXIST):
            return f"; {place} is a file, where a folder should be: move it away"
    if number == errno.EISDIR:
        return "; a file should be there: move the folder away"
    return ""


def _denied(path: Path) -> str:
    """Return whose file or folder it is that keeps us from a path."""
    above = (*reversed(path.parents), *reversed(Path(os.path.realpath(path)).parents))
    closed = [place for place in above if not os.access(place, os.X_OK)]
    # What can be read, or is not there, is made or replaced: its folder is in the way.
    unread = os.path.lexists(path) and not os.access(path, os.R_OK)
    barrier = path if unread or os.access(path.parent, os.W_OK) else path.parent
    barrier = next((place for place in closed if os.path.lexists(place)), barrier)
    try:
        status = barrier.stat()
    except OSError:
        return ""
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = f"user {status.st_uid}"
    mode = stat.filemode(status.st_mode)
    return (
        f"; {barrier} belongs to {owner} ({mode}): ask for its rights, or use a results folder of "
        'your own (docs/store.md, "Sharing results")'
    )
