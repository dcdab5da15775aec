"""Get a trial its record: the whole of a training job.

trial -> data ensured -> configuration resolved -> run advanced in the store -> record linked

Where several processes train the run, this one starts them, and rank 0 of them does the same again.
"""

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from resweep.config.schema import EarlyStopping
from resweep.data import store as data_store
from resweep.errors import ConfigError, DataError, Interrupted, Problem, ResweepError
from resweep.machine import launch
from resweep.machine.gpus import gpu_log, lease_gpu
from resweep.paths import Layout
from resweep.store.identity import last_step, resolve, run_id
from resweep.store.lock import RunLock
from resweep.store.parent import fetch_parent
from resweep.store.recorder import Recorder
from resweep.store.retention import claim
from resweep.store.run import Run
from resweep.training.gradients import GradientRequest
from resweep.training.micro_batch_limit import MicroBatchLimit
from resweep.trials.record import Status, link_record, write_own_record
from resweep.trials.trial import Trial
from resweep.wandb.follow import follow

if TYPE_CHECKING:
    from resweep.training.processes import Processes

T = TypeVar("T")

log = logging.getLogger(__name__)


def train_trial(
    trial: Trial,
    record: Path,
    layout: Layout,
    *,
    device: str = "auto",
    keep: str = "best",
    weights: bool = False,
    tracking: Mapping[str, Any],
    lock_timeout: float,
    memory_limit_mb: int | None = None,
    log_file: Path | None = None,
    processes: "Processes | None" = None,
    interrupted: Callable[[], bool] = lambda: False,
    on_run: Callable[[Path], None] = lambda folder: None,
) -> bool:
    """Advance the trial's run as far as it asks, and link its record.

    Args:
        trial: What to train.
        record: Where the trial's record goes.
        layout: Of the results folder.
        device: auto, cpu, cuda or cuda:N; the first and the third lease a GPU of this machine.
        keep: Whose weights stay: best (decided when the phase is ranked), all or none.
        weights: Whether the weights are wanted even if they were pruned.
        tracking: Settings of W&B: wandb, project, entity.
        lock_timeout: Seconds to wait for another process that advances the run.
        memory_limit_mb: What the scheduler allows.
        log_file: Where other processes of the training log as well.
        processes: Those that train together, if this is rank 0 of them.
        interrupted: Whether to save, or to stop waiting, and leave.
        on_run: Told the run's folder once it is known.

    Returns:
        Whether anything was trained here, and sent to W&B; else the store answered.

    Raises:
        Interrupted: Told to leave, after saving.
        ResweepError: A fault of the machine or of the data; the same call may go through later.
        Exception: A training that failed twice, each time in another way.
    """
    if trial.empty:
        write_own_record(record, Status.EMPTY, trial.empty)
        return False
    data = data_store.ensure(trial.config["data"], layout)
    fetch_parent(trial.config, layout)
    try:
        config = resolve(trial.config, data, layout)
    except (ConfigError, DataError) as error:
        log.warning("infeasible: %s", error)
        write_own_record(record, Status.INFEASIBLE, str(error))
        return False
    run = Run(layout.run(run_id(config, data)))
    on_run(run.path)
    if keep != "none":  # before training, so that nobody prunes what we are about to use
        claim(run, trial.study, trial.phase, trial.trial)
    weights = weights or keep == "all"
    monitors = EarlyStopping.model_validate(config["early_stopping"])
    gradients = GradientRequest.of(config["training"])
    until = last_step(config, trial.stop)
    training = config["training"]
    starts_processes = launch.is_wanted(training) and processes is None
    wish = (weights, monitors, gradients)
    served = run.find_record(until, weights, None, monitors, gradients)
    # Who would start processes waits here for whoever trains the run now: no GPU waits along.
    if served is None and (starts_processes or run.is_served(until, *wish)):
        with RunLock(run.path, lock_timeout, interrupted=interrupted):
            served = run.find_record(until, weights, None, monitors, gradients)
            if served is None and run.is_served(until, *wish):  # its metrics tell
                stop = run.settled_stop(until, monitors)
                served = Recorder(run, config).replay(until, stop)
    if served is not None:
        log.info("run %s: in the store", run.run_id)
        link_record(record, served)
        return False

    work = f"{trial.study}/{trial.phase}/{trial.trial}"
    here = launch.processes_of_a_node(training)
    automatic = device in ("auto", "cuda")
    with (
        lease_gpu(work, interrupted, here) if automatic else nullcontext() as gpu,
        gpu_log(gpu, work),
    ):
        if gpu is not None:
            log.info("has GPU %s", gpu)
        if starts_processes:
            if device.startswith("cuda:"):
                mend = f"names one GPU for {training['processes']} processes; give auto or cuda"
                raise ConfigError(Problem("command line", "--device", device, mend))
            words = ["--results", f"{layout.root}", "--device", device, "--keep", keep]
            words += ["--tracking", json.dumps(dict(tracking))]
            words += ["--lock-timeout", f"{lock_timeout}"]
            words += ["--weights"] if weights else []
            words += ["--memory-mb", f"{memory_limit_mb}"] if memory_limit_mb else []
            words += ["--log", f"{log_file}"] if log_file else []
            return _train_together(trial, record, run, training, words, interrupted)

        # torch: seconds that a link does not need, and it reads which GPUs there are
        from resweep.store.request import Request, advance
        from resweep.systems.language.build import check_model
        from resweep.training.device import pick_device
        from resweep.training.processes import ALONE

        trained = False

        def around(folder: Path, step: int) -> AbstractContextManager[None]:
            nonlocal trained
            trained = True
            horizon = training["max_steps"]
            return follow(folder, step, run.run_id, trial, tracking, layout, horizon)

        request = Request(
            config=config,
            data=data,
            device=pick_device(device, processes.local_rank if processes else None),
            processes=processes or ALONE,
            stop=trial.stop,
            weights=weights,
            keep_weights=keep != "none",
            lock_timeout=lock_timeout,
            memory_limit_mb=memory_limit_mb,
            interrupted=interrupted,
            around=around,
        )
        try:
            check_model(config["model"], config["run"]["checkpoint"] is not None)
            # Processes that one of them left in the middle cannot begin anew.
            made = (
                advance(request, layout)
                if processes
                else retry_once(lambda: advance(request, layout))
            )
        except ConfigError as error:  # some things only building the model tells
            log.warning("infeasible: %s", error)
            write_own_record(record, Status.INFEASIBLE, str(error))
            return False
        link_record(record, made)
    return trained


