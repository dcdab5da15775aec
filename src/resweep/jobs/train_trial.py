"""A whole training job: from a trial to its record.

trial -> the store's answer -> the record linked
                            -> a GPU leased -> run advanced in the store -> record linked

If several processes train the run, this one starts them, and rank 0 of them runs the same steps.
"""

import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from resweep.config.metric import Logged
from resweep.config.training_section import Training
from resweep.errors import (
    ConfigError,
    DamagedFile,
    Interrupted,
    Problem,
    ResweepError,
    StoreError,
)
from resweep.files import handing_over, may_write
from resweep.jobs.options import JobOptions
from resweep.machine import launch
from resweep.machine.gpus import gpu_log, lease_gpu
from resweep.paths import Layout, run_of_link
from resweep.store import checkpoints as checkpoint
from resweep.store.answer import Infeasible, Served, ToTrain, prepare_and_answer
from resweep.store.heal import heal, is_sound
from resweep.store.lock import RunLock
from resweep.store.recorder import Recorder
from resweep.store.retention import claim
from resweep.systems.system import System
from resweep.training.micro_batch_limit import MicroBatchLimit
from resweep.trials.record import (
    Record,
    Status,
    link_record,
    read_record,
    write_own_record,
)
from resweep.trials.trial import Trial
from resweep.wandb.follower import End, Follower

if TYPE_CHECKING:
    from resweep.store.training_attempt import SayEnd
    from resweep.training.processes import Processes

T = TypeVar("T")

log = logging.getLogger(__name__)


def _never() -> bool:
    return False


def train_trial(
    trial: Trial,
    record: Path,
    options: JobOptions,
    *,
    processes: "Processes | None" = None,
    interrupted: Callable[[], bool] = _never,
    on_run: Callable[[Path], None] = lambda folder: None,
) -> bool:
    """Advance the trial's run as far as it asks, and link its record.

    Args:
        trial: What to train.
        record: Where the trial's record goes.
        options: Of the job.
        processes: Those that train together, if this is rank 0 of them.
        interrupted: Whether to save, or to stop waiting, and return.
        on_run: Called with the run's folder once it is known, unless we may only read it.

    Returns:
        Whether anything was trained here; otherwise the store answered.

    Raises:
        Interrupted: Asked to stop, after saving.
        ResweepError: A fault of the machine or of the data; the same call may succeed later.
        Exception: A training that failed twice, each time differently.
    """
    with Follower(options.tracking, options.layout.study(trial.study)) as follower:
        job = ask_store(trial, record, options, follower)
        if job is None:
            log.info("%s: in the store, %s", record, read_record(record).end_text)
            return False
        return job.run(processes=processes, interrupted=interrupted, on_run=on_run)


def ask_store(
    trial: Trial, record: Path, options: JobOptions, follower: Follower
) -> "TrainingJob | None":
    """Link a trial's record if nothing needs to be trained; else return what does.

    It imports no torch, takes no lock and waits for nobody, but prepares data that is missing.

    Args:
        trial: What to train.
        record: Where the trial's record goes.
        options: Of the job.
        follower: Sends metrics to W&B.

    Raises:
        ResweepError: A fault of the machine or of the data; the same call may succeed later.
    """
    if trial.empty is not None:
        write_own_record(record, Status.EMPTY, trial.empty)
        return None
    _require_store(record, options.layout)
    found = prepare_and_answer(trial, options.layout, weights=options.wants_weights)
    if isinstance(found, Infeasible):
        _infeasible(trial, record, found.reason)
        return None
    if options.keep != "none":  # before training, so that its weights are not pruned
        claim(found.run, trial.study, trial.phase, trial.trial)
    job = TrainingJob(trial, record, options, found, follower)
    served = found.record if isinstance(found, Served) else None
    if served is not None and is_sound(found.run, served):
        job.link(served)
        return None
    return job


def _require_store(record: Path, layout: Layout) -> None:
    """Refuse to begin another store while the one that a record leads to is away."""
    if not record.is_symlink() or record.exists() or any(layout.runs.glob("*/")):
        return
    run_id = run_of_link(record)
    if run_id is not None and not any(layout.trash.glob(f"*/{run_id}")):
        raise StoreError(
            f"{layout.runs}: is empty or missing, but {record} leads to run {run_id} in it; mount "
            "the store; if it is really gone, delete the record to train it again"
        )


def _infeasible(trial: Trial, record: Path, reason: str) -> bool:
    log.warning("%s: infeasible: %s", trial.line, reason)
    write_own_record(record, Status.INFEASIBLE, reason)
    return False


