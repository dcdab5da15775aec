"""Advance a run towards a goal: one holding of its lock, from the last checkpoint to a record.

    what the store has        is answered by its record, without a lock
    what it has in part       is continued from the last sound checkpoint
    what was pruned           is retrained beside the run, never over it
    what cannot be had        is a record too: diverged, infeasible, failed

Caching, resuming after a kill, retries and sharing between studies are all this:

    what the metrics say of the trial's monitors  ->  where it ends
    the last sound checkpoint                     ->  where to continue from, in which folder
    training                                      ->  checkpoints, metrics, how the attempt ended
    resweep.store.recorder                        ->  the record
"""

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from resweep import yaml12
from resweep.config.early_stopping_section import EarlyStopping
from resweep.config.metric import Logged, Metric
from resweep.errors import Interrupted, LeaseLost, ProcessLost, ResweepError, StoreError
from resweep.paths import Layout, write_atomically
from resweep.store import checkpoints as checkpoint
from resweep.store.attempts import (
    FEWER_ROWS,
    MOST_WITHOUT_PROGRESS,
    OUT_OF_MEMORY,
    Attempts,
    is_nearly_full,
)
from resweep.store.goal import Goal
from resweep.store.lock import RunLock
from resweep.store.parent import require_parent
from resweep.store.provenance import code_digest
from resweep.store.recorder import DONE, Recorder, last_values
from resweep.store.retention import (
    Policy,
    Values,
    add_policy,
    drop_before,
    drop_unclaimed,
    has_claims,
)
from resweep.store.run import Run
from resweep.store.saver import Saver
from resweep.training.clock import memory_mb
from resweep.training.device import device_memory, device_name, is_shared
from resweep.training.learner import Learner
from resweep.training.loop import Callbacks, LoopEnd, LoopPlan, train
from resweep.training.metrics import METRICS, TIMING, MetricLog, read_metrics
from resweep.training.micro_batch_limit import MicroBatchLimit
from resweep.training.monitors import Monitors, Stop, StopRules
from resweep.training.processes import ALONE, Processes
from resweep.training.writer import Writer

