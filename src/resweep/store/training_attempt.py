"""One attempt to train a run: build, train, save, and record how it ended; needs the run's lock."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch

from resweep.config.metric import Logged, Metric
from resweep.data.opened import Opened
from resweep.errors import GpuFull, Interrupted, LeaseLost, ProcessLost, ResweepError, StoreError
from resweep.paths import METRICS, TIMING
from resweep.store.attempts import FEWER_ROWS, OUT_OF_MEMORY, Attempts, is_nearly_full
from resweep.store.goal import Goal
from resweep.store.lock import RunLock
from resweep.store.provenance import code_digest
from resweep.store.recorder import Recorder, last_values
from resweep.store.retention import Values, drop_before, drop_unclaimed, has_claims
from resweep.store.run import Run
from resweep.store.saver import Saver
from resweep.store.start import Start
from resweep.training.device import device_memory, device_name, is_shared
from resweep.training.learner import Learner
from resweep.training.loop import Callbacks, LoopEnd, LoopPlan, train
from resweep.training.metrics import MetricLog, finite, parse, read_metrics
from resweep.training.micro_batch_limit import MicroBatchLimit
from resweep.training.monitors import Monitors, Stop, StopRules
from resweep.training.place import Place
from resweep.training.processes import ALONE, Processes
from resweep.training.writer import Writer
from resweep.trials.record import Status

NO_MEMORY = "DefaultCPUAllocator: can't allocate memory"  # in a RuntimeError of torch

# Gets the status of a run that ended, and the metrics that are only logged at the end.
SayEnd = Callable[[Status, Mapping[str, float]], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run is advanced with; nothing of it changes the run's numbers.

    Attributes:
        device: Where to train.
        processes: Those that train together; this is rank 0 of them.
        keep_weights: Whether to save weights at the end if it has to be trained.
        lock_timeout: Seconds to wait for another process that advances the same run.
        memory_limit_mb: The scheduler's limit, to distinguish out of memory from a kill.
        memory_mb: How much of it the whole job uses; None: this process and its equals.
        interrupted: Whether to save and stop.
        startup: CPU seconds that its job took so far; None if another training counts them.
        around: Entered while the run is trained, with its folder and the step it continues from. It
            may return a function that is called with the status, and the metrics that are only
            logged at the end, if the run finishes or diverges: the metric files do not show that.
    """

    device: torch.device
    processes: Processes = ALONE
    keep_weights: bool = True
    lock_timeout: float = 3600.0
    memory_limit_mb: int | None = None
    memory_mb: Callable[[], float] | None = None
    interrupted: Callable[[], bool] = field(default=lambda: False)
    startup: float | None = None
    around: Callable[[Path, int], AbstractContextManager[SayEnd | None]] = field(
        default=lambda folder, step: nullcontext()
    )


@dataclass(frozen=True, kw_only=True)
class Ends:
    """Where an attempt ends, as far as it is known before.

    Attributes:
        until: The step to train to.
        rules: The monitors that may stop it before.
        stop: The monitor that ends the trial, if the run's metrics say so already.
    """

    until: int
    rules: StopRules
    stop: Stop | None


