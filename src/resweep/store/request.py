"""The store's one operation: advance a run to a step, and have what is wanted of it.

    what the store has        is answered by its record, without a lock
    what it has in part       is continued from the last sound checkpoint
    what was pruned           is retrained beside the run, never over it
    what cannot be had        is a record too: diverged, infeasible, failed

Caching, resuming after a kill, retries and sharing between studies are all this.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from resweep.config.schema import EarlyStopping
from resweep.data.store import Prepared
from resweep.paths import Layout
from resweep.store.advance import Advance
from resweep.store.identity import last_step, run_id
from resweep.store.lock import RunLock
from resweep.store.run import Run
from resweep.training.device import device_memory
from resweep.training.gradients import GradientRequest
from resweep.training.loop import memory_mb
from resweep.training.processes import ALONE, Processes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """Advance a run.

    Attributes:
        config: The resolved configuration.
        data: Its prepared data.
        device: Where to train.
        processes: Those that train together; this is rank 0 of them.
        stop: Step that the trial asks the run to reach; None: its horizon.
        weights: Whether the weights at that step are wanted, even if they were pruned.
        keep_weights: Whether weights are saved at the end when it has to be trained.
        lock_timeout: Seconds to wait for another process that advances the same run.
        memory_limit_mb: What the scheduler allows, to tell an out-of-memory from a kill.
        interrupted: Whether to save and leave.
        around: Entered while the run is trained, with its folder and the step it continues from.
    """

    config: dict[str, Any]
    data: Prepared
    device: torch.device
    processes: Processes = ALONE
    stop: int | None = None
    weights: bool = False
    keep_weights: bool = True
    lock_timeout: float = 3600.0
    memory_limit_mb: int | None = None
    interrupted: Callable[[], bool] = field(default=lambda: False)
    around: Callable[[Path, int], AbstractContextManager[Any]] = field(
        default=lambda folder, step: nullcontext()
    )

    @property
    def max_steps(self) -> int:
        """The run's horizon."""
        return int(self.config["training"]["max_steps"])

    @property
    def until(self) -> int:
        """The step asked for."""
        return last_step(self.config, self.stop)

    @property
    def device_memory(self) -> int | None:
        """Bytes that the device has."""
        return device_memory(self.device)

    @property
    def early_stopping(self) -> EarlyStopping:
        """The monitors that may stop the trial before."""
        return EarlyStopping.model_validate(self.config["early_stopping"])

    @property
    def gradients(self) -> GradientRequest:
        """Those that the checkpoint of that step should have."""
        return GradientRequest.of(self.config["training"])

    def find_record(self, run: Run) -> Path | None:
        """Return the record of its run that answers it, or None."""
        return run.find_record(
            self.until, self.weights, self.device_memory, self.early_stopping, self.gradients
        )


def advance(request: Request, layout: Layout) -> Path:
    """Advance a run as asked.

    Returns:
        The immutable record in the store.

    Raises:
        Interrupted: Told to leave; everything up to now is saved.
        LockTimeout: Another process holds the run for too long.
        LeaseLost: Another process took the run over.
        Exception: Whatever the training raised, the first time; the second time at the same step
            is a record with status failed.
    """
    run = Run(layout.run(run_id(request.config, request.data)))
    served = request.find_record(run)
    if served is not None:
        log.info("run %s: in the store (%s)", run.run_id, served.name)
        return served
    progress = {"step": 0}

    def details() -> dict[str, Any]:
        # The others of this machine count against the same limit, and need about as much.
        here = request.processes.local_world_size
        main_memory = round(memory_mb(torch.device("cpu")) * here)
        return {**progress, "memory_mb": main_memory, "memory_limit_mb": request.memory_limit_mb}

    with RunLock(run.path, request.lock_timeout, details, interrupted=request.interrupted) as lock:
        served = request.find_record(run)
        if served is not None:
            log.info("run %s: in the store by now (%s)", run.run_id, served.name)
            return served
        return Advance(request, run, lock, progress).go()
