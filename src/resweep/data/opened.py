"""Prepared data while a training reads it: a change of its files is an error, never a result."""

import hashlib
import os
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self

from resweep.data.description import FIX
from resweep.data.notes import Note, difference
from resweep.data.store import Prepared
from resweep.errors import DamagedFile


class Opened:
    """The files of a data set, open for as long as a training reads them.

    A file that is replaced meanwhile stays readable for those who opened it; one that is written
    to does not.

    Args:
        data: Verified data.

    Raises:
        DamagedFile: A file is no longer what was verified.
    """

    def __init__(self, data: Prepared):
        self._files: list[tuple[Path, Note, BufferedReader, os.stat_result]] = []
        with ExitStack() as stack:
            for name, note in data.files.items():
                path = data.folder / name
                what = difference(path, note)  # before opening: it may not be a file
                if what is not None:
                    raise DamagedFile(path, what, FIX)
                file = stack.enter_context(path.open("rb"))
                self._files.append((path, note, file, os.fstat(file.fileno())))
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def check(self) -> None:
        """Raise DamagedFile if a file was written to since it was opened."""
        for path, _, file, before in self._files:
            now = os.fstat(file.fileno())
            if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise DamagedFile(path, "was changed while a training read it", FIX)

    def check_names(self) -> None:
        """Raise DamagedFile if other files have these names now: what opened them got others."""
        for path, _, file, _ in self._files:
            try:
                replaced = not os.path.samestat(path.stat(), os.fstat(file.fileno()))
            except OSError:
                replaced = True
            if replaced:
                raise DamagedFile(path, "was replaced while a training opened it", FIX)
        self.check()

    def damage(self) -> DamagedFile | None:
        """Return what is wrong with the files, or None; reads them whole."""
        for path, note, file, _ in self._files:
            file.seek(0)
            try:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                return DamagedFile(path, f"cannot be read ({error.strerror})", FIX)
            if found != note["sha256"]:
                return DamagedFile(path, "was changed: its SHA-256 is not the noted one", FIX)
        return None
