"""The peak of a GPU's memory by micro-batch, and what a checkpoint costs."""

import statistics
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.budget import Budget, Lines
from benchmarks.gpu.loops import SIZE_124M, Size, deterministic, learner_of_size, seconds
from resweep.training.clock import memory_mb

MICRO_BATCHES = (1, 2, 4, 8, 16, 32, 64)


def measure_memory(device: torch.device, folder: Path, budget: Budget) -> Lines:
    """Take one step with each micro-batch, and tell the peak of the memory."""
    settings: tuple[dict[str, Any], ...] = ({}, {"gradient_checkpointing": True})
    columns = [peaks(device, folder, budget, **one) for one in settings]
    yield "| sequences a forward | MB | MB with gradient checkpointing |\n|---|---|---|"
    for number in MICRO_BATCHES:
        shown = [column.get(number, "not measured") for column in columns]
        yield f"| {number} | {' | '.join(shown)} |"


def peaks(device: torch.device, folder: Path, budget: Budget, **training: Any) -> dict[int, str]:
    """Return the peak in MB by sequences per forward; a size that is halved does not fit."""
    size = Size(**(vars(SIZE_124M) | {"batch_size": max(MICRO_BATCHES)}))
    learner = learner_of_size(size, folder, device, precision="bf16", **training)
    found: dict[int, str] = {}
    with deterministic(True):
        for number in MICRO_BATCHES:
            if budget.is_spent():
                break
            learner.micro_batch = number
            torch.cuda.reset_peak_memory_stats(device)
            learner.train_step()
            fits = learner.micro_batch == number
            found[number] = f"{memory_mb(device):,.0f}" if fits else "does not fit"
    return found


def measure_save(device: torch.device, folder: Path, budget: Budget) -> Lines:
    """Time the two halves of a save: the copy in memory, and the files."""
    learner = learner_of_size(SIZE_124M, folder, device, precision="bf16")
    learner.train_step()
    copies: list[float] = []
    files: list[float] = []
    while not copies or (len(copies) < 3 and not budget.is_spent()):
        place = folder / f"save-{len(copies)}"
        place.mkdir()
        seconds(device)
        times = [time.perf_counter()]
        snapshot = learner.snapshot()
        times.append(time.perf_counter())
        snapshot.write(place)
        times.append(time.perf_counter())
        copies.append(times[1] - times[0])
        files.append(times[2] - times[1])
    yield "| of one save | seconds |\n|---|---|"
    yield f"| copy to main memory, while the training waits | {statistics.median(copies):.2f} |"
    yield f"| files, beside it | {statistics.median(files):.2f} |"