AGAIN = "again"  # subfolder of a retraining

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run is advanced with, none of which changes its numbers.

    Attributes:
        device: Where to train.
        processes: Those that train together; this is rank 0 of them.
        keep_weights: Whether weights are saved at the end when it has to be trained.
        lock_timeout: Seconds to wait for another process that advances the same run.
        memory_limit_mb: What the scheduler allows, to tell an out-of-memory from a kill.
        interrupted: Whether to save and leave.
        around: Entered while the run is trained, with its folder and the step it continues from.
    """

    device: torch.device
    processes: Processes = ALONE
    keep_weights: bool = True
    lock_timeout: float = 3600.0
    memory_limit_mb: int | None = None
    interrupted: Callable[[], bool] = field(default=lambda: False)
    around: Callable[[Path, int], AbstractContextManager[Any]] = field(
        default=lambda folder, step: nullcontext()
    )


def advance(goal: Goal, surroundings: Surroundings, layout: Layout) -> Path:
    """Advance a run as far as a goal asks.

    Returns:
        The immutable record in the store.

    Raises:
        Interrupted: Told to leave; everything up to now is saved.
        LockTimeout: Another process holds the run for too long.
        LeaseLost: Another process took the run over.
        Exception: Whatever the training raised, the first time; the second time at the same step
            is a record with status failed.
    """
    run = Run(layout.run(goal.run_id))
    memory = device_memory(surroundings.device)
    served = run.find_record(goal, memory)
    if served is not None:
        log.info("run %s: in the store (%s)", run.run_id, served.name)
        return served
    progress = {"step": 0}

    def details() -> dict[str, Any]:
        # The others of this machine count against the same limit, and need about as much.
        here = surroundings.processes.local_world_size
        main_memory = round(memory_mb(torch.device("cpu")) * here)
        return {
            **progress,
            "memory_mb": main_memory,
            "memory_limit_mb": surroundings.memory_limit_mb,
        }

    timeout, interrupted = surroundings.lock_timeout, surroundings.interrupted
    with RunLock(run.path, timeout, details, interrupted=interrupted) as lock:
        served = run.find_record(goal, memory)
        if served is not None:
            log.info("run %s: in the store by now (%s)", run.run_id, served.name)
            return served
        return _Advance(goal, surroundings, run, lock, progress).run_to_goal()


class _Advance:
    """Advances a run.

    Args:
        goal: What is asked.
        surroundings: What it is done with.
        run: Whose lock is held.
        lock: That lock.
        progress: Holds the step, for the lease.
    """

    def __init__(
        self,
        goal: Goal,
        surroundings: Surroundings,
        run: Run,
        lock: RunLock,
        progress: dict[str, int],
    ):
        self.goal = goal
        self.surroundings = surroundings
        self.run = run
        self.lock = lock
        self.progress = progress
        self.attempts = Attempts(run)
        self.folder = run.path
        self.until = goal.until
        self.rules: StopRules = goal.rules
        self.stop: Stop | None = None  # the monitor that ends the trial
        self.device_memory = device_memory(surroundings.device)
        self.limit = MicroBatchLimit(run.path, self.device_memory)
        self.most_rows: int | None = None  # a forward, as far as it is known
        self.recorder = Recorder(run, goal, device_name(surroundings.device))

    def run_to_goal(self) -> Path:
        """Train, and write the record of what came out."""
        run, goal = self.run, self.goal
        self._open_run()
        self._ask_metrics()
        known = self.stop is not None or run.knows_end(goal)
        if known and run.has_wanted(self.until, goal):
            return self.recorder.replay(self.until, self.stop)
        start = self._choose_folder()
        from_step = _step_of(start)
        if start is None or goal.system.rereads_weights(goal.config):
            require_parent(goal.system, goal.config)
            warning = goal.system.compare_weights(goal.config, goal.data)
            if warning is not None:
                log.warning("run %s: %s", run.run_id, warning)
        if self.attempts.count_from(from_step) >= MOST_WITHOUT_PROGRESS:
            ends = ", ".join(attempt["end"] for attempt in self.attempts.all()[-3:])
            return self._give_up(from_step, f"attempts without progress used up ({ends})")
        self.progress["step"] = from_step
        if self.surroundings.interrupted():  # before all is built only to be left
            raise Interrupted(
                f"run {run.run_id}: left at step {from_step} of {self.until}; the same command "
                "continues it"
            )
        add_policy(run, Policy.of(goal.training))
        return self._attempt(start)

    def _open_run(self) -> None:
        """Make the run's folder say what it is, and how the attempt before ended."""
        run, goal = self.run, self.goal
        self.attempts.close(self.lock.previous)
        if "identity" not in run.state():
            write_atomically(run.path / "config.yaml", yaml12.dump(goal.config))
            run.update(
                status="begun",
                step=0,
                max_steps=goal.max_steps,
                identity=goal.identity,
                code=code_digest(goal.system.name),
            )

    def _attempt(self, start: Path | None) -> Path:
        """Train from a checkpoint, or from the start, and record how that ended."""
        run, surroundings = self.run, self.surroundings
        device, processes = surroundings.device, surroundings.processes
        self.attempts.begin(self.lock.generation, _step_of(start), device_name(device))
        started = time.monotonic()

        def end(how: str) -> None:
            self.lock.confirm()  # else the open attempt is another process's
            self.attempts.end(
                how,
                to_step=self.progress["step"],
                seconds=time.monotonic() - started,
                gpus=processes.world_size if device.type == "cuda" else 0,
                code=code_digest(self.goal.system.name),
                processes=processes.world_size,
                engine=self.goal.training.distributed if processes.together else "none",
            )

        learner: Learner | None = None
        try:
            learner = self._build()
            run.update(parameters=learner.size)
            if start is None:
                learner.begin()
            else:
                learner.load(start)
                log.info("run %s: continues from step %d", run.run_id, learner.step)
            outcome, metrics = self._train(learner, end)
            if outcome is not LoopEnd.INTERRUPTED:
                end("completed")
        except LeaseLost:
            raise
        except torch.OutOfMemoryError as error:
            if is_shared(device):
                end("machine: other processes hold the GPU's memory")
                raise
            if learner is not None and processes.together:
                fewer = self.limit.read() != self.most_rows
                end(FEWER_ROWS if fewer else "machine: out of GPU memory")
                raise
            end("out of GPU memory")
            reached = self.progress["step"]
            return self.recorder.lack_memory(reached, str(error), self.device_memory)
        except (ResweepError, OSError, MemoryError) as error:
            # Where memory is short, the kernel may kill one of several processes alone.
            lost = isinstance(error, ProcessLost) and is_nearly_full(self.lock.details())
            end(OUT_OF_MEMORY if lost else f"machine: {type(error).__name__}: {error}")
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            end(f"error: {text}")
            if self.attempts.failed_alike(text):
                return self._give_up(self.progress["step"], text)
            raise
        return self._record(learner, outcome, metrics)

    def _record(self, learner: Learner, outcome: LoopEnd, metrics: dict[str, float]) -> Path:
        """Record what a training came to, and drop the weights that nobody wants."""
        run = self.run
        if outcome is LoopEnd.INTERRUPTED:
            raise Interrupted(
                f"run {run.run_id}: saved at step {learner.step} of {self.until} and left; "
                "the same command continues it"
            )
        if outcome is LoopEnd.DIVERGED:
            return self.recorder.diverge(self.folder, learner.step)
        record = self.recorder.end(self.folder, learner.step, metrics, self.stop)
        self.folder = run.path
        if run.has_weights(learner.step):
            values = Values(self._metric, read_metrics(run.path / METRICS))
            drop_before(run, run.path, learner.step, values)
        else:
            drop_unclaimed(run)
        return record

    @property
    def _metric(self) -> Metric:
        """What checkpoints are kept by."""
        metric = self.goal.system.find_metric(self.goal.system.metric)
        assert metric is not None, "a system declares the metric that it compares by"
        return metric

    def _build(self) -> Learner:
        """Return a new learner, and have one built in all other processes."""
        goal, surroundings = self.goal, self.surroundings
        self.most_rows = self.limit.read()
        if self.most_rows == 0:
            raise torch.OutOfMemoryError("one sequence does not fit the GPUs of the processes")
        limits = (self.most_rows, self.limit)
        processes = surroundings.processes
        processes.broadcast("build", goal.config, goal.data, *limits)
        return goal.system.learner(goal.config, goal.data, surroundings.device, processes, *limits)

    def _ask_metrics(self) -> None:
        """See what the run's metrics say of the trial's monitors, as far as they are settled.

        What they say stands, even if this device rounds otherwise and would find something else.
        """
        settled = self.run.settled_step()
        self.stop = self.run.settled_stop(self.goal)
        if self.stop is not None:
            self.until = self.stop.step
        if self.until <= settled:
            self.rules = replace(self.rules, settings=EarlyStopping())

    def _choose_folder(self) -> Path | None:
        """Decide where to work and from which checkpoint; returns it, or None to start at step 0.

        Settled steps are never written again: what lacks the checkpoint to continue from there is
        retrained in a folder beside, and what was wanted is moved over.
        """
        checkpoint.drop_leftovers(self.folder)
        shutil.rmtree(self.run.path / DONE, ignore_errors=True)
        start = self._latest_sound()
        if _step_of(start) >= self.run.settled_step():
            return start
        log.info("run %s: has been further; retrains beside it", self.run.run_id)
        self.folder = self.run.path / AGAIN
        checkpoint.drop_leftovers(self.folder)
        unfit = self.folder / checkpoint.folder_name(self.until)
        if unfit.is_dir() and not self.goal.gradients.is_met(unfit):
            checkpoint.delete(unfit)
        beside = self._latest_sound()
        if _step_of(beside) >= _step_of(start):
            return beside
        for name in (METRICS, TIMING):  # cut back to that step when they are opened
            write_atomically(self.folder / name, (self.run.path / name).read_bytes())
        return start

    def _latest_sound(self) -> Path | None:
        """Return the checkpoint to continue from: the trial's own only with its gradients."""
        found = checkpoint.latest_sound(self.folder, self.until)
        if _step_of(found) < self.until or found is None or self.goal.gradients.is_met(found):
            return found
        return checkpoint.latest_sound(self.folder, self.until - 1)

    def _train(
        self, learner: Learner, end: Callable[[str], None]
    ) -> tuple[LoopEnd, dict[str, float]]:
        """Train; returns how it ended, and what the trial got."""
        metrics = MetricLog(self.folder / METRICS, learner.step)
        timing = MetricLog(self.folder / TIMING, learner.step)
        monitors = Monitors(self.rules)
        lines = read_metrics(self.folder / METRICS, learner.step)
        for line in lines:
            monitors.see(line)
        got: dict[str, float] = {}
        with closing(metrics), closing(timing), Writer() as writer:
            saver = Saver(
                self.run,
                self.folder,
                self.lock,
                self.goal.training.keep_best,
                Values(self._metric, lines),
                writer,
                metrics.flush_to_disk,
            )

            def beat(step: int) -> None:
                self.progress["step"] = step
                writer.check()
                if self.lock.lost:
                    self.lock.confirm()

            interrupted = self.surroundings.interrupted
            calls = Callbacks(lambda: saver.save(learner), interrupted, beat, saver.is_best)
            # Entered after the files were cut back to this step: who follows them reads on from it.
            with self.surroundings.around(self.folder, learner.step):
                outcome = train(learner, self._loop_plan(), metrics, timing, calls, monitors)
                writer.wait()
                self.progress["step"] = learner.step
                if outcome is LoopEnd.INTERRUPTED:
                    end("interrupted")  # now: who follows may take longer than we are given
            metrics.flush_to_disk()
            self.stop = self.stop or monitors.stop
            if outcome in (LoopEnd.REACHED, LoopEnd.STOPPED):
                got = self._measure_and_save(learner, saver)
        return outcome, got

    def _loop_plan(self) -> LoopPlan:
        system = self.goal.system
        return LoopPlan(
            training=self.goal.training,
            until=self.until,
            device=self.surroundings.device,
            unit=system.unit,
            metric=system.metric,
            training_loss=system.training_loss,
            world_size=self.surroundings.processes.world_size,
        )

    def _measure_and_save(self, learner: Learner, saver: Saver) -> dict[str, float]:
        """Evaluate where the trial stops, and save if anybody wants the weights."""
        lines = read_metrics(self.folder / METRICS, learner.step)
        metrics = last_values(lines)
        # What a monitor stopped got is in the file, from which its record can be written again.
        if self.stop is None:
            metrics |= self._measure(learner, lines[-1:])
        keeps = self.surroundings.keep_weights or self.goal.weights
        if keeps or has_claims(self.run):
            saver.save(learner)
            saver.writer.wait()
        return metrics

    def _measure(self, learner: Learner, last: list[dict[str, Any]]) -> dict[str, float]:
        """Return what the last line of metrics does not say of where the trial stops."""
        if learner.step == self.goal.max_steps:
            return learner.conclude()
        evaluated = self.goal.system.metrics_logged(Logged.EVALUATION)
        if any(line["step"] == learner.step and line.keys() & set(evaluated) for line in last):
            return {}  # the loop has just evaluated
        return learner.evaluate()

    def _give_up(self, step: int, reason: str) -> Path:
        if self.run.furthest_record() >= self.until:
            raise StoreError(f"run {self.run.run_id}: could not be trained again: {reason}")
        return self.recorder.fail(step, reason)


def _step_of(folder: Path | None) -> int:
    return int(folder.name.rsplit("_", 1)[1]) if folder is not None else 0