class TrainingJob:
    """What is to be trained for one trial; `ask_store` makes it.

    Args:
        trial: What to train.
        record: Where its record goes.
        options: Of the job.
        found: The run, and its goal.
        follower: Sends its metrics to W&B.

    Attributes:
        run_id: The run's name.
        memory_mb: How much main memory the whole job uses, if it has other trainings; None
            otherwise.
        startup: Returns the CPU seconds of the job before it trains, for one of its trainings.
    """

    def __init__(
        self,
        trial: Trial,
        record: Path,
        options: JobOptions,
        found: Served | ToTrain,
        follower: Follower,
    ):
        self.trial = trial
        self.record = record
        self.options = options
        self.found = found
        self.follower = follower
        self.goal = found.goal
        self.run_id = found.run.run_id
        self.memory_mb: Callable[[], float] | None = None
        self.startup: Callable[[], float | None] = time.process_time
        self.interrupted = _never
        self.trained = False

    def run(
        self,
        *,
        processes: "Processes | None" = None,
        interrupted: Callable[[], bool] = _never,
        on_run: Callable[[Path], None] = lambda folder: None,
    ) -> bool:
        """Train, and link the record; arguments, result and errors of `train_trial`."""
        self.interrupted = interrupted
        run, training = self.found.run, self.goal.training
        if may_write(run.path) or not run.path.exists():
            on_run(run.path)
        starts_processes = launch.is_wanted(training) and processes is None
        # Before starting processes, wait here for another process that trains the run: without a
        # GPU.
        if starts_processes or isinstance(self.found, Served):
            served = self._answer_under_lock()
            if served is not None:
                return self._end(served)
        work = f"{self.trial.study}/{self.trial.phase}/{self.trial.trial}"
        gpus_needed = launch.processes_of_a_node(training)
        automatic = self.options.device in ("auto", "cuda")
        with (
            lease_gpu(work, interrupted, gpus_needed) if automatic else nullcontext() as gpu,
            gpu_log(gpu, work),
        ):
            if gpu is not None:
                log.info("using GPU %s", gpu)
            return self._start_processes() if starts_processes else self._train_here(processes)

    def link(self, made: Path) -> None:
        """Link a record of the store, and name the weights if they were asked for."""
        link_record(self.record, made)
        if self.follower.enabled and not self.trained:
            record = read_record(made)
            self.follower.send_rest(
                self.found.run.folder,
                record.step,
                _end_of(record, self.goal.system),
                trial=self.trial,
                rules=self.goal.rules,
            )
        if self.options.weights:
            folder = self.found.run.path / checkpoint.folder_name(read_record(made).step)
            if folder.is_dir():
                log.info("weights: %s", folder)

    def _answer_under_lock(self) -> Path | None:
        """Return the record of the goal, written from the run's metrics if these suffice."""
        run, goal = self.found.run, self.goal
        with RunLock(run.path, self.options.lock_timeout, interrupted=self.interrupted):
            heal(run, goal)
            try:
                served = run.find_record(goal)
                if served is None and run.is_served(goal):
                    served = Recorder(run, goal).replay(goal.until, run.settled_stop(goal))
            except DamagedFile:
                return None  # the training restores what is damaged
        return served

    def _train_here(self, processes: "Processes | None") -> bool:
        """Train in this process; returns whether anything was trained."""
        # importing torch takes seconds, which a link does not need, and reads the visible GPUs
        from resweep.store.advance import advance
        from resweep.store.training_attempt import Surroundings
        from resweep.training.device import pick_device
        from resweep.training.processes import ALONE

        options, goal = self.options, self.goal
        surroundings = Surroundings(
            device=pick_device(options.device, processes.local_rank if processes else None),
            processes=processes or ALONE,
            keep_weights=options.keep != "none",
            lock_timeout=options.lock_timeout,
            memory_limit_mb=options.memory_limit_mb,
            memory_mb=self.memory_mb,
            interrupted=self.interrupted,
            startup=self.startup(),
            around=self._follow,
        )

        def work() -> Path:
            return advance(goal, surroundings, options.layout)

        try:
            goal.system.check_buildable(goal.config)
            # Several processes cannot start again after one of them failed.
            made = work() if processes else retry_once(work)
        except ConfigError as error:  # some errors are only found by building the model
            return _infeasible(self.trial, self.record, str(error))
        return self._end(made)

    def _end(self, made: Path) -> bool:
        """Link the record; returns whether anything was trained."""
        self.link(made)
        origin = "" if self.trained else "in the store, "
        log.info("%s: %s%s", self.record, origin, read_record(self.record).end_text)
        return self.trained

    def _follow(self, folder: Path, step: int) -> "AbstractContextManager[SayEnd]":
        self.trained = True
        return self.follower.follow(
            folder, step, run=self.found.run.folder, trial=self.trial, rules=self.goal.rules
        )

    def _start_processes(self) -> bool:
        """Have processes train it, with smaller micro-batches while they run out of memory."""
        training = self.goal.training
        if self.options.device.startswith("cuda:"):
            hint = f"is one GPU for {training.processes} processes; use auto or cuda"
            raise ConfigError(Problem("command line", "--device", self.options.device, hint))
        limit = MicroBatchLimit(self.found.run.path, None)

        def start() -> bool:
            while True:
                known = limit.read()
                try:
                    return self._launch(training)
                except launch.Crashed as error:
                    if self.interrupted():
                        text = f"run {self.run_id}: {error} while stopping"
                        raise Interrupted(text) from None
                    if limit.read() == known:
                        raise
                log.info("out of memory: continuing with micro-batch size %s", limit.read())

        return retry_once(start)

    def _launch(self, training: Training) -> bool:
        """Start the processes once; the trial is in a file that other nodes see too."""
        with handing_over(json.dumps(self.trial.content()), beside=self.record) as file:
            words = ["--content", f"@{file}", "--record", f"{self.record}", *self.options.words()]
            return launch.launch(training, words, self.interrupted)


def _end_of(record: Record, system: System) -> End | None:
    """Return how a run ended, by a trial's record; None if the run can continue from there."""
    if record.status not in (Status.FINISHED, Status.DIVERGED):
        return None
    names = system.metrics_logged(Logged.END)
    at_end = {name: value for name, value in record.metrics.items() if name in names}
    return End(status=record.status, metrics=at_end)


def retry_once(work: Callable[[], T]) -> T:
    """Call `work`, and again if it fails by itself: the same error twice is a result."""
    try:
        return work()
    except launch.Crashed as error:
        log.error("%s; retrying from the last checkpoint", error)
    except (ResweepError, OSError, MemoryError):
        raise
    except Exception:
        log.exception("training failed; retrying from the last checkpoint")
    return work()
