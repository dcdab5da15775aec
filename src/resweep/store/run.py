"""The folder of one run: its state, its attempts, its immutable records.

config.yaml       the resolved configuration
record.json       the run's state, replaced atomically
records/          what a trial that ended there got: {step}.json, {step}-{rule}.json; immutable
metrics.jsonl timing.jsonl checkpoint_{step}/ final_checkpoint/ train.log
again/            a retraining of what was pruned, while it lasts
claims/           the trials that want the weights to stay
lock lease.json   who advances it
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from resweep.config.schema import EarlyStopping
from resweep.machine.gpus import held_gpu
from resweep.paths import write_atomically
from resweep.store import checkpoints as checkpoint
from resweep.store.lock import read_lease
from resweep.store.provenance import code_digest, versions
from resweep.training.gradients import NO_GRADIENTS, GradientRequest
from resweep.training.metrics import METRICS, read_metrics
from resweep.training.monitors import Stop, first_stop
from resweep.trials.record import Record, Status, read_record, write_record

MOST_ATTEMPTS_WITHOUT_PROGRESS = 8
# How an attempt ends that told the next one to take less of a GPU's memory at a time.
FEWER_SEQUENCES = "out of GPU memory; the next attempt takes fewer sequences a forward"
OUT_OF_MEMORY = "out of memory"  # main memory
NEARLY_FULL = 0.85  # of the memory limit: a killed process that had so much ran out of it

NO_MONITORS = EarlyStopping()


class Run:
    """One run of the store; what changes it needs the run's lock.

    Args:
        path: The run's folder, named by its id.
    """

    def __init__(self, path: Path):
        self.path = path
        self.run_id = path.name

    def state(self) -> dict[str, Any]:
        """Return the run's state as in record.json; empty for a run that was never begun."""
        try:
            return dict(json.loads((self.path / "record.json").read_text()))
        except FileNotFoundError:
            return {}

    def update(self, **changes: Any) -> None:
        """Replace parts of the run's state, atomically."""
        state = {"run_id": self.run_id, **self.state(), **changes}
        write_atomically(self.path / "record.json", json.dumps(state, indent=2) + "\n")

    def records(self) -> dict[str, Path]:
        """Return the records by the stems of their names: `200`, `50-diverged`."""
        return {path.stem: path for path in sorted((self.path / "records").glob("[0-9]*.json"))}

    def find_record(
        self,
        until: int,
        weights: bool = False,
        device_memory: float | None = None,
        early_stopping: EarlyStopping = NO_MONITORS,
        gradients: GradientRequest = NO_GRADIENTS,
    ) -> Path | None:
        """Return the record that already answers a request, or None.

        Args:
            until: The step asked for.
            weights: Whether its weights are wanted too.
            device_memory: Bytes of the device; what did not fit as much before still does not.
            early_stopping: The trial's monitors: where they stop it is what it gets.
            gradients: Those that a checkpoint of that step should have, if there is one.
        """
        # First what was reached: a later failure to train it again takes nothing from it.
        stop = self.find_stop(until, early_stopping)
        step, name = (
            (until, f"{until}") if stop is None else (stop.step, f"{stop.step}-{stop.name}")
        )
        exact = self.path / "records" / f"{name}.json"
        if exact.exists() and self.has_wanted(step, weights, gradients):
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
            elif rule == Status.FAILED or (rule == Status.DIVERGED and int(reached) <= until):
                return path
        return None

    def find_stop(self, until: int, early_stopping: EarlyStopping) -> Stop | None:
        """Return where monitors stop a trial, as far as the run's metrics tell.

        Args:
            until: The step that the trial asks for.
            early_stopping: Its monitors.
        """
        if not early_stopping.on:
            return None
        lines = read_metrics(self.path / METRICS, until)
        return first_stop(lines, early_stopping, self.state().get("max_steps"))

    def settled_stop(self, until: int, early_stopping: EarlyStopping) -> Stop | None:
        """Return that stop if no training can change it any more."""
        stop = self.find_stop(until, early_stopping)
        return stop if stop is not None and stop.step <= self.settled_step() else None

    def tells_end(self, until: int) -> bool:
        """Whether the metrics hold all that a trial gets which asks for a step before the last.

        The run has been further, and was evaluated there.
        """
        if until > self.settled_step() or until >= self.state()["max_steps"]:
            return False
        lines = read_metrics(self.path / METRICS, until)
        return bool(lines) and lines[-1]["step"] == until and "val/loss" in lines[-1]

    def is_served(
        self,
        until: int,
        weights: bool,
        early_stopping: EarlyStopping,
        gradients: GradientRequest = NO_GRADIENTS,
    ) -> bool:
        """Whether a request needs no training: its record is there, or follows from the metrics."""
        stop = self.settled_stop(until, early_stopping)
        if stop is not None:
            return self.has_wanted(stop.step, weights, gradients)
        if self.find_record(until, weights, None, early_stopping, gradients) is not None:
            return True
        return self.tells_end(until) and self.has_wanted(until, weights, gradients)

    def has_weights(self, step: int) -> bool:
        """Whether there is a checkpoint of this step."""
        return (self.path / checkpoint.folder_name(step)).is_dir()

    def has_wanted(self, step: int, weights: bool, gradients: GradientRequest) -> bool:
        """Whether there is what a trial wants beside the record of a step.

        Gradients belong to weights: where these were pruned and are not wanted, none are.
        """
        if not self.has_weights(step):
            return not weights
        return gradients.is_met(self.path / checkpoint.folder_name(step))

    def recorded_steps(self) -> set[int]:
        """Return the steps that trials ended at, as they asked or by a monitor."""
        others = (Status.DIVERGED, Status.INFEASIBLE, Status.FAILED)
        return {step for step, rule in self._ends() if rule not in others}

    def furthest_record(self) -> int:
        """Return the last of these; 0 without any."""
        return max(self.recorded_steps(), default=0)

    def settled_step(self) -> int:
        """Return the last step whose lines of metrics are never written again; 0 without any.

        A record stands for them, or a checkpoint goes on from there.
        """
        ends = [
            step for step, rule in self._ends() if rule not in (Status.INFEASIBLE, Status.FAILED)
        ]
        return max([*ends, *checkpoint.steps_of(self.path)], default=0)

    def _record_path(self, step: int, rule: str | None) -> Path:
        return self.path / "records" / (f"{step}-{rule}.json" if rule else f"{step}.json")

    def _ends(self) -> Iterator[tuple[int, str]]:
        """Yield the step and the rule of each record; the rule of an ordinary one is empty."""
        for stem in self.records():
            step, _, rule = stem.partition("-")
            yield int(step), rule

    def write_record(self, record: Record, rule: str | None = None) -> Path:
        """Write an immutable record; one that is there already stays as it is.

        Args:
            record: Of this run.
            rule: What ended it before it was asked to end; part of the file's name.
        """
        path = self._record_path(record.step, rule)
        if not path.exists():
            write_record(path, record)
        return path

    def begin_attempt(self, generation: int, from_step: int, device: str) -> None:
        """Note that this process begins to train; ends an attempt that was left open as killed."""
        attempts = self.attempts()
        attempts.append(
            {
                "generation": generation,
                "host": os.environ.get("SLURMD_NODENAME", socket.gethostname()),
                "job": os.environ.get("SLURM_JOB_ID"),
                "device": device,
                "gpu": held_gpu(),
                "from_step": from_step,
                "to_step": from_step,
                "end": None,
            }
        )
        self.update(attempts=attempts)

    def end_attempt(
        self,
        end: str,
        to_step: int,
        seconds: float,
        gpus: int,
        processes: int = 1,
        engine: str = "none",
    ) -> None:
        """Note how the open attempt ended, and add its time to the run's.

        Args:
            end: How.
            to_step: The step that it reached.
            seconds: That it took.
            gpus: How many it had.
            processes: How many trained together.
            engine: `training.distributed` of these.
        """
        state = self.state()
        attempt = state["attempts"][-1]
        attempt |= {"end": end, "to_step": to_step, "seconds": round(seconds, 2)}
        segment = {
            "from_step": attempt["from_step"],
            "to_step": to_step,
            "host": attempt["host"],
            "device": attempt["device"],
            "gpu": attempt["gpu"],
            "processes": processes,
            "engine": engine,
            "seconds": round(seconds, 2),
            "versions": versions(),
            "code": code_digest(),
        }
        self.update(
            attempts=state["attempts"],
            segments=[*state.get("segments", []), segment],
            gpu_seconds=round(state.get("gpu_seconds", 0.0) + seconds * gpus, 2),
        )

    def close_attempt(self, lease: dict[str, Any]) -> None:
        """Write down how an open attempt ended, as its lease tells; needs the lock."""
        if self.state().get("attempts"):
            self.update(attempts=self.attempts(lease))

    def attempts(self, lease: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return all attempts; one that was left open counts as killed, or as out of memory.

        Only its lease can tell what it died of: how much memory it had, and how much was allowed.
        The attempt of a process that is at work now looks the same: ask under the lock, or when no
        job is running.
        """
        attempts = [dict(attempt) for attempt in self.state().get("attempts", [])]
        lease = read_lease(self.path) if lease is None else lease
        if attempts and attempts[-1]["end"] is None:
            attempts[-1]["end"] = OUT_OF_MEMORY if is_nearly_full(lease) else "killed"
            attempts[-1]["to_step"] = max(lease.get("step", 0), attempts[-1]["from_step"])
        return attempts

    def out_of_memory_count(self) -> int:
        """How often this run ended for lack of main memory: what a retry's request grows by."""
        return sum(attempt["end"] == OUT_OF_MEMORY for attempt in self.attempts())

    def failed_alike(self, error: str) -> bool:
        """Whether the last two attempts ended with this error at the same step."""
        last_two = self.attempts()[-2:]
        ends = {(attempt["end"], attempt["to_step"]) for attempt in last_two}
        return len(last_two) == 2 and len(ends) == 1 and last_two[0]["end"] == f"error: {error}"

    def attempts_from(self, step: int) -> int:
        """Count the latest attempts that began at `step` and were killed or failed.

        An attempt that saved on a signal counts neither way, nor one after which the next takes
        fewer sequences; one that began elsewhere ends the count: there was progress after it.
        """
        count = 0
        for attempt in reversed(self.attempts()):
            if attempt["from_step"] != step or attempt["end"] == "completed":
                break
            count += attempt["end"] not in ("interrupted", FEWER_SEQUENCES)
        return count


def is_nearly_full(lease: Mapping[str, Any]) -> bool:
    """Whether who held this lease had so much main memory that it was killed for it, if it was."""
    limit = lease.get("memory_limit_mb")
    return bool(limit and lease.get("memory_mb", 0) >= NEARLY_FULL * limit)
