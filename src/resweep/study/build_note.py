"""build.json in the results: how a study was last built, for who watches it from elsewhere.

    {"config": {"study": "quickstart", "set": {...}}, "since": 1790000000.0, "ended": null, ...}

The process that builds writes it when it begins its trainings, and again when it ends.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from resweep.errors import DamagedFile
from resweep.json_files import read_json, write_json
from resweep.machine.identity import machine_id
from resweep.machine.programs import is_running
from resweep.paths import StudyFolder


@dataclass(frozen=True, kw_only=True)
class BuildNote:
    """How a study was last built.

    Attributes:
        config: Snakemake's settings, as `find.load_studies` reads them.
        since: When it began, in seconds since 1970.
        machine, process: Where.
        ended: When it ended; None while it lasts, or if it was killed.
        failed: Whether a job failed.
        stopped: Whether Ctrl-C stopped it.
    """

    config: Mapping[str, Any]
    since: float
    machine: str = ""
    process: int = 0
    ended: float | None = None
    failed: bool = False
    stopped: bool = False

    @property
    def was_interrupted(self) -> bool:
        """Whether it was stopped or killed; the latter is only known on the machine it ran on."""
        here = self.machine == machine_id()
        return self.stopped or (self.ended is None and here and not is_running(self.process))


_SHAPE = TypeAdapter(dict[str, Any])


def note_begin(study: StudyFolder, config: Mapping[str, Any]) -> None:
    """Note that a build begins, where we may write."""
    machine, process = machine_id(), os.getpid()
    _write(
        study,
        BuildNote(config=dict(config), since=time.time(), machine=machine, process=process),
    )


def note_end(study: StudyFolder, *, failed: bool = False, stopped: bool = False) -> None:
    """Note that the build ended; `stopped`: by Ctrl-C, after which jobs fail only because of it."""
    note = read_note(study)
    if note is not None:
        _write(study, replace(note, ended=time.time(), failed=failed, stopped=stopped))


def _write(study: StudyFolder, note: BuildNote) -> None:
    if os.access(study.path, os.W_OK):  # another user's results can still be read
        write_json(study.build, asdict(note))


def read_note(study: StudyFolder) -> BuildNote | None:
    """Return how a study was last built; None where nothing says so."""
    try:
        content = read_json(study.build, "it is written again by the next build", _SHAPE)
    except (FileNotFoundError, DamagedFile):
        return None
    known = {name: content[name] for name in BuildNote.__dataclass_fields__ if name in content}
    return BuildNote(**known) if {"config", "since"} <= known.keys() else None
