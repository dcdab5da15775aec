"""Benchmark training on a GPU, in eight minutes at most: `python -m benchmarks gpu`.

    speed    tokens per second and MFU: ours, nanoGPT's loop, transformers.Trainer
    losses   the same steps on CPU and GPU, by precision
    memory   peak memory by micro-batch size, with and without gradient checkpointing
    saves    cost of a checkpoint

Prints one block of Markdown for docs/benchmarks.md. Each part has its own time limit and reports
what it skipped. Without a GPU, the speed and losses of the small model are measured on the CPU.
"""

import functools
import gc
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.gpu.budget import Budget, Lines, first_line
from benchmarks.gpu.loops import SIZE_10M, SIZE_124M, WIDTH_96, Size
from benchmarks.gpu.losses import compare_losses
from benchmarks.gpu.memory import measure_memory, measure_save
from benchmarks.gpu.speed import measure_speed
from resweep.training.device import device_name, pick_device

LONGEST = 450.0  # seconds of all parts together


def measure() -> None:
    """Measure all parts and print them as they end."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    os.environ["CUDA_VISIBLE_DEVICES"] = first  # transformers.Trainer takes all that it sees
    device = pick_device()
    end = time.monotonic() + LONGEST
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report(f"Measured on: {device_name(device)}, torch {torch.__version__}.")
        if device.type == "cpu":
            report("No GPU: one CPU thread, the small model alone; seconds are CPU seconds.")
        for title, of_part, part in parts(device, folder):
            report(f"### {title}")
            torch.compiler.reset()  # code of another part's sizes
            budget = Budget(of_part, end)
            started = time.monotonic()
            try:
                report("\n".join(part(budget)))
            except Exception as error:  # what one part breaks on, the others may not
                report(f"Failed: {first_line(error)}")
            print(f"({time.monotonic() - started:.0f} s)", flush=True)
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()


def parts(device: torch.device, folder: Path) -> list[tuple[str, float, Callable[[Budget], Lines]]]:
    """Return title, seconds and work of each part, the most telling first."""

    def speed(size: Size, precision: str) -> Callable[[Budget], Lines]:
        return functools.partial(measure_speed, size, precision, device, folder)

    losses = functools.partial(compare_losses, device, folder)
    if device.type == "cpu":
        return [
            ("Speed: width 96, fp32", 150.0, speed(WIDTH_96, "fp32")),
            ("Losses", 60.0, losses),
        ]
    return [
        ("Speed: width 96, bf16", 80.0, speed(WIDTH_96, "bf16")),
        ("Speed: 10M, bf16", 90.0, speed(SIZE_10M, "bf16")),
        ("Speed: 124M, bf16", 110.0, speed(SIZE_124M, "bf16")),
        ("Losses", 60.0, losses),
        ("Memory: 124M, bf16", 30.0, functools.partial(measure_memory, device, folder)),
        ("Saves: 124M", 20.0, functools.partial(measure_save, device, folder)),
        ("Speed: width 96, fp32", 60.0, speed(WIDTH_96, "fp32")),
    ]


def report(text: str) -> None:
    """Print a paragraph, at once."""
    print(f"{text}\n", flush=True)
