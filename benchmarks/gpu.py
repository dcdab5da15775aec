"""What a GPU does with this trainer, in eight minutes at most: `python -m benchmarks gpu`.

    speed    tokens per second and MFU of ours, of nanoGPT's way and of transformers.Trainer
    losses   the same steps on CPU and GPU, by precision
    memory   its peak by micro-batch, with and without gradient checkpointing
    saves    what a checkpoint costs

Prints one block of Markdown for docs/benchmarks.md, and writes it to `$OUT/gpu.md` where OUT is
set. Each part has seconds of its own and says what it left out for want of them. Without a GPU the
speed and the losses of the small model are measured on the CPU.
"""

import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from benchmarks.gpu_loops import (
    SIZE_10M,
    SIZE_124M,
    WIDTH_96,
    NanoGpt,
    Ours,
    Size,
    Transformers,
    build_trainer,
    deterministic,
    seconds,
)
from resweep.config.schema import Training
from resweep.training.device import device_name, pick_device
from resweep.training.loop import memory_mb, peak_flops

ROUNDS = 5
SECONDS_OF_A_ROUND = 1.5  # per loop; steps are chosen by it
WARM_STEPS = 5
COMPARED_STEPS = 50
MICRO_BATCHES = (1, 2, 4, 8, 16, 32, 64)
LONGEST = 450.0  # seconds of all parts together

Lines = Iterator[str]


class Loop(Protocol):
    """A training that goes on for some steps and returns the seconds that they took."""

    def run(self, steps: int) -> float:
        """Train on for some steps."""


class Budget:
    """Seconds that a part may take, within those of the whole.

    Args:
        of_part: Of this part.
        end: Of the whole, by time.monotonic.
    """

    def __init__(self, of_part: float, end: float):
        self.of_part = of_part
        self.end = min(time.monotonic() + of_part, end)

    def is_spent(self) -> bool:
        """Whether nothing more should begin."""
        return time.monotonic() > self.end

    def cut(self, what: Iterable[str]) -> str:
        """Say what was left out."""
        return f"Not measured in the {self.of_part:.0f} seconds of this part: {', '.join(what)}."


def measure() -> None:
    """Measure all parts and print them as they end."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    os.environ["CUDA_VISIBLE_DEVICES"] = first  # transformers.Trainer takes all that it sees
    device = pick_device()
    end = time.monotonic() + LONGEST
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report(f"Measured on: {device_name(device)}, torch {torch.__version__}.", begin=True)
        if device.type == "cpu":
            report("No GPU: one CPU thread, the small model alone; seconds are CPU seconds.")
        for title, of_part, part in parts(device, folder):
            report(f"### {title}")
            torch.compiler.reset()  # code of another part's sizes
            budget = Budget(of_part, end)
            started = time.monotonic()
            report("\n".join(part(budget)))
            print(f"({time.monotonic() - started:.0f} s)", flush=True)
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


def report(text: str, begin: bool = False) -> None:
    """Print a paragraph, and add it to `$OUT/gpu.md`."""
    print(f"{text}\n", flush=True)
    if "OUT" in os.environ:
        with (Path(os.environ["OUT"]) / "gpu.md").open("w" if begin else "a") as file:
            file.write(f"{text}\n\n")


# Speed


def contenders(
    size: Size, precision: str, device: torch.device, folder: Path
) -> dict[str, Callable[[], Loop]]:
    """Return how to begin each loop, by its name in the table; the first is what ratios are of."""

    def ours(**settings: Any) -> Callable[[], Loop]:
        return lambda: Ours(size, folder, device, precision=precision, **settings)

    def nano(compile: bool) -> Callable[[], Loop]:
        return lambda: NanoGpt(size, folder, device, precision=precision, compile=compile)

    loops: dict[str, Callable[[], Loop]] = {
        "ours": ours(),
        "transformers.Trainer": lambda: Transformers(size, folder, device, precision=precision),
        "nanoGPT's way": nano(compile=False),
        "nanoGPT's way, compiled": nano(compile=True),
        "ours, compile": ours(compile=True),
    }
    if device.type == "cuda":
        loops["ours, compile, cuda_graphs"] = ours(compile=True, cuda_graphs=True)
        loops["ours, compile, were it not repeatable"] = ours(compile=True, repeatable=False)
    return loops


def measure_speed(
    size: Size, precision: str, device: torch.device, folder: Path, budget: Budget
) -> Lines:
    """Go through all loops in turn, round by round; ratios are paired within a round."""
    loops: dict[str, tuple[Loop, int]] = {}
    left_out: list[str] = []
    for name, begin in contenders(size, precision, device, folder).items():
        if budget.is_spent():
            left_out.append(name)
            continue
        try:
            loop = begin()
            loop.run(WARM_STEPS)  # compiles, and finds its memory
            step = loop.run(WARM_STEPS) / WARM_STEPS
        except Exception as error:
            yield f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:200]}\n"
            continue
        loops[name] = loop, max(5, min(500, round(SECONDS_OF_A_ROUND / step)))
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for done in range(ROUNDS):
        if done and budget.is_spent():
            left_out.append(f"{ROUNDS - done} of {ROUNDS} rounds")
            break
        for name, (loop, steps) in loops.items():
            rates[name].append(steps * size.tokens_per_step / loop.run(steps))
    yield from speed_table(rates, flops_per_token(size, folder), peak_flops(device, precision))
    if left_out:
        yield "\n" + budget.cut(left_out)


def flops_per_token(size: Size, folder: Path) -> float:
    """What all loops are measured by."""
    return build_trainer(size, folder, torch.device("cpu")).model.flops_per_token()


def speed_table(rates: Mapping[str, list[float]], flops: float, peak: float) -> Lines:
    """Lay out tokens per second by loop and round."""
    reference = next(iter(rates))
    yield f"| | tokens per second | MFU | over {reference} | rounds |\n|---|---|---|---|---|"
    for name, values in rates.items():
        median = statistics.median(values)
        ratios = [a / b for a, b in zip(values, rates[reference], strict=True)]
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        shown = f"{median:,.0f} | {median * flops / peak:.4f} | {statistics.median(ratios):.2f}"
        yield f"| {name} | {shown} | {listed} |"


# Losses


def compare_losses(device: torch.device, folder: Path, budget: Budget) -> Lines:
    """Train the small model alike everywhere, and tell how far the losses are from the CPU's."""
    reference = losses(torch.device("cpu"), folder, precision="fp32")
    yield f"{COMPARED_STEPS} steps of the model of width 96, each in two micro-batches; the loss of"
    yield f"the CPU in fp32 goes from {reference[0]:.4f} to {reference[-1]:.4f}.\n"
    yield f"| {device.type} | largest difference from it |\n|---|---|"
    trials: dict[str, dict[str, Any]] = {"fp32": {}, "bf16": {"precision": "bf16"}}
    if device.type == "cuda":
        trials |= {
            "fp32, once more": {},
            "tf32": {"precision": "tf32"},
            "fp32, gradient checkpointing": {"gradient_checkpointing": True},
            "fp32, compile": {"compile": True},
            "fp32, compile, cuda_graphs": {"compile": True, "cuda_graphs": True},
        }
        if "gradient_checkpointing" not in Training.model_fields:
            del trials["fp32, gradient checkpointing"]
    left_out = []
    curves = {}
    for name, settings in trials.items():
        if budget.is_spent():
            left_out.append(name)
            continue
        curves[name] = losses(device, folder, **settings)
        pairs = zip(curves[name], reference, strict=True)
        yield f"| {name} | {max(abs(a - b) for a, b in pairs):.2e} |"
    yield ""
    for name, other in (
        ("fp32, once more", "fp32"),
        ("fp32, compile, cuda_graphs", "fp32, compile"),
    ):
        if name in curves and other in curves:
            same = "is bit for bit" if curves[name] == curves[other] else "is not bit for bit"
            yield f"The curve of {name} {same} that of {other}."
    if left_out:
        yield budget.cut(left_out)


