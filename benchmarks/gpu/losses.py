"""The losses of the same steps on CPU and GPU, by precision and by what is compiled."""

from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.budget import Budget, Lines
from benchmarks.gpu.loops import WIDTH_96, Size, deterministic, learner_of_size

COMPARED_STEPS = 50
REPEATED = {
    "fp32, once more": "fp32",
    "fp32, gradient_checkpointing": "fp32",
    "fp32, compile, cuda_graphs": "fp32, compile",
}


def compare_losses(device: torch.device, folder: Path, budget: Budget) -> Lines:
    """Train the small model alike everywhere, and tell how far the losses are from the CPU's."""
    reference = losses(torch.device("cpu"), folder, precision="fp32")
    yield f"{COMPARED_STEPS} steps of the model of width 96, each in two micro-batches; the loss of"
    yield f"the CPU in fp32 goes from {reference[0]:.4f} to {reference[-1]:.4f}.\n"
    yield f"| {device.type} | largest difference from it |\n|---|---|"
    curves: dict[str, list[float]] = {}
    left_out = []
    for name, settings in trials(device).items():
        if budget.is_spent():
            left_out.append(name)
            continue
        curves[name] = losses(device, folder, **settings)
        pairs = zip(curves[name], reference, strict=True)
        yield f"| {name} | {max(abs(a - b) for a, b in pairs):.2e} |"
    for name, other in REPEATED.items():
        if name in curves and other in curves:
            is_same = "is bit for bit" if curves[name] == curves[other] else "is not bit for bit"
            yield f"\nThe curve of {name} {is_same} that of {other}."
    if left_out:
        yield "\n" + budget.cut(left_out)


def trials(device: torch.device) -> dict[str, dict[str, Any]]:
    """Return settings of `training` by their names in the table."""
    if device.type == "cpu":
        return {"bf16": {"precision": "bf16"}}
    return {
        "fp32": {},
        "fp32, once more": {},
        "tf32": {"precision": "tf32"},
        "bf16": {"precision": "bf16"},
        "fp32, compile": {"compile": True},
        "fp32, compile, cuda_graphs": {"compile": True, "cuda_graphs": True},
        "fp32, gradient_checkpointing": {"gradient_checkpointing": True},
    }


def losses(device: torch.device, folder: Path, **training: Any) -> list[float]:
    """Return the training loss of each step."""
    small = Size(**(vars(WIDTH_96) | {"batch_size": 8}))
    training = {"max_gpu_batch_size": 4, **training}
    learner = learner_of_size(small, folder, device, COMPARED_STEPS, **training)
    found = []
    with deterministic(device.type == "cuda"):
        for _ in range(COMPARED_STEPS):
            learner.train_step()
            found.append(learner.interval_metrics()["train/loss"])
    return found
