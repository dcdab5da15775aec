"""Speed of a training: timing.jsonl, and progress messages."""

import functools
import logging
import math
import resource
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch

from resweep.training.learner import Learner

SECONDS_BETWEEN_PROGRESS = 5.0

# Peak FLOP/s by part of the device name, from vendors' data sheets: dense, which is half of the
# advertised sparse figures; fp32 without tensor cores. Older GPUs support neither bf16 nor tf32 and
# compute in fp32. The first match counts.
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


class Clock:
    """Measures training time, excluding evaluation and saving.

    Args:
        learner: The learner.
        unit: The system's unit.
        device: Where it computes.
        peak: Peak FLOP/s of all devices together.
    """

    def __init__(self, learner: Learner, unit: str, device: torch.device, peak: float):
        now = time.monotonic()
        self.learner = learner
        self.unit = unit
        self.device = device
        self.peak = peak
        self.last_progress = now
        self.interval_start, self.interval_step = now, learner.step
        self.speed = 0.0

    def paused(self, work: Callable[[], Any]) -> Any:
        """Run something that is not training, without counting its time."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # pending work is training
        start = time.monotonic()
        result = work()
        self.interval_start += time.monotonic() - start
        return result

    def measure(self) -> dict[str, float]:
        """Return speed since the last call, peak memory, and the process's CPU seconds so far.

        Model FLOPs utilisation (PaLM, Chowdhery et al. 2022, appendix B): FLOPs that the model
        needs, without recomputation to save memory, over the peak of all devices together. Left
        out if the learner does not know its FLOPs.
        """
        now = time.monotonic()
        seconds = max(now - self.interval_start, 1e-9)
        steps = self.learner.step - self.interval_step
        self.speed = steps / seconds
        self.interval_start, self.interval_step = now, self.learner.step
        values = {f"{self.unit}s_per_second": round(self.speed * self.learner.step_units, 1)}
        if self.learner.step_flops is not None:
            values["mfu"] = round(self.learner.step_flops * self.speed / self.peak, 4)
        return values | {
            "memory_mb": round(memory_mb(self.device), 1),
            "cpu_seconds": round(time.process_time(), 3),
        }

    def progress(self, until: int, values: Mapping[str, Any], shown: Collection[str]) -> None:
        """Log progress every few seconds and at the end.

        Args:
            until: The last step to train.
            values: Metrics of the step.
            shown: Names of the metrics to show.
        """
        now = time.monotonic()
        step = self.learner.step
        if now - self.last_progress < SECONDS_BETWEEN_PROGRESS and step < until:
            return
        self.last_progress = now
        watched = ", ".join(f"{name} {values[name]:.4g}" for name in shown if name in values)
        left = (until - step) / self.speed if self.speed else 0.0
        rest = f", {duration(left)} left" if left >= 1 else ""
        log.info("step %d of %d: %s%s", step, until, watched, rest)


def duration(seconds: float) -> str:
    """Format a duration: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_mb(device: torch.device) -> float:
    """Peak memory in MB: of the GPU, or resident memory of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def data_sheet(name: str) -> dict[str, float]:
    """FLOP/s of a GPU by precision; unknown GPUs count as an A100, so that runs compare."""
    return next((p for key, p in PEAK_FLOPS.items() if key in name), PEAK_FLOPS["A100"])


def peak_flops(device: torch.device, precision: str) -> float:
    """Peak FLOP/s of the device: from data sheets, or a CPU core's measured matmul rate.

    For a CPU it is the rate of float32, whatever the precision.
    """
    if device.type == "cuda":
        return data_sheet(torch.cuda.get_device_name(device))[precision]
    return core_flops()


@functools.cache
def core_flops() -> float:
    """Measure the FLOP/s of float32 matrix products on a core, once in a process."""
    size, best = 256, math.inf
    a = torch.ones(size, size)
    for _ in range(8):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
