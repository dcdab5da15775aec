"""The file contract: where everything lies below `results/`.

Other tools rely on these names; nothing else in the library spells a path out.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BY_HAND = "by-hand"  # in place of a study: trainings that belong to none


@dataclass(frozen=True)
class Layout:
    """Paths below one results folder."""

    root: Path = Path("results")

    @property
    def runs_table(self) -> Path:
        """One row for each run of the store."""
        return self.root / "runs.csv"

    @property
    def runs(self) -> Path:
        """The run store."""
        return self.root / "runs"

    @property
    def trash(self) -> Path:
        """Where `forget.py` moves what it takes out of the store."""
        return self.root / "trash"

    def run(self, run_id: str) -> Path:
        """Folder of one run."""
        return self.runs / run_id

    def data(self, data_id: str) -> Path:
        """Folder of one prepared data set."""
        return self.root / "data" / data_id

    def weights(self, name: str) -> Path:
        """What is known of weights that runs start from."""
        return self.root / "weights" / f"{name}.json"

    def study(self, study: str) -> Path:
        """Folder of one study."""
        return self.root / study

    def phase(self, study: str, phase: str) -> Path:
        """Folder of one phase."""
        return self.root / study / phase

    def trial(self, study: str, phase: str, trial: str) -> Path:
        """What a trial trains."""
        return self.phase(study, phase) / "trials" / f"{trial}.yaml"

    def record(self, study: str, phase: str, trial: str) -> Path:
        """What a trial got."""
        return self.phase(study, phase) / "records" / f"{trial}.json"


def link_relative(link: Path, target: Path) -> None:
    """Make `link` a relative symbolic link to `target`, replacing what is there atomically."""
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(link)
    temporary.symlink_to(os.path.relpath(target.absolute(), link.parent.resolve()))
    temporary.replace(link)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash, finds the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    data = content.encode() if isinstance(content, str) else content
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _beside(path: Path) -> Path:
    """Return a name that no other process has: ids of processes repeat from host to host."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}")


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock for short work on files: other processes on this file system wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
