"""The folder of one run: its state and its immutable records.

config.yaml       the resolved configuration
record.json       the run's state, replaced atomically
records/          results of trials that ended there: {step}.json, {step}-{rule}.json; immutable
metrics.jsonl timing.jsonl checkpoint_{step}/ final_checkpoint/ train.log
again/            a retraining of what was pruned, while it runs
claims/           the trials that want to keep the weights; below best/ and published/, the studies
lock lease.json   who advances it
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resweep.config.metric import Logged
from resweep.files import write_atomically
from resweep.paths import RunFolder
from resweep.store import checkpoints as checkpoint
from resweep.store.goal import Goal
from resweep.training.metrics import read_metrics
from resweep.training.monitors import Stop, first_stop
from resweep.trials.record import Record, Status, read_record, write_record


class Run:
    """One run of the store; changing it needs the run's lock.

    Args:
        path: The run's folder, named by its id.
    """

    def __init__(self, path: Path):
        self.path = path
        self.folder = RunFolder(path)
        self.run_id = path.name

    def state(self) -> dict[str, Any]:
        """Return the run's state as in record.json; empty for a run that never started."""
        try:
            return dict(json.loads(self.folder.state.read_text()))
        except FileNotFoundError:
            return {}

    def update(self, **changes: Any) -> None:
        """Replace parts of the run's state, atomically."""
        state = {"run_id": self.run_id, **self.state(), **changes}
        write_atomically(self.folder.state, json.dumps(state, indent=2) + "\n")

    def records(self) -> dict[str, Path]:
        """Return the records by the stems of their names: `200`, `50-diverged`."""
        return {path.stem: path for path in sorted(self.folder.records.glob("[0-9]*.json"))}

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
                if device_memory is not None:
                    tried = read_record(path).device_memory
                    if tried is not None and device_memory <= tried:
                        return path
            elif rule == Status.FAILED or (rule == Status.DIVERGED and int(reached) <= goal.until):
                return path
        return None

    def find_stop(self, goal: Goal) -> Stop | None:
        """Return where monitors stop a trial, as far as the run's metrics show."""
        if not goal.rules.on:
            return None
        return first_stop(read_metrics(self.folder.metrics, goal.until), goal.rules)

    def settled_stop(self, goal: Goal) -> Stop | None:
        """Return that stop if training can no longer change it."""
        stop = self.find_stop(goal)
        return stop if stop is not None and stop.step <= self.settled_step() else None

    def knows_end(self, goal: Goal) -> bool:
        """Whether the metrics have the whole result of a trial that ends before the last step.

        The run was trained further, and was evaluated there.
        """
        if goal.until > self.settled_step() or goal.until >= goal.max_steps:
            return False
        lines = read_metrics(self.folder.metrics, goal.until)
        if not lines or lines[-1]["step"] != goal.until:
            return False
        return any(name in lines[-1] for name in goal.system.metrics_logged(Logged.EVALUATION))

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
        return (self.path / checkpoint.folder_name(step)).is_dir()

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

    def _record_path(self, step: int, rule: str | None) -> Path:
        return self.folder.record(f"{step}-{rule}" if rule else f"{step}")

    def _ends(self) -> Iterator[tuple[int, str]]:
        """Yield the step and the rule of each record; the rule of an ordinary one is empty."""
        for stem in self.records():
            step, _, rule = stem.partition("-")
            yield int(step), rule

    def write_record(self, record: Record, rule: str | None = None) -> Path:
        """Write an immutable record; an existing one stays as it is.

        Args:
            record: Of this run.
            rule: What ended it before the requested step; part of the file's name.
        """
        path = self._record_path(record.step, rule)
        if not path.exists():
            write_record(path, record)
        return path
