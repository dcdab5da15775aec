"""The training loop, and the measurements beside it.

batch -> loss -> gradients -> step          (resweep.training.gradient_learner)
  every log_steps   a line of metrics.jsonl and timing.jsonl
  every eval_steps  validation loss, in the same line
  every line        the monitors, who may stop it     (resweep.training.monitors)
  now and then      a checkpoint, from which a killed run continues bit for bit
                                               (resweep.training.checkpoint_schedule says when)
"""

import functools
import logging
import math
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch

from resweep.config.schema import EarlyStopping
from resweep.training.checkpoint_schedule import CheckpointSchedule
from resweep.training.gradient_learner import Trainer
from resweep.training.metrics import MetricLog
from resweep.training.monitors import Monitors, Stop

SECONDS_BETWEEN_PROGRESS = 5.0

# Peak FLOP/s by what stands in the device's name, from vendors' data sheets: dense, which is half
# of what they print for sparse matrices; fp32 without tensor cores. Older GPUs have neither format
# and compute both as fp32. The first name that fits counts.
PEAK_FLOPS = {
    "H200": {"bf16": 989e12, "tf32": 494e12, "fp32": 67e12},
    "H100 NVL": {"bf16": 835e12, "tf32": 417e12, "fp32": 60e12},
    "H100 PCIe": {"bf16": 756e12, "tf32": 378e12, "fp32": 51e12},
    "H100": {"bf16": 989e12, "tf32": 494e12, "fp32": 67e12},
    "A100": {"bf16": 312e12, "tf32": 156e12, "fp32": 19.5e12},
    "L40S": {"bf16": 362e12, "tf32": 183e12, "fp32": 91.6e12},
    "4090": {"bf16": 165e12, "tf32": 82.6e12, "fp32": 82.6e12},
    "V100": {"bf16": 15.7e12, "tf32": 15.7e12, "fp32": 15.7e12},
    "T4": {"bf16": 8.1e12, "tf32": 8.1e12, "fp32": 8.1e12},
}

log = logging.getLogger(__name__)


class LoopEnd(Enum):
    """Why the loop returned."""

    REACHED = "reached"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Callbacks:
    """What the loop asks of its surroundings.

    Attributes:
        save: Save a checkpoint of the trainer as it is now; may write it after returning.
        interrupted: Whether to save and leave.
        beat: Told the step now and then, for the lease and for people.
        is_best: Told the step and its val/loss; whether to save it for being among the best.
    """

    save: Callable[[], None]
    interrupted: Callable[[], bool]
    beat: Callable[[int], None]
    is_best: Callable[[int, float], bool] = lambda step, loss: False


def train(
    trainer: Trainer,
    until: int,
    metrics: MetricLog,
    timing: MetricLog,
    callbacks: Callbacks,
    monitors: Monitors | None = None,
) -> LoopEnd:
    """Train up to step `until`, writing metrics and checkpoints on the way.

    Args:
        trainer: Where to start from; holds the result afterwards.
        until: Step to stop at, at most the horizon.
        metrics: Determined values, by step.
        timing: Speed and memory, by step.
        callbacks: For saving, stopping and being seen alive.
        monitors: Have seen the lines of metrics up to the trainer's step; see the ones after it.
    """
    monitors = monitors or Monitors(EarlyStopping())

    def write(values: Mapping[str, Any]) -> Stop | None:
        metrics.write(trainer.step, values)
        return monitors.see({"step": trainer.step, **values})

    if trainer.step == 0:
        write(trainer.evaluate("val"))
    if monitors.stop is not None:
        return LoopEnd.STOPPED
    clock = _Clock(trainer)
    checkpoints = CheckpointSchedule(trainer.training, until, monitors.on)
    leaving = False

    def save() -> None:
        checkpoints.saved()
        clock.paused(callbacks.save)

    while trainer.step < until:
        due = checkpoints.due(trainer.step + 1)
        complete = not checkpoints.wants_gradients or due or leaving
        complete = complete or checkpoints.may_follow(trainer.step + 1)
        trainer.train_step(checkpoints.wants_gradients and complete)
        step = trainer.step
        values: dict[str, Any] = {}
        if step % trainer.training["log_steps"] == 0 or step == trainer.max_steps:
            values |= trainer.interval_metrics()
            timing.write(step, clock.measure(trainer))
            if _diverged(values, "train/loss", step):
                return LoopEnd.DIVERGED
        if step % trainer.training["eval_steps"] == 0 or step == trainer.max_steps:
            values |= clock.paused(lambda: trainer.evaluate("val"))
            if _diverged(values, "val/loss", step):  # by the last update, which no train/loss saw
                return LoopEnd.DIVERGED
            due |= callbacks.is_best(step, values["val/loss"])
        if values:
            stop = write(values)
            clock.progress(trainer, until, values)
            if stop is not None:
                log.info("stopped at step %d: %s", step, stop.reason)
                return LoopEnd.STOPPED
        leaving = leaving or callbacks.interrupted()
        if leaving and complete:  # else after one more step, whose gradients are kept
            save()
            return LoopEnd.INTERRUPTED
        if due and step < until:
            save()
        callbacks.beat(step)
    return LoopEnd.REACHED