def losses(device: torch.device, folder: Path, **training: Any) -> list[float]:
    """Return the training loss of each step."""
    small = Size(**(vars(WIDTH_96) | {"batch_size": 8}))
    training = {"max_gpu_batch_size": 4, **training}
    trainer = build_trainer(small, folder, device, COMPARED_STEPS, **training)
    found = []
    with deterministic(device.type == "cuda"):
        for _ in range(COMPARED_STEPS):
            trainer.train_step()
            found.append(trainer.interval_metrics()["train/loss"])
    return found


# Memory and saves


def measure_memory(device: torch.device, folder: Path, budget: Budget) -> Lines:
    """Take one step with each micro-batch, and tell the peak of the memory."""
    settings: list[dict[str, Any]] = [{}]
    if "gradient_checkpointing" in Training.model_fields:
        settings.append({"gradient_checkpointing": True})
    columns = [peaks(device, folder, budget, **one) for one in settings]
    yield "| sequences a forward | MB | MB with gradient checkpointing |\n|---|---|---|"
    for number in MICRO_BATCHES:
        shown = [column.get(number, "not measured") for column in columns]
        yield f"| {number} | {' | '.join(shown + ['no such setting'] * (2 - len(shown)))} |"


def peaks(device: torch.device, folder: Path, budget: Budget, **training: Any) -> dict[int, str]:
    """Return the peak in MB by sequences per forward; a size that is halved does not fit."""
    size = Size(**(vars(SIZE_124M) | {"batch_size": max(MICRO_BATCHES)}))
    trainer = build_trainer(size, folder, device, precision="bf16", **training)
    found: dict[int, str] = {}
    with deterministic(True):
        for number in MICRO_BATCHES:
            if budget.is_spent():
                break
            trainer.micro_batch = number
            torch.cuda.reset_peak_memory_stats(device)
            trainer.train_step()
            fits = trainer.micro_batch == number
            found[number] = f"{memory_mb(device):,.0f}" if fits else "does not fit"
    return found


def measure_save(device: torch.device, folder: Path, budget: Budget) -> Lines:
    """Time the two halves of a save: the copy in memory, and the files."""
    trainer = build_trainer(SIZE_124M, folder, device, precision="bf16")
    trainer.train_step()
    copies, files = [], []
    while len(copies) < 3 and not budget.is_spent():
        place = folder / f"save-{len(copies)}"
        place.mkdir()
        seconds(device)
        times = [time.perf_counter()]
        snapshot = trainer.snapshot()
        times.append(time.perf_counter())
        snapshot.write(place)
        times.append(time.perf_counter())
        copies.append(times[1] - times[0])
        files.append(times[2] - times[1])
    yield "| of one save | seconds |\n|---|---|"
    yield f"| copy to main memory, while the training waits | {statistics.median(copies):.2f} |"
    yield f"| files | {statistics.median(files):.2f} |"


if __name__ == "__main__":
    measure()
