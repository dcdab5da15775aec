"""Sixteen small trainings, two at a time, in nine ways: CPU and wall seconds over Optuna's."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.packs.contenders import CONTENDERS, RAY_PYTHON, Losses, Sweep
from benchmarks.packs.process_tree import Usage
from benchmarks.packs.rounds import in_turn, paired_table
from benchmarks.packs.workplace import Workplace

STEPS = 380
RATES = [0.001, 0.002, 0.004, 0.008]
WARMUPS = [10, 20, 40, 80]
BASE = "Optuna"


def sweep_of(steps: int, rates: Sequence[float], warmups: Sequence[int]) -> Sweep:
    """Return the grid over learning rates and warmups, of trainings of some steps."""
    return Sweep(
        parameters={"learning_rate": list(rates), "warmup_steps": list(warmups)},
        overrides={
            "model.n_layer": 3,
            "model.n_embd": 64,
            "model.n_head": 4,
            "model.context_length": 32,
            "training.batch_size": 16,
            "training.max_steps": steps,
            "training.pct_warmup": None,
            "training.eval_steps": 100,
            "training.eval_sequences": 64,
        },
    )


def measure_grid(sweep: Sweep, names: Sequence[str], rounds: int, folder: Path) -> str:
    """Train a grid in each way and round; return a table.

    Args:
        sweep: The grid.
        names: Contenders, of which Optuna is one.
        rounds: How many times each.
        folder: For the trainings.

    Raises:
        RuntimeError: Two contenders do not have the same losses, bit for bit.
    """
    workload = Workplace(folder / "data", sweep.file, sweep.overrides).workload()
    figures: dict[str, list[Usage]] = {name: [] for name in names}
    expected: Losses = {}
    for number in range(rounds):
        for name in in_turn(names, number):
            place = folder / "place"
            usage, losses = CONTENDERS[name](place, sweep, workload)
            shutil.rmtree(place)
            if losses != (expected := expected or losses):
                raise RuntimeError(f"{name} has other losses: {losses} instead of {expected}")
            figures[name].append(usage)
            print(f"round {number + 1}: {name}: {usage}", flush=True)
    return paired_table(f"{len(workload.trials)} trainings", figures, BASE)


def available() -> list[str]:
    """Return the contenders that can run here: Ray has an environment of its own."""
    return [name for name in CONTENDERS if RAY_PYTHON.exists() or not name.startswith("Ray")]