def _diverged(values: dict[str, Any], name: str, step: int) -> bool:
    if math.isfinite(values[name]):
        return False
    log.warning("diverged: %s is %s at step %d", name, values[name], step)
    return True


class _Clock:
    """Times training apart from evaluation and saving."""

    def __init__(self, trainer: Trainer):
        now = time.monotonic()
        self.last_progress = now
        self.interval_start, self.interval_step = now, trainer.step
        self.speed = 0.0
        self.device = trainer.device

    def paused(self, work: Callable[[], Any]) -> Any:
        """Do something that is not training."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # what is still under way is training
        start = time.monotonic()
        result = work()
        self.interval_start += time.monotonic() - start
        return result

    def measure(self, trainer: Trainer) -> dict[str, float]:
        """Return speed since the last call, peak memory, and the process's CPU seconds so far.

        Model FLOPs utilisation (PaLM, Chowdhery et al. 2022, appendix B): what the model needs,
        without what is computed twice to save memory, over the peak of all devices together.
        """
        now = time.monotonic()
        seconds = max(now - self.interval_start, 1e-9)
        steps = trainer.step - self.interval_step
        tokens = steps * trainer.sequences_per_step * trainer.context_length
        self.speed = steps / seconds
        self.interval_start, self.interval_step = now, trainer.step
        achieved = trainer.model.flops_per_token() * tokens / seconds
        peak = peak_flops(trainer.device, trainer.training["precision"])
        peak *= trainer.processes.world_size
        return {
            "tokens_per_second": round(tokens / seconds, 1),
            "mfu": round(achieved / peak, 4),
            "memory_mb": round(memory_mb(trainer.device), 1),
            "cpu_seconds": round(time.process_time(), 3),
        }

    def progress(self, trainer: Trainer, until: int, values: dict[str, Any]) -> None:
        """Tell people where the training is, every few seconds and at the end."""
        now = time.monotonic()
        if now - self.last_progress < SECONDS_BETWEEN_PROGRESS and trainer.step < until:
            return
        self.last_progress = now
        shown = ", ".join(
            f"{name} {values[name]:.4g}" for name in ("train/loss", "val/loss") if name in values
        )
        left = (until - trainer.step) / self.speed if self.speed else 0.0
        log.info("step %d of %d: %s, %s left", trainer.step, until, shown, duration(left))


def duration(seconds: float) -> str:
    """Return a length of time for people: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_mb(device: torch.device) -> float:
    """Peak memory in MB: of the GPU, or resident memory of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def data_sheet(name: str) -> dict[str, float]:
    """FLOP/s of a GPU by precision; an unknown one counts as an A100, so that runs compare."""
    return next((p for key, p in PEAK_FLOPS.items() if key in name), PEAK_FLOPS["A100"])


@functools.cache
def peak_flops(device: torch.device, precision: str) -> float:
    """FLOP/s that the device could do: from data sheets, or a CPU core's measured matmul rate.

    That of a CPU is float32's, whatever the precision.
    """
    if device.type == "cuda":
        return data_sheet(torch.cuda.get_device_name(device))[precision]
    size, best = 256, math.inf
    a = torch.ones(size, size)
    for _ in range(8):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
