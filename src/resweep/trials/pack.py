"""A pack, as its job reads it: which trials it trains, and what.

    results/{study}/{phase}/packs/{digest of the content}.json
        where the trials belong; for each its name; and where no other job writes their trial files:
        the configuration that they share, and what each assigns and where it stops

The file is named by its content and never changes. It is written by the process that starts the
job; a cluster's job writes it again where the study was edited while it was queued.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep.canonical import digest
from resweep.config import compose
from resweep.errors import DamagedFile
from resweep.json_files import read_json, write_json
from resweep.trials.trial import Trial

ID_LENGTH = 16
_FIX = "run snakemake: it is written again"


class Asked(TypedDict):
    """What a trial differs in."""

    assignments: dict[str, Any]
    stop: int | None


@with_config(ConfigDict(extra="forbid"))
class _Content(TypedDict):
    """Content of the file."""

    study: str
    phase: str
    folder: str
    trials: list[str]
    config: NotRequired[dict[str, Any]]
    asked: NotRequired[list[Asked]]


_SHAPE = TypeAdapter(_Content)


@dataclass(frozen=True, kw_only=True)
class PackFile:
    """Trials of one stage that one job trains.

    Attributes:
        study, phase: Where they belong.
        folder: Of their stage, below those of trial files and records; "" for the only one.
        trials: Their names.
        config: What their configurations have in common; None where their files have it all.
        asked: What each trial differs in; empty without `config`.
    """

    study: str
    phase: str
    folder: str
    trials: tuple[str, ...]
    config: dict[str, Any] | None = None
    asked: tuple[Asked, ...] = field(default=())

    def content(self) -> dict[str, Any]:
        """Return the content of its file."""
        names = {
            "study": self.study,
            "phase": self.phase,
            "folder": self.folder,
            "trials": list(self.trials),
        }
        if self.config is None:
            return names
        return {**names, "config": self.config, "asked": list(self.asked)}

    @property
    def id(self) -> str:
        """Digest of the content."""
        return digest(self.content(), ID_LENGTH)

    def slot(self, name: str) -> str:
        """Return the slot of a trial, as `Layout` takes it."""
        return f"{self.folder}/{name}" if self.folder else name

    def known_trials(self) -> Iterator[Trial]:
        """Yield the trials, in their order; none where their files have it all."""
        if self.config is None:
            return
        for name, asked in zip(self.trials, self.asked, strict=True):
            yield Trial(
                self.study,
                self.phase,
                name,
                config=compose.assign(self.config, asked["assignments"]),
                assignments=asked["assignments"],
                stop=asked["stop"],
            )


def write_pack(path: Path, pack: PackFile) -> None:
    """Write a pack's file, unless it is there and undamaged."""
    try:
        if read_pack(path).id == pack.id:
            return
    except (FileNotFoundError, DamagedFile):
        pass
    write_json(path, pack.content())


def read_pack(path: Path) -> PackFile:
    """Read a pack's file.

    Raises:
        FileNotFoundError: There is none.
        DamagedFile: It is not one.
    """
    content: Mapping[str, Any] = read_json(path, _FIX, _SHAPE)
    return PackFile(
        **{
            **content,
            "trials": tuple(content["trials"]),
            "asked": tuple(content.get("asked", ())),
        }
    )
