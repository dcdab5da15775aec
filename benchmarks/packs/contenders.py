"""Ways to train a grid, two trials at a time: each in a folder of its own, with equal losses.

Optuna                    two warm processes, grid sampler, a journal in a file
Ray Tune, reused actors   as it is by default for classes
Ray Tune                  an actor a trial
bare processes            a process a trial, started by xargs
Snakemake                 a process a trial, by a rule of a few lines
resweep                   this project: its training rules, or the whole study; W&B off or offline
"""

import functools
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.packs.optuna_worker import read_losses
from benchmarks.packs.process_tree import Usage, measure
from benchmarks.packs.workload import Workload
from benchmarks.packs.workplace import CORES, ENVIRONMENT, Workplace
from benchmarks.throughput import ROOT

RAY_PYTHON = ROOT / ".venv-ray/bin/python"
TRAIN = "python -m benchmarks.packs.bare_loop"
SNAKEFILE = f"""\
TRIALS = [line.strip() for line in open("trials.txt")]


rule all:
    input:
        expand("{{trial}}.json", trial=TRIALS),


rule train:
    output:
        "{{trial}}.json",
    shell:
        "{TRAIN} workload.json {{wildcards.trial}} {{output}}"
"""
Losses = dict[str, float]


@dataclass(frozen=True)
class Sweep:
    """A grid to train.

    Attributes:
        parameters: Values of each field of `training`.
        overrides: Path -> value, over a small model and short runs.
    """

    parameters: Mapping[str, list[Any]]
    overrides: Mapping[str, Any]

    @property
    def file(self) -> dict[str, Any]:
        """Content of its sweep file."""
        values = {name: {"values": values} for name, values in self.parameters.items()}
        return {"method": "grid", "parameters": values}


# Trains a sweep in a new folder; the workload, with its data, is prepared already.
Contender = Callable[[Path, Sweep, Workload], tuple[Usage, Losses]]


def optuna(folder: Path, sweep: Sweep, workload: Workload) -> tuple[Usage, Losses]:
    """Train with Optuna."""
    folder.mkdir()
    file, journal = workload.write(folder / "workload.json"), folder / "journal.log"
    worker = f"python -m benchmarks.packs.optuna_worker {file} {journal}"
    workers = " & ".join([worker] * CORES)
    usage = measure(["sh", "-c", f"{workers} & wait"], folder, ENVIRONMENT)
    return usage, read_losses(workload, journal)


def ray_tune(
    folder: Path, sweep: Sweep, workload: Workload, *, actors: str
) -> tuple[Usage, Losses]:
    """Train with Ray Tune; `actors` are reuse or new."""
    folder.mkdir()
    file = workload.write(folder / "workload.json")
    module = "benchmarks.packs.ray_pool"
    command = [str(RAY_PYTHON), "-m", module, str(file), str(folder), actors]
    usage = measure(command, folder, ENVIRONMENT | {"RAY_USAGE_STATS_ENABLED": "0"})
    return usage, json.loads((folder / "losses.json").read_text())


def bare_processes(folder: Path, sweep: Sweep, workload: Workload) -> tuple[Usage, Losses]:
    """Train with a process a trial."""
    names = _write(folder, workload)
    train = shlex.split(f"{TRAIN} workload.json {{}} {{}}.json")
    command = ["xargs", "-a", "trials.txt", "-P", str(CORES), "-I", "{}", *train]
    return measure(command, folder, ENVIRONMENT), _read(folder, names)


def snakemake(folder: Path, sweep: Sweep, workload: Workload) -> tuple[Usage, Losses]:
    """Train with Snakemake, a process a trial."""
    names = _write(folder, workload)
    (folder / "Snakefile").write_text(SNAKEFILE)
    usage = measure(["snakemake", "--cores", str(CORES)], folder, ENVIRONMENT)
    return usage, _read(folder, names)


def resweep(
    folder: Path, sweep: Sweep, workload: Workload, *, wandb: str, whole: bool
) -> tuple[Usage, Losses]:
    """Train with this project.

    Args:
        folder, sweep, workload: As for all.
        wandb: Mode of W&B.
        whole: Build the whole study, with tables, ranking and report.
    """
    place = Workplace(folder, sweep.file, sweep.overrides, wandb=wandb)
    place.prepare_data()
    usage = place.snakemake(*([] if whole else place.records))
    losses = place.losses()
    missing = {run.name for run in place.layout.all_runs()} - place.wandb_runs()
    if wandb != "disabled" and missing:
        raise RuntimeError(f"W&B has no files of {len(missing)} of {len(losses)} runs")
    return usage, losses


CONTENDERS: dict[str, Contender] = {
    "Optuna": optuna,
    "Ray Tune, reused actors": functools.partial(ray_tune, actors="reuse"),
    "Ray Tune": functools.partial(ray_tune, actors="new"),
    "bare processes": bare_processes,
    "Snakemake": snakemake,
    "resweep, W&B off": functools.partial(resweep, wandb="disabled", whole=False),
    "resweep, W&B offline": functools.partial(resweep, wandb="offline", whole=False),
    "resweep, whole, W&B off": functools.partial(resweep, wandb="disabled", whole=True),
    "resweep, whole, W&B offline": functools.partial(resweep, wandb="offline", whole=True),
}


def _write(folder: Path, workload: Workload) -> list[str]:
    """Write the workload and the names of its trials; returns them."""
    folder.mkdir()
    workload.write(folder / "workload.json")
    names = list(workload.trials)
    (folder / "trials.txt").write_text("".join(f"{name}\n" for name in names))
    return names


def _read(folder: Path, names: list[str]) -> Losses:
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in names}
