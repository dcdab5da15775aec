"""The folder of one run: its state and its immutable records.

config.yaml       the resolved configuration
record.json       the run's state, replaced atomically
records/          results of trials that ended there: {step}.json, {step}-{rule}.json; immutable
metrics.jsonl timing.jsonl checkpoint_{step}/ final_checkpoint/ train.log
again/            a retraining of what was pruned, while it runs
claims/           the trials that want to keep the weights; below best/ and published/, the studies
lock lease.json   who advances it
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.canonical import file_digest
from resweep.config.metric import Logged
from resweep.errors import ConfigError, DamagedFile
from resweep.json_files import refusing_others, write_json
from resweep.paths import RunFolder
from resweep.store import checkpoints as checkpoint
from resweep.store.curve import read_curve
from resweep.store.goal import Goal
from resweep.store.identity import find_resolved_difference
from resweep.store.state import read_state, written_again
from resweep.training.metrics import Line
from resweep.training.monitors import Stop, first_stop
from resweep.trials.record import MADE_AGAIN, Record, Status, read_record, write_record


def check_place(record: Record, path: Path, run_id: str) -> None:
    """Check that a record of the store is of its run and step.

    Args:
        record: The record.
        path: Its file, `{step}[-{rule}].json`.
        run_id: The run whose folder it is in.

    Raises:
        DamagedFile: It is another one's.
    """
    if record.run_id != run_id:
        raise DamagedFile(path, f"is a record of run {record.run_id}", MADE_AGAIN)
    if path.stem.partition("-")[0] != f"{record.step}":
        raise DamagedFile(path, f"is a record of step {record.step}", MADE_AGAIN)


class Run:
    """One run of the store; changing it needs the run's lock.

    Args:
        path: The run's folder, named by its id.
        confirm: Of the lock of who changes it: called before each file gets its name.
    """

    def __init__(self, path: Path, confirm: Callable[[], None] = lambda: None):
        self.path = path
        self.confirm = confirm
        self.folder = RunFolder(path)
        self.run_id = path.name

    def state(self) -> dict[str, Any]:
        """Return the run's state as in record.json; empty for a run that never started.

        Raises:
            DamagedFile: It is not the state of this run.
        """
        return read_state(self.folder.state, self.run_id)

    def update(self, **changes: Any) -> None:
        """Replace parts of the run's state, atomically."""
        state = {"run_id": self.run_id, **self.state(), **changes}
        write_json(self.folder.state, state, self.confirm)

    def config(self) -> dict[str, Any]:
        """Return the resolved configuration; empty for a run that never started.

        Raises:
            DamagedFile: It is not the one that was written.
        """
        path = self.folder.config
        if not os.path.lexists(path):
            return {}
        state = self.state()
        with refusing_others(path, written_again(path)):
            found = file_digest(path)
        if found != state.get("config_digest", found):
            raise DamagedFile(path, "was changed after it was written", written_again(path))
        try:
            config = yaml12.load_mapping(path)
        except ConfigError as error:
            raise DamagedFile(path, error.problems[0].hint, written_again(path)) from None
        if "config_digest" not in state and "identity" in state:  # of an older version
            differs = find_resolved_difference(config, state["identity"])
            if differs is not None:
                raise DamagedFile(path, differs, written_again(path))
        return config

    def records(self) -> dict[str, Path]:
        """Return the records by the stems of their names: `200`, `50-diverged`."""
        return {path.stem: path for path in self.folder.all_records()}

    def read_record(self, path: Path) -> Record:
        """Read one of the run's records.

        Raises:
            DamagedFile: It is not a record, or one of another run or step.
        """
        record = read_record(path)
        check_place(record, path, self.run_id)
        return record

    def find_record(self, goal: Goal, device_memory: float | None = None) -> Path | None:
        """Return the record that already answers a goal, or None.

        Args:
            goal: What a trial wants; its monitors may stop it before.
            device_memory: Bytes of the device; what did not fit this much before, does not fit now.
        """
        # First what was reached: a later failure to retrain it does not invalidate it.
        stop = self.find_stop(goal)
        step, name = (
            (goal.until, f"{goal.until}")
            if stop is None
            else (stop.step, f"{stop.step}-{stop.name}")
        )
        exact = self.folder.record(name)
        if exact.exists() and self.has_wanted(step, goal):
            return exact
        if stop is not None:
            return None
        for stem, path in self.records().items():
            reached, _, rule = stem.partition("-")
            if rule == Status.INFEASIBLE:
                if device_memory is not None and device_memory <= self._tried_memory(path):
                    return path
            elif rule == Status.FAILED or (rule == Status.DIVERGED and int(reached) <= goal.until):
                return path
        return None

    def _tried_memory(self, path: Path) -> float:
        """Return the bytes of memory that were not enough, by a record; 0 if it does not say."""
        try:
            return self.read_record(path).device_memory or 0
        except DamagedFile:
            return 0

    def find_stop(self, goal: Goal) -> Stop | None:
        """Return where monitors stop a trial, as far as the run's metrics show."""
        if not goal.rules.on:
            return None
        return first_stop(self.curve(goal), goal.rules)

    def curve(self, goal: Goal) -> list[Line]:
        """Return the lines of metrics up to where a goal ends; checked as far as they are settled.

        Raises:
            DamagedFile: They are not what was logged.
        """
        settled = min(goal.until, self.settled_line())
        return read_curve(self.folder, settled, goal.intervals, also=goal.until)

    def settled_stop(self, goal: Goal) -> Stop | None:
        """Return that stop if training can no longer change it."""
        stop = self.find_stop(goal)
        return stop if stop is not None and stop.step <= self.settled_step() else None

    def knows_end(self, goal: Goal) -> bool:
        """Whether the state or the metrics have the whole result of a trial.

        The run ended there, and only its record is gone; or it was trained further, and was
        evaluated there.
        """
        if self.ended_state(goal):
            return True
        if goal.until > self.settled_step() or goal.until >= goal.max_steps:
            return False
        lines = self.curve(goal)
        if not lines or lines[-1]["step"] != goal.until:
            return False
        return any(name in lines[-1] for name in goal.system.metrics_logged(Logged.EVALUATION))

    def ended_state(self, goal: Goal) -> dict[str, Any]:
        """Return the run's state if it has the result of a goal; else an empty one.

        `metrics` are those of its end only where the run finished: elsewhere it may have continued.
        """
        try:
            state = self.state()
        except DamagedFile:
            return {}
        status, step = state.get("status"), state.get("step", 0)
        finished = status == Status.FINISHED and step == goal.until == goal.max_steps
        diverged = status == Status.DIVERGED and step <= goal.until and "reason" in state
        return state if diverged or (finished and "metrics" in state) else {}

    def is_served(self, goal: Goal) -> bool:
        """Whether a goal needs no training: its record exists, or follows from the metrics."""
        stop = self.settled_stop(goal)
        if stop is not None:
            return self.has_wanted(stop.step, goal)
        if self.find_record(goal) is not None:
            return True
        return self.knows_end(goal) and self.has_wanted(goal.until, goal)

    def has_weights(self, step: int) -> bool:
        """Whether there is a checkpoint of this step."""
        return self.checkpoint(step) is not None

    def checkpoint(self, step: int) -> Path | None:
        """Return the folder of the checkpoint of a step; None if there is none."""
        folder = self.path / checkpoint.folder_name(step)
        return folder if folder.is_dir() else None

    def has_wanted(self, step: int, goal: Goal) -> bool:
        """Whether there is what a trial wants besides the record of a step.

        Gradients belong to weights: where these were pruned and are not wanted, neither are they.
        """
        if not self.has_weights(step):
            return not goal.weights
        return goal.gradients.is_met(self.path / checkpoint.folder_name(step))

    def recorded_steps(self) -> set[int]:
        """Return the steps at which trials ended, as requested or by a monitor."""
        others = (Status.DIVERGED, Status.INFEASIBLE, Status.FAILED)
        return {step for step, rule in self._ends() if rule not in others}

    def furthest_record(self) -> int:
        """Return the last of these; 0 without any."""
        return max(self.recorded_steps(), default=0)

    def settled_step(self) -> int:
        """Return the last step whose lines of metrics are never written again; 0 without any.

        A record rests on them, or training continues from a checkpoint after them.
        """
        ends = [
            step for step, rule in self._ends() if rule not in (Status.INFEASIBLE, Status.FAILED)
        ]
        return max([*ends, *checkpoint.steps_of(self.path)], default=0)

    def settled_line(self) -> int:
        """Return the last step whose line, if it has one, is settled: none where it diverged."""
        ends = [
            step - 1 if rule == Status.DIVERGED else step
            for step, rule in self._ends()
            if rule not in (Status.INFEASIBLE, Status.FAILED)
        ]
        return max([*ends, *checkpoint.steps_of(self.path)], default=-1)

    def _record_path(self, step: int, rule: str | None) -> Path:
        return self.folder.record(f"{step}-{rule}" if rule else f"{step}")

    def _ends(self) -> Iterator[tuple[int, str]]:
        """Yield the step and the rule of each record; the rule of an ordinary one is empty.

        Those that were set aside as damaged are among them: their steps are settled.
        """
        for path in [*self.folder.all_records(), *self.folder.damaged_records()]:
            step, _, rule = path.name.removesuffix(".damaged").removesuffix(".json").partition("-")
            yield int(step), rule

    def write_record(self, record: Record, rule: str | None = None) -> Path:
        """Write an immutable record; an existing one stays as it is.

        Args:
            record: Of this run.
            rule: What ended it before the requested step; part of the file's name.
        """
        path = self._record_path(record.step, rule)
        if not path.exists():
            write_record(path, record, self.confirm)
        return path
