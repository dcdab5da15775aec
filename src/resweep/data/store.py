"""The data store: `results/data/{data_id}/`, prepared once for equal settings.

data.json    settings, digest, the system's description of the data, notes of its sources and files
...          the files that trainings read, defined by the system

Nothing is believed because it is there:

    find      for plans: one stat per file; what does not fit counts as not prepared
    ensure    for trainings: what does not fit is prepared again from its source, or is an error
    Opened    while a training reads (resweep.data.opened)
"""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

from resweep.data.description import (
    DESCRIPTION,
    FIX,
    SETTLED,
    Description,
    read_description,
)
from resweep.data.notes import (
    Note,
    difference,
    is_as_noted,
    note_again,
    note_own,
    note_source,
    size_difference,
    without_dates,
)
from resweep.data.source import Source, data_id, is_mounted, source_change
from resweep.errors import DamagedFile, DataError, ResweepError
from resweep.files import file_lock, is_denied, naming, removing
from resweep.json_files import write_json
from resweep.locks import FileLock
from resweep.paths import Layout

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """One prepared data set.

    Attributes:
        folder: Where its files are.
        digest: SHA-256 of everything that trainings read from it.
        about: Its description, without dates and whatever else depends on this machine.
        files: What its files were when they were verified, by their paths in the folder.
        has_sources: Whether any place is here where its sources are looked for.
    """

    folder: Path
    digest: str
    about: Mapping[str, Any]
    files: Mapping[str, Note] = field(default_factory=dict, compare=False)
    has_sources: bool = field(default=True, compare=False)


def find(source: Source, settings: Mapping[str, Any], layout: Layout) -> Prepared | None:
    """Return the data set if it is prepared and its source files have not changed.

    For plans, which ask for it once per trial: its files are not read, and damage is no error.
    """
    try:
        return _DataSet(source, settings, layout).find()
    except (OSError, ResweepError):
        return None


def ensure(source: Source, settings: Mapping[str, Any], layout: Layout) -> Prepared:
    """Prepare the data set, or return the existing one, verified; safe for many processes at once.

    Raises:
        DataError: The source is missing, empty or unfit.
        DamagedFile: Prepared data is damaged, and its source no longer gives the same.
        OSError: It cannot be written; names the file.
    """
    data = _DataSet(source, settings, layout)
    prepared = data.find_verified()
    if prepared is None:
        _drop_unfinished(data.folder.parent)
        with data.locked():
            prepared = data.find_verified() or data.restore()
    if not prepared.has_sources:
        _report_missing_sources(prepared.folder)
    return prepared


def is_verified(source: Source, settings: Mapping[str, Any], layout: Layout) -> bool:
    """Whether `ensure` has nothing to prepare, and no file to read."""
    return _DataSet(source, settings, layout).find_verified() is not None


def missing_sources_text(folder: Path) -> str:
    """Return what to say about data whose sources are not mounted."""
    return f"{folder}: its sources are not here; using what was prepared from them"


def _drop_unfinished(folder: Path) -> None:
    """Delete what killed processes left half-prepared: nobody holds its lock any more."""
    for new in folder.glob("*.new"):
        lock = FileLock(new.with_suffix(".lock"))
        with suppress(OSError):  # another user's
            if lock.take(0.0):
                shutil.rmtree(new, ignore_errors=True)
                lock.release()


@cache
def _report_missing_sources(folder: Path) -> None:
    """Say it once per process."""
    log.warning("%s", missing_sources_text(folder))


