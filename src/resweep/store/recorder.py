"""Recording the result of a training: each file is put in its place, the record last.

    metrics, checkpoint   of a retraining, moved to those of the run
    record.json           the run's state
    records/              the trial's result: it answers requests from then on

Nothing here trains, and everything needs the run's lock.
"""

import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resweep.errors import StoreError
from resweep.files import link_relative, write_atomically
from resweep.paths import METRICS, TIMING
from resweep.store import checkpoints as checkpoint
from resweep.store.curve import restore_curve
from resweep.store.goal import Goal
from resweep.store.provenance import code_digest, versions
from resweep.store.run import Run
from resweep.training.metrics import content_digest, parse
from resweep.training.monitors import Stop
from resweep.trials.record import Record, Status

DONE = ".again"  # folder of a retraining that is being deleted
PROVENANCE = ("device", "versions", "code")
REACHED = "reached the requested step"  # a rung, or a smaller request

log = logging.getLogger(__name__)


class Recorder:
    """Records the results of the trainings of one run.

    Args:
        run: Where to.
        goal: What the trial wants of it.
        device: Name of what trains it, if anything does.
    """

    def __init__(self, run: Run, goal: Goal, device: str | None = None):
        self.run = run
        self.goal = goal
        self.device = device

    def end(self, folder: Path, step: int, metrics: Mapping[str, float], stop: Stop | None) -> Path:
        """Record a training that reached the end of its trial.

        Args:
            folder: Where it was trained: the run's own, or one beside, which is deleted then.
            step: Where it ended.
            metrics: The trial's.
            stop: The monitor that ended it; None: it reached the requested step.

        Returns:
            The record.
        """
        run = self.run
        self._place_metrics(folder, step)
        weights = self._place_checkpoint(folder, step)
        finished = step == self.goal.max_steps
        if finished and weights is not None:
            link_relative(run.folder.final_checkpoint, run.path / checkpoint.folder_name(step))
        changes: dict[str, Any] = {
            "checkpoints": {
                str(kept): checkpoint.weights_digest(run.path / checkpoint.folder_name(kept))
                for kept in checkpoint.steps_of(run.path)
            }
        }
        if step >= run.state().get("step", 0):  # otherwise the run is already further
            status = Status.FINISHED if finished else Status.STOPPED
            changes |= {"status": status, "step": step, "metrics": dict(metrics)}
        run.update(**changes)
        if stop is not None:
            return self._record_stop(stop, metrics, weights)
        if finished:
            return self._record(step, Status.FINISHED, None, metrics, weights=weights)
        return self._record(step, Status.STOPPED, REACHED, metrics, weights=weights)

    def replay(self, until: int, stop: Stop | None) -> Path:
        """Record a trial whose end the run's state or metrics have.

        Args:
            until: The requested step.
            stop: The monitor that ends it before; None: it ends there.

        Raises:
            DamagedFile: The lines up to there are not what was logged, and there is no copy.
        """
        run = self.run
        ended = run.ended_state(self.goal) if stop is None else {}
        last = until if stop is None else stop.step
        if ended.get("status") == Status.DIVERGED:
            last = ended["step"] - 1  # where a value was not a number, nothing was logged
        restore_curve(run.folder, last, self.goal.intervals)  # the record vouches for them
        if ended:
            return self._restore(ended)
        step, reason = (until, REACHED) if stop is None else (stop.step, stop.reason)
        by, weights = self._trained_by(step), self._weights_of(step)
        log.info("run %s: stopped at step %d: %s", run.run_id, step, reason)
        metrics = last_values([line for line in run.curve(self.goal) if line["step"] <= step])
        if stop is not None:
            return self._record_stop(stop, metrics, weights, by)
        return self._record(step, Status.STOPPED, REACHED, metrics, weights=weights, trained_by=by)

    def _restore(self, state: Mapping[str, Any]) -> Path:
        """Write the record of a run that ended, from its state."""
        step, status = state["step"], Status(state["status"])
        log.info("run %s: record of step %d made again from its state", self.run.run_id, step)
        by = self._trained_by(step)
        if status is Status.DIVERGED:
            reason = state["reason"]
            return self._record(step, status, reason, {}, rule=Status.DIVERGED, trained_by=by)
        weights = self._weights_of(step) or state.get("checkpoints", {}).get(f"{step}")
        return self._record(step, status, None, state["metrics"], weights=weights, trained_by=by)

    def _weights_of(self, step: int) -> str | None:
        place = self.run.path / checkpoint.folder_name(step)
        return checkpoint.weights_digest(place) if place.is_dir() else None

    def _trained_by(self, step: int) -> dict[str, Any]:
        """Return what trained the run to a step: device, versions, code.

        A killed process left no segment, but an attempt; where both are lost, records remain.
        """
        state = self.run.state()
        parts = [part for part in state.get("segments", []) if part["to_step"] >= step][:1]
        attempts = state.get("attempts", [])
        parts += [attempt for attempt in reversed(attempts) if attempt["from_step"] < step]
        known = [part for part in parts if "versions" in part]
        if known:
            return {name: known[0].get(name) for name in PROVENANCE}
        records = [self.run.read_record(path) for path in self.run.records().values()]
        for record in sorted(records, key=lambda record: (record.step < step, record.step)):
            if record.versions:
                return {name: getattr(record, name) for name in PROVENANCE}
        device = parts[0]["device"] if parts else None
        return {"device": device, "versions": {}, "code": state.get("code")}

    def diverge(self, folder: Path, step: int, watched: Iterable[str]) -> Path:
        """Record a training one of whose watched metrics was not a number; returns the record."""
        self._place_metrics(folder, step)
        reason = f"{' or '.join(watched)} was not a finite number at step {step}"
        self.run.update(status=Status.DIVERGED, step=step, reason=reason)
        return self._record(step, Status.DIVERGED, reason, {}, rule=Status.DIVERGED)

    def lack_memory(self, step: int, message: str, memory: int | None) -> Path:
        """Record that the run does not fit a device with this much memory."""
        reason = f"does not fit the device's memory: {message.splitlines()[0]}"
        self.run.update(status=Status.INFEASIBLE, reason=reason)
        return self._record(
            step, Status.INFEASIBLE, reason, {}, rule=Status.INFEASIBLE, device_memory=memory
        )

    def fail(self, step: int, reason: str) -> Path:
        """Record that the run failed."""
        log.error("run %s: failed: %s", self.run.run_id, reason)
        self.run.update(status=Status.FAILED, reason=reason)
        return self._record(step, Status.FAILED, reason, {}, rule=Status.FAILED)

    def _place_metrics(self, folder: Path, step: int) -> None:
        """Copy the files of a retraining over, if they go further than those of the run."""
        own = self.run.folder.metrics
        settled = self.run.settled_step()
        alone = step == settled and not self.run.records()  # no sound record is of the old lines
        if folder != self.run.path and (step > settled or alone or not own.exists()):
            for name in (METRICS, TIMING):
                write_atomically(self.run.path / name, (folder / name).read_bytes())

    def _place_checkpoint(self, folder: Path, step: int) -> str | None:
        """Move the checkpoint of a step to its place; returns its digest, if it was saved."""
        place = self.run.path / checkpoint.folder_name(step)
        if folder != self.run.path:
            made = folder / place.name
            if made.is_dir() and not place.exists():
                self._compare(made, step)
                made.rename(place)
            elif made.is_dir() and not self.goal.gradients.is_met(place):
                self._add_gradients(made, place)
            folder.rename(self.run.path / DONE)  # atomically: a half-deleted one would be used
            shutil.rmtree(self.run.path / DONE)
        return checkpoint.weights_digest(place) if place.is_dir() else None

    def _add_gradients(self, made: Path, place: Path) -> None:
        """Replace a checkpoint without gradients by the same one with them.

        Raises:
            StoreError: The weights differ, and so would the gradients.
        """
        if checkpoint.weights_digest(made) != checkpoint.weights_digest(place):
            raise StoreError(
                f"{place}: cannot add gradients: retrained weights differ from it, because of "
                "another device or library; to train the run from scratch, with gradients: "
                f"`resweep forget runs {self.run.run_id}`"
            )
        checkpoint.replace(place, made)

    def _compare(self, made: Path, step: int) -> None:
        records = self.run.records().items()
        recorded = [path for stem, path in records if stem.partition("-")[0] == str(step)]
        known = {self.run.read_record(path).weights for path in recorded} - {None}
        if known and checkpoint.weights_digest(made) not in known:
            log.warning(
                "run %s: retrained weights at step %d differ from the recorded ones, because of "
                "another device or library; keeping the new weights and the old record",
                self.run.run_id,
                step,
            )

    def _record_stop(
        self,
        stop: Stop,
        metrics: Mapping[str, Any],
        weights: str | None,
        trained_by: Mapping[str, Any] | None = None,
    ) -> Path:
        return self._record(
            stop.step,
            Status(stop.status),
            stop.reason,
            metrics,
            rule=stop.name,
            weights=weights,
            monitor=stop.rule,
            trained_by=trained_by,
        )

    def _record(
        self,
        step: int,
        status: Status,
        reason: str | None,
        metrics: Mapping[str, Any],
        *,
        rule: str | None = None,
        monitor: str | None = None,
        weights: str | None = None,
        trained_by: Mapping[str, Any] | None = None,
        device_memory: int | None = None,
    ) -> Path:
        state = self.run.state()
        if trained_by is None:
            trained_by = {"device": self.device, "versions": self._versions, "code": self._code}
        record = Record(
            run_id=self.run.run_id,
            status=status,
            stop_reason=reason,
            rule=monitor,
            step=step,
            max_steps=self.goal.max_steps,
            metrics=dict(metrics),
            weights=weights,
            curve=self._curve(step) if status.was_trained else None,
            parameters=state.get("parameters", self._size),
            seconds=round(sum(part["seconds"] for part in state.get("segments", [])), 2),
            gpu_seconds=state.get("gpu_seconds", 0.0),
            **trained_by,
            device_memory=device_memory,
        )
        return self.run.write_record(record, rule)

    def _curve(self, step: int) -> str:
        return content_digest(parse(self.run.folder.metrics.read_bytes()).content_up_to(step))

    @property
    def _size(self) -> int | None:
        """Number of parameters of a run that was never built."""
        return self.goal.system.count_parameters(self.goal.config)

    @property
    def _versions(self) -> dict[str, str]:
        return versions(self.goal.system.libraries)

    @property
    def _code(self) -> str:
        return code_digest(self.goal.system.name)


def last_values(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Return the last value of each metric, without the step."""
    values: dict[str, float] = {}
    for line in lines:
        values |= {name: value for name, value in line.items() if name != "step"}
    return values