class TrainingAttempt:
    """Trains a run from a start to an end.

    Args:
        goal: What is asked for.
        surroundings: What to train with.
        run: The run to advance.
        lock: Its lock, which is held.
        progress: Contains the step, for the lease.
        start: Where it starts.
        ends: Where it ends.
        data: Its data, open.
    """

    def __init__(
        self,
        goal: Goal,
        surroundings: Surroundings,
        run: Run,
        lock: RunLock,
        progress: dict[str, int],
        start: Start,
        ends: Ends,
        data: Opened,
    ):
        self.goal = goal
        self.surroundings = surroundings
        self.run = run
        self.lock = lock
        self.progress = progress
        self.data = data
        self.start = start
        self.folder = start.folder
        self.until, self.rules, self.stop = ends.until, ends.rules, ends.stop
        self.attempts = Attempts(run)
        self.device_memory = device_memory(surroundings.device)
        self.limit = MicroBatchLimit(run.path, self.device_memory)
        self.most_rows: int | None = None  # of a forward pass, if a limit is known
        self.recorder = Recorder(run, goal, device_name(surroundings.device))

    def train(self) -> Path:
        """Train, and record how the attempt ended; returns the record."""
        run, device = self.run, self.surroundings.device
        processes = self.surroundings.processes
        self.attempts.begin(
            self.lock.generation,
            self.start.step,
            device_name(device),
            self.surroundings.startup,
        )
        started = time.monotonic()

        def end(how: str) -> None:
            self.lock.confirm()  # otherwise the open attempt belongs to another process
            self.attempts.end(
                how,
                to_step=self.progress["step"],
                seconds=time.monotonic() - started,
                gpus=processes.world_size if device.type == "cuda" else 0,
                code=code_digest(self.goal.system.name),
                libraries=self.goal.system.libraries,
                processes=processes.world_size,
                engine=self.goal.training.distributed if processes.together else "none",
            )

        learner: Learner | None = None
        try:
            learner = self._build()
            self.data.check_names()
            self.attempts.built(
                learner.size, code_digest(self.goal.system.name), self.goal.system.libraries
            )
            if self.start.checkpoint is None:
                learner.begin()
            else:
                learner.load(self.start.checkpoint)
                log.info("run %s: continues from step %d", run.run_id, learner.step)
            outcome, metrics = self._run_loop(learner, end)
            self.data.check()
            if outcome is not LoopEnd.INTERRUPTED:
                end("completed")
        except LeaseLost:
            raise
        except torch.OutOfMemoryError as error:
            if is_shared(device):
                end("machine: other processes hold the GPU's memory")
                raise GpuFull(f"other processes hold the GPU's memory: {error}") from None
            if learner is not None and processes.together:
                fewer = self.limit.read() != self.most_rows
                end(FEWER_ROWS if fewer else "machine: out of GPU memory")
                raise
            end("out of GPU memory")
            reached = self.progress["step"]
            return self.recorder.lack_memory(reached, str(error), self.device_memory)
        except (ResweepError, OSError, MemoryError) as error:
            # When memory is short, the kernel may kill just one of several processes.
            lost = isinstance(error, ProcessLost) and is_nearly_full(self.lock.details())
            lacked = lost or isinstance(error, MemoryError)
            end(OUT_OF_MEMORY if lacked else f"machine: {type(error).__name__}: {error}")
            raise
        except Exception as error:
            if NO_MEMORY in str(error):
                end(OUT_OF_MEMORY)
                raise MemoryError(f"out of memory: {error}") from None
            damage = self.data.damage()
            if damage is not None:
                end(f"machine: {type(damage).__name__}: {damage}")
                raise damage from error
            text = f"{type(error).__name__}: {error}"
            end(f"error: {text}")
            if self.attempts.failed_alike(text):
                return give_up(run, self.recorder, self.progress["step"], self.until, text)
            raise
        return self._record(learner, outcome, metrics)

    def _record(self, learner: Learner, outcome: LoopEnd, metrics: dict[str, float]) -> Path:
        """Record the result of a training, and delete weights that are not needed."""
        run = self.run
        if outcome is LoopEnd.INTERRUPTED:
            raise Interrupted(
                f"saved at step {learner.step} of {self.until} and stopped; the same command "
                "continues"
            )
        if outcome is LoopEnd.DIVERGED:
            return self.recorder.diverge(self.folder, learner.step, self._loop_plan().watched)
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
        """The metric that decides which checkpoints are kept."""
        metric = self.goal.system.find_metric(self.goal.system.metric)
        assert metric is not None, "a system declares the metric that it compares by"
        return metric

    def _build(self) -> Learner:
        """Return a new learner, and have one built in all other processes."""
        goal, surroundings = self.goal, self.surroundings
        self.most_rows = self.limit.read()
        if self.most_rows == 0:
            raise torch.OutOfMemoryError("not even one example fits in each GPU's memory")
        processes = surroundings.processes
        processes.broadcast("build", goal.config, goal.data, self.most_rows, self.limit)
        place = Place(
            device=surroundings.device,
            processes=processes,
            most_rows=self.most_rows,
            limit=self.limit,
        )
        return goal.system.learner(goal.config, goal.data, place)

    def _run_loop(
        self, learner: Learner, end: Callable[[str], None]
    ) -> tuple[LoopEnd, dict[str, float]]:
        """Train; returns how it ended, and the trial's metrics."""
        confirm = self.lock.confirm
        metrics = MetricLog(self.folder / METRICS, self.start.metrics, confirm)
        timing = MetricLog(self.folder / TIMING, self._timing_before(learner.step), confirm)
        monitors = Monitors(self.rules)
        lines = read_metrics(self.folder / METRICS)
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
                metrics,
            )

            def beat(step: int) -> None:
                self.progress["step"] = step
                writer.check()
                if self.lock.lost:
                    self.lock.confirm()

            def save() -> None:
                self.data.check()
                saver.save(learner)

            interrupted = self.surroundings.interrupted
            calls = Callbacks(save, interrupted, beat, saver.is_best)
            # Entered after the files were truncated to this step, where followers start to read.
            with self.surroundings.around(self.folder, learner.step) as say_end:
                outcome = train(learner, self._loop_plan(), metrics, timing, calls, monitors)
                writer.wait()
                self.progress["step"] = learner.step
                if outcome is LoopEnd.INTERRUPTED:
                    end("interrupted")  # before anything else can fail
                metrics.content()  # in place, whoever held the run before
                metrics.flush_to_disk()
                self.stop = self.stop or monitors.stop
                measured: dict[str, float] = {}
                # Where a monitor stopped it, the file has all metrics: its record is written from
                # it.
                if outcome is LoopEnd.REACHED and self.stop is None:
                    measured = finite(self._measure(learner))
                    self.data.check()
                if say_end is not None and outcome is LoopEnd.DIVERGED:
                    say_end(Status.DIVERGED, {})
                elif say_end is not None and self._is_finished(learner, outcome):
                    say_end(Status.FINISHED, measured)
            if outcome in (LoopEnd.REACHED, LoopEnd.STOPPED):
                got = last_values(read_metrics(self.folder / METRICS)) | measured
                self._save_if_wanted(learner, saver)
        return outcome, got

    def _is_finished(self, learner: Learner, outcome: LoopEnd) -> bool:
        """Whether the run reached its horizon, and no monitor stopped it there."""
        reached = outcome is LoopEnd.REACHED and self.stop is None
        return reached and learner.step == self.goal.max_steps

    def _timing_before(self, step: int) -> bytes:
        """Return the lines of timing.jsonl up to a step, as far as they are sound."""
        for folder in (self.folder, self.run.path):
            file = folder / TIMING
            if file.is_file():
                return parse(file.read_bytes()).content_up_to(step)
        return b""

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

    def _save_if_wanted(self, learner: Learner, saver: Saver) -> None:
        """Save where the trial stops, if the weights are wanted."""
        keeps = self.surroundings.keep_weights or self.goal.weights
        if keeps or has_claims(self.run):
            saver.save(learner)
            saver.writer.wait()

    def _measure(self, learner: Learner) -> dict[str, float]:
        """Return the metrics of the last step that the last line of metrics does not have."""
        if learner.step == self.goal.max_steps:
            return learner.conclude()
        last = read_metrics(self.folder / METRICS)[-1:]
        evaluated = self.goal.system.metrics_logged(Logged.EVALUATION)
        if any(line["step"] == learner.step and line.keys() & set(evaluated) for line in last):
            return {}  # the loop has just evaluated
        return learner.evaluate()


def give_up(run: Run, recorder: Recorder, step: int, until: int, reason: str) -> Path:
    """Record that a run failed.

    Raises:
        StoreError: The run has been as far before: its records stand.
    """
    if run.furthest_record() >= until:
        raise StoreError(f"run {run.run_id}: retraining failed: {reason}")
    return recorder.fail(step, reason)