def _train_together(
    trial: Trial,
    record: Path,
    run: Run,
    training: Mapping[str, Any],
    words: list[str],
    interrupted: Callable[[], bool],
) -> bool:
    """Have processes train a trial, again with smaller micro-batches while memory is short.

    Args:
        trial: What to train.
        record: Where its record goes.
        run: The run that it advances.
        training: The `training` section of its configuration.
        words: Further arguments of train.py.
        interrupted: Whether to save and leave.

    Returns:
        Whether anything was trained.
    """
    limit = MicroBatchLimit(run.path, None)

    # Not in a file: other nodes have a /tmp of their own.
    arguments = ["--content", json.dumps(trial.content()), "--record", f"{record}", *words]

    def start() -> bool:
        while True:
            known = limit.read()
            try:
                return launch.launch(training, arguments, interrupted)
            except launch.Crashed as error:
                if interrupted():
                    raise Interrupted(f"run {run.run_id}: {error} when told to leave") from None
                if limit.read() == known:
                    raise
            log.info("out of memory: once more, with %s sequences a forward", limit.read())

    return retry_once(start)


def retry_once(work: Callable[[], T]) -> T:
    """Do it, and once more if it fails by itself: what fails twice alike is a result."""
    try:
        return work()
    except launch.Crashed as error:
        log.error("%s; once more from the last checkpoint", error)
    except (ResweepError, OSError, MemoryError):
        raise
    except Exception:
        log.exception("training failed; once more from the last checkpoint")
    return work()
