"""What became of each trial of a phase so far, by its records and the decisions at its rungs.

    {phase}/records/{trial}.json        final: how it ended
    {phase}/decisions/{stage}.csv       at a rung: whether it continues
    {phase}/records/{rung}/{slot}.json  at a rung: that it got there

Records are read once: a folder is listed at each look, and only files of another date are read.
"""

import os
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path

from resweep.errors import ResweepError
from resweep.paths import Layout, PhaseFolder
from resweep.search.rungs import DONE, LOST, PROMOTE
from resweep.search.stages import Stage
from resweep.study.study import Phase
from resweep.trials.decisions import read_decisions
from resweep.trials.record import Record, Status, read_record


class Open(StrEnum):
    """States of a trial that has not ended; one that has is in the status of its record."""

    RUNNING = "running"
    WAITING = "waiting"


class PhaseRecords:
    """The records of a phase, and the decisions at its rungs, as they are at each look.

    Args:
        phase: The phase.
        layout: Of the results folder.
    """

    def __init__(self, phase: Phase, layout: Layout):
        self.phase = phase
        self.folder: PhaseFolder = layout.phase(phase.study, phase.name)
        self._records: dict[Path, tuple[int, Record | None]] = {}
        self._decided: dict[str, tuple[int, dict[str, str]]] = {}
        self._stages_of: dict[str, list[Stage]] = {}
        for stage in phase.stages:
            if stage.first:
                of_round = phase.stages_of_round(stage)
                self._stages_of.update(dict.fromkeys(stage.names, of_round))

    def look(self) -> None:
        """Read what is new."""
        folders = {"": self.folder.records}
        folders |= {stage.folder: self.folder.records / stage.folder for stage in self.phase.stages}
        self._at = {of: self._read_folder(folder) for of, folder in folders.items()}
        self._rows = {
            stage.name: self._decisions(stage) for stage in self.phase.stages if not stage.last
        }

    @property
    def final(self) -> Mapping[str, Record]:
        """The record of each trial that has ended."""
        return self._at[""]

    def at(self, stage: Stage) -> Mapping[str, Record]:
        """Return the records of a stage by the names of its slots."""
        return self._at[stage.folder]

    def states(self, running: Collection[str]) -> dict[str, str]:
        """Return the state of each trial: the status of its record, or one of `Open`.

        Args:
            running: The trials that are being trained.
        """
        return {trial: self._state(trial, trial in running) for trial in self.phase.trials}

    def stage_of(self, trial: str) -> Stage:
        """Return the stage that a trial is at: the one after the last that it was promoted from."""
        stages = self._stages_of[trial]
        return next(
            (one for one in stages if self._rows.get(one.name, {}).get(trial) != PROMOTE),
            stages[-1],
        )

    def _state(self, trial: str, is_running: bool) -> str:
        if trial in self.final:
            return self.final[trial].status
        if is_running:
            return Open.RUNNING
        stage = self.stage_of(trial)
        decision = self._rows.get(stage.name, {}).get(trial)
        if decision is None:
            record = self.at(stage).get(trial) if stage.first else None
            lost = record is not None and not record.stopped_at_rung
            return record.status if record is not None and lost else Open.WAITING
        first = self.at(self._stages_of[trial][0]).get(trial)
        if decision in (DONE, LOST) and first is not None and not first.stopped_at_rung:
            return first.status
        return Status.STOPPED

    def _read_folder(self, folder: Path) -> dict[str, Record]:
        found = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(".json"):
                        date = entry.stat(follow_symlinks=False).st_mtime_ns
                        record = self._read(Path(entry.path), date)
                        if record is not None:
                            found[entry.name.removesuffix(".json")] = record
        except OSError:
            return found  # not made yet
        return found

    def _read(self, path: Path, date: int) -> Record | None:
        known = self._records.get(path)
        if known is not None and known[0] == date and known[1] is not None:
            return known[1]
        try:
            record = read_record(path)
        except (ResweepError, OSError):  # its run is gone, or it is damaged: it is trained again
            record = None
        self._records[path] = (date, record)
        return record

    def _decisions(self, stage: Stage) -> dict[str, str]:
        path = self.folder.rung_decisions(stage.name)
        try:
            date = path.stat().st_mtime_ns
            known = self._decided.get(stage.name)
            if known is None or known[0] != date:
                rows = {row["trial"]: row["decision"] for row in read_decisions([path])}
                self._decided[stage.name] = known = (date, rows)
        except (ResweepError, OSError):
            return {}
        return known[1]
