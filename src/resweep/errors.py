"""Errors that a user can fix: one line each, no stack trace.

Everything that is neither a `ResweepError` nor an error of the file system is a bug and keeps its
trace.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
        shown = f" = {self.value!r}" if self.value is not None else ""
        where = f"{self.key}{shown}: " if self.key else ""
        return f"{self.file}: {where}{self.hint}"


class ConfigError(ResweepError):
    """All errors of a configuration, reported together."""

    def __init__(self, problems: Problem | Iterable[Problem]):
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DataError(ResweepError):
    """Source data that is missing, empty or cannot be split."""


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


class LeaseLost(StoreError):
    """Another process took the run over while we were working on it."""


def run_command(main: Callable[[], int | None]) -> None:
    """Run a command's `main` and exit with its return code.

    A `ResweepError` becomes `error: ...` lines on stderr and exit code 1, and so does a file that
    cannot be read or written; anything else is a bug and keeps its stack trace.
    """
    try:
        code = main()
    except ResweepError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        code = 1
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        code = 1
    sys.exit(code or 0)
