"""Get a trial its record: the whole of a training job.

trial -> data ensured -> configuration resolved -> run advanced in the store -> record linked
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from resweep.config.schema import EarlyStopping
from resweep.data import store as data_store
from resweep.errors import ConfigError, DataError, ResweepError
from resweep.gpus import gpu_log, lease_gpu
from resweep.paths import Layout
from resweep.store.identity import last_step, resolve, run_id
from resweep.store.lock import RunLock
from resweep.store.publish import Publisher
from resweep.store.retention import claim
from resweep.store.run import EMPTY, INFEASIBLE, Run
from resweep.tracking import follow
from resweep.training.gradients import Wish
from resweep.trial import Trial, link_record, write_own_record

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
        write_own_record(record, EMPTY, trial.empty)
        return False
    data = data_store.ensure(trial.config["data"], layout)
    try:
        config = resolve(trial.config, data)
    except (ConfigError, DataError) as error:
        log.warning("infeasible: %s", error)
        write_own_record(record, INFEASIBLE, str(error))
        return False
    run = Run(layout.run(run_id(config, data)))
    on_run(run.path)
    if keep != "none":  # before training, so that nobody prunes what we are about to use
        claim(run, trial.study, trial.phase, trial.trial)
    weights = weights or keep == "all"
    monitors = EarlyStopping.model_validate(config["early_stopping"])
    gradients = Wish.of(config["training"])
    until = last_step(config, trial.stop)
    served = run.find_record(until, weights, None, monitors, gradients)
    if served is None and run.is_served(until, weights, monitors, gradients):
        with RunLock(run.path, lock_timeout, interrupted=interrupted):
            stop = run.settled_stop(until, monitors)
            if stop is not None or run.tells_end(until):
                served = Publisher(run, config).replay(until, stop)
    if served is not None:
        log.info("run %s: in the store", run.run_id)
        link_record(record, served)
        return False

    work = f"{trial.study}/{trial.phase}/{trial.trial}"
    leased = lease_gpu(work, interrupted) if device in ("auto", "cuda") else nullcontext()
    with leased as gpu, gpu_log(gpu, work):
        if gpu is not None:
            log.info("has GPU %s", gpu)
        # torch: seconds that a link does not need, and it reads which GPUs there are
        from resweep.store.request import Request, advance
        from resweep.training.trainer import pick_device

        trained = False

        def around(folder: Path, step: int) -> AbstractContextManager[None]:
            nonlocal trained
            trained = True
            horizon = config["training"]["max_steps"]
            return follow(folder, step, run.run_id, trial, tracking, layout, horizon)

        request = Request(
            config=config,
            data=data,
            device=pick_device(device),
            stop=trial.stop,
            weights=weights,
            keep_weights=keep != "none",
            lock_timeout=lock_timeout,
            memory_limit_mb=memory_limit_mb,
            interrupted=interrupted,
            around=around,
        )
        try:
            made = advance(request, layout)
        except (ResweepError, OSError, MemoryError):
            raise
        except Exception:
            log.exception("training failed; once more from the last checkpoint")
            made = advance(request, layout)
        link_record(record, made)
    return trained
