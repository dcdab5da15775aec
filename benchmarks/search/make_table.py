"""Make the table of real learning curves: a tiny byte-level GPT, trained once per configuration.

    python -m benchmarks.search.make_table --configs 256 --out FILE.csv

Configurations are a scrambled Sobol design over `SPACE`; some are trained again with other seeds,
for the noise. A row is appended when its run ends, so that the same command continues where it
was interrupted. The form of the file is that of `benchmarks.search.table`.
"""

import argparse
import csv
import math
import time
from pathlib import Path
from typing import Any

from scipy.stats import qmc

from benchmarks.configuration import LANGUAGE
from benchmarks.learner import build_learner
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.data.store import Prepared, ensure
from resweep.errors import ConfigError, Problem, run_command
from resweep.paths import Layout
from resweep.sweep import Parameter
from resweep.systems.language.data_section import Data
from resweep.training.device import pick_device

STEPS = 300
EVALUATIONS = 20
METRIC = "val/loss"
REPEATED = 12  # configurations that are trained again ...
REPEATS = 3  # ... so many times
BASE: dict[str, Any] = {
    "model": {"n_layer": 2, "n_head": 2, "n_embd": 48, "context_length": 48},
    "training": {
        "max_steps": STEPS,
        "batch_size": 8,
        "scheduler": "cosine",
        "eval_sequences": 96,
        "eval_batch_size": 96,
    },
}
SPACE = (
    Parameter("training.learning_rate", "log_uniform_values", low=3e-4, high=1e-1),
    Parameter("training.pct_warmup", "uniform", low=0.0, high=0.5),
    Parameter("training.weight_decay", "log_uniform_values", low=1e-3, high=1.0),
    Parameter("training.beta2", "uniform", low=0.8, high=0.999),
    Parameter("training.min_lr_ratio", "uniform", low=0.0, high=1.0),
    Parameter("model.dropout", "uniform", low=0.0, high=0.4),
    Parameter("initialization.init_std", "log_uniform_values", low=5e-3, high=5e-1),
)


def prepare_text(results: Path) -> Prepared:
    """Prepare what is trained on."""
    settings = Data(source="python-docs").model_dump(mode="json")
    return ensure(LANGUAGE, settings, Layout(results))


def design(configs: int) -> list[tuple[int, dict[str, Any]]]:
    """Return (seed, point) of every run: the Sobol design, then repeats of some of its points."""
    rows = qmc.Sobol(len(SPACE), scramble=True, rng=0).random(configs)
    points = [
        {parameter.name: parameter.draw(float(u)) for parameter, u in zip(SPACE, row, strict=True)}
        for row in rows
    ]
    repeated = points[:: max(1, configs // REPEATED)][:REPEATED]
    return list(enumerate(points + repeated * REPEATS))


def learning_curve(point: dict[str, Any], seed: int, data: Prepared) -> list[float]:
    """Train one configuration; returns the metric at each evaluation, up to where it diverged."""
    flat = {**dict(compose.leaves(BASE)), **point, "training.seed": seed}
    full, problems = compose.validate(Composed(nest(flat), {}), "make_table", LANGUAGE.schema)
    if problems:
        raise ConfigError(problems)
    learner = build_learner(full, data, pick_device("cpu"))
    curve: list[float] = []
    for step in range(1, STEPS + 1):
        learner.train_step()
        if step % (STEPS // EVALUATIONS) == 0:
            curve.append(learner.evaluate()[METRIC])
            if not math.isfinite(curve[-1]):
                return curve[:-1]
    return curve


def finished_rows(path: Path) -> list[list[str]]:
    """Return the rows that are there, without the header; drops a row that was being written."""
    if not path.exists():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return list(csv.reader(whole.splitlines()))[1:]


def make_table(path: Path, configs: int, results: Path) -> None:
    """Train what the table lacks, a row each.

    Raises:
        ConfigError: The file holds rows of another design.
    """
    names = [parameter.name for parameter in SPACE]
    every = STEPS // EVALUATIONS
    header = [*names, *(f"{METRIC}@{every * (i + 1)}" for i in range(EVALUATIONS))]
    runs = design(configs)
    there = finished_rows(path)
    for (_, point), row in zip(runs, there, strict=False):
        if row[: len(names)] != [str(value) for value in point.values()]:
            raise ConfigError(
                Problem(str(path), "", None, "has rows of another design; name another --out")
            )
    data = prepare_text(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(",".join(header) + "\n")
    for seed, point in runs[len(there) :]:
        start = time.monotonic()
        curve = learning_curve(point, seed, data)
        cells = [f"{value:.6g}" for value in curve] + [""] * (EVALUATIONS - len(curve))
        with path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([*point.values(), *cells])
        print(
            f"{seed + 1} of {len(runs)}: {cells[-1] or 'diverged'}, "
            f"{time.monotonic() - start:.1f} s",
            flush=True,
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--configs", type=int, default=256, help="number of design points, a power of two"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="file for the table, or a part of it"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="for the data")
    given = parser.parse_args()
    make_table(given.out, given.configs, given.results)


if __name__ == "__main__":
    run_command(main)
