"""Tokens per second and MFU of all loops, measured in turn."""

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from benchmarks.gpu.budget import Budget, Lines, first_line
from benchmarks.gpu.loops import NanoGpt, Ours, Size, Transformers, build_model
from resweep.training.clock import peak_flops

ROUNDS = 5
SECONDS_OF_A_ROUND = 1.5  # per loop; steps are chosen by it
WARM_STEPS = 5


class Loop(Protocol):
    """A training that continues for some steps and returns the seconds that they took."""

    def run(self, steps: int) -> float:
        """Train on for some steps."""


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
            yield f"{name} failed: {first_line(error)}\n"
            continue
        loops[name] = loop, max(5, min(500, round(SECONDS_OF_A_ROUND / step)))
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for done in range(ROUNDS):
        if done and budget.is_spent():
            left_out.append(f"{ROUNDS - done} of {ROUNDS} rounds")
            break
        for name, (loop, steps) in loops.items():
            rates[name].append(steps * size.tokens_per_step / loop.run(steps))
    flops = build_model(size).flops_per_token()
    yield from speed_table(rates, flops, peak_flops(device, precision))
    if left_out:
        yield "\n" + budget.cut(left_out)


def speed_table(rates: Mapping[str, list[float]], flops: float, peak: float) -> Lines:
    """Lay out tokens per second by loop and round."""
    if not rates:
        return
    reference = next(iter(rates))
    yield f"| | tokens per second | MFU | over {reference} | rounds |\n|---|---|---|---|---|"
    for name, values in rates.items():
        median = statistics.median(values)
        ratios = [a / b for a, b in zip(values, rates[reference], strict=True)]
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        shown = f"{median:,.0f} | {median * flops / peak:.4f} | {statistics.median(ratios):.2f}"
        yield f"| {name} | {shown} | {listed} |"