class _DataSet:
    """One folder of the store, and how to fill it."""

    def __init__(self, source: Source, settings: Mapping[str, Any], layout: Layout):
        self.source = source
        self.settings = settings
        self.folder = layout.data(data_id(source, settings))
        self._new = self.folder.with_suffix(".new")  # where data is prepared
        self._old = self.folder.with_suffix(".old")  # what it replaces
        self._lock_error: OSError | None = None

    @cached_property
    def _is_mounted(self) -> bool:
        return is_mounted(self.source, self.settings)

    def find(self) -> Prepared | None:
        """Return it if its sources have not changed and its files have the noted sizes."""
        known = read_description(self.source, self.folder)
        if self._change(known) is not None:
            return None
        notes = known.get("files", {})
        if any(size_difference(self.folder / name, note) for name, note in notes.items()):
            return None
        return self._prepared(known)

    def find_verified(self) -> Prepared | None:
        """Return it if its files and sources also have the noted dates."""
        try:
            prepared = self.find()
            known = read_description(self.source, self.folder)
        except (OSError, ResweepError):
            return None
        if prepared is None or "files" not in known:
            return None
        noted = [(self.folder / name, note) for name, note in known["files"].items()]
        if self._is_mounted:
            noted += [(Path(name), note) for name, note in known["sources"].items()]
        return prepared if all(is_as_noted(file, note) for file, note in noted) else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make other processes wait; where this one cannot write, it can still verify."""
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock(self.folder.with_suffix(".lock")))
            except OSError as error:
                if not is_denied(error):
                    raise
                self._lock_error = error
            yield

    def restore(self) -> Prepared:
        """Verify it, and prepare it if needed; the lock is held.

        Raises:
            DataError, DamagedFile, OSError: As `ensure`.
        """
        if not os.path.lexists(self.folder) and self._old.is_dir():  # killed while replacing it
            self._old.rename(self.folder)
        known, damage = self._examine()
        if known is None or damage is not None:
            return self._prepared(self._replace(known, damage))
        change = self._change(known)
        if change is not None:
            log.warning("%s: %s; preparing the data again", self.folder, change)
            return self._prepared(self._replace(None, None))
        damage = self._damage(known)
        if damage is not None:
            return self._prepared(self._replace(known, damage))
        return self._prepared(self._note_dates(known))

    def _examine(self) -> tuple[Description | None, DamagedFile | None]:
        """Return the description, or what is wrong with it; neither if nothing is there."""
        try:
            return read_description(self.source, self.folder), None
        except DamagedFile as error:
            return None, error
        except FileNotFoundError:
            if not os.path.lexists(self.folder):
                return None, None
            return None, self._damaged(DESCRIPTION, "is missing")
        except OSError as error:
            return None, self._damaged(DESCRIPTION, f"cannot be read ({error.strerror})")

    def _change(self, known: Description) -> str | None:
        """Return how its sources changed; sources that are not mounted have not changed."""
        if known["sources"] and not self._is_mounted:
            return None
        return source_change(self.source, self.settings, known["sources"])

    def _damage(self, known: Description) -> DamagedFile | None:
        """Return what is wrong with its files; reads those that do not have the noted dates."""
        for name, note in known.get("files", {}).items():
            what = difference(self.folder / name, note)
            if what is not None:
                return self._damaged(name, what)
        if "files" in known:
            return None
        try:
            found = self.source.recompute_digest(self.folder, known)
        except DamagedFile as error:
            return error
        except OSError as error:
            path = Path(error.filename or self.folder)
            return DamagedFile(path, f"cannot be read ({error.strerror})", FIX)
        if found not in (None, known["digest"]):
            return self._damaged("", "its files do not have the digest that data.json notes")
        return None

    def _damaged(self, name: str, what: str) -> DamagedFile:
        return DamagedFile(self.folder / name, what, FIX)

    def _note_dates(self, known: Description) -> Description:
        """Note the present dates and inodes of what was verified, so that it is read once."""
        files = known.get("files") or {
            name: note_own(self.folder / name) for name in _files_of(self.folder)
        }
        files = {name: note_again(self.folder / name, note) for name, note in files.items()}
        sources = known["sources"]
        if self._is_mounted:
            sources = {name: note_again(Path(name), note) for name, note in sources.items()}
        noted = cast("Description", {**known, "sources": sources, "files": files})
        if noted != known:
            try:
                write_json(self.folder / DESCRIPTION, noted)
            except OSError as error:  # the next process verifies it again
                log.info(
                    "%s: %s; no dates are noted, so each process reads the data to verify it",
                    error.filename,
                    error.strerror,
                )
        return noted

    def _prepared(self, known: Description) -> Prepared:
        about: dict[str, Any] = {**known, "sources": without_dates(known["sources"])}
        files = about.pop("files", {})
        has_sources = self._is_mounted or not known["sources"]
        return Prepared(self.folder, known["digest"], about, files, has_sources)

    def _replace(self, known: Description | None, damage: DamagedFile | None) -> Description:
        """Prepare it, and put it in the place of what is there.

        Args:
            known: What is there, if it should be prepared exactly so again.
            damage: What is wrong with it.
        """
        if damage is not None:
            log.warning("%s: %s; preparing the data again", damage.path, damage.what)
        if self._lock_error is not None:
            raise self._lock_error
        _remove(self._new)
        try:
            with naming(self._new), removing(self._new):
                made = self._prepare()
                if known is not None and damage is not None and made["digest"] != known["digest"]:
                    raise DataError(
                        "its source gives other data than before; restore the file, or remove "
                        f"{self.folder} to train on the new data"
                    )
                self._publish()
        except DataError as error:
            if damage is None:
                raise
            fix = f"it cannot be prepared again: {error}"
            raise DamagedFile(damage.path, damage.what, fix) from None
        return made

    def _prepare(self) -> Description:
        """Prepare it in `_new`; returns its description."""
        named = self.source.source_files(self.settings)
        sources = {str(file): note_source(file) for file in named}
        self._new.mkdir(parents=True)
        made = self.source.prepare_data(self.settings, self._new)
        files = {name: _finish(self._new / name) for name in _files_of(self._new)}
        about = {"settings": dict(self.settings), **made, "sources": sources, "files": files}
        write_json(self._new / DESCRIPTION, about)
        return cast("Description", about)

    def _publish(self) -> None:
        """Move what was prepared into place; trainings that read the old files still have them."""
        _remove(self._old)
        if os.path.lexists(self.folder):
            self.folder.rename(self._old)
        self._new.rename(self.folder)
        _remove(self._old)


def _files_of(folder: Path) -> list[str]:
    """Return the files that a system wrote, by their paths in the folder, sorted."""
    files = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return sorted(
        file.as_posix()
        for file in files
        if file != Path(DESCRIPTION) and not any(part.startswith(".") for part in file.parts)
    )


def _finish(file: Path) -> Note:
    """Have a new file on the disk, with a date before any later change; returns its note."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    date = time.time() - SETTLED
    os.utime(file, (date, date))
    return note_own(file)


def _remove(path: Path) -> None:
    """Remove a file, link or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
