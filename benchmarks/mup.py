"""Whether the best learning rate of a narrow model transfers to wider ones, with and without muP.

    python -m benchmarks mup     ten minutes on one core; finished trainings are not repeated

Each training is one trial, run by the workflow's own command, on Python's documentation.
Prints tables in Markdown and draws docs/mup.svg.
"""

import json
import math
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt

from benchmarks.configuration import complete
from benchmarks.throughput import ROOT
from resweep.canonical import canonical_json, digest

BASE = 64
HEAD = 16  # width of a head: the same in all
INIT_STD = 0.1  # about 1 / sqrt(BASE), so that blocks compute something from the first step on
PLACE = ROOT / "benchmarks/.cache/mup"
MODES = {"off": None, "on": BASE}


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Attributes:
        widths: Of the models; the first is the base of muP.
        exponents: The learning rates are 2 to these.
        seeds: Each training is repeated with.
        steps: Of each.
    """

    widths: tuple[int, ...] = (64, 128, 256)
    exponents: tuple[int, ...] = (-9, -8, -7, -6)
    seeds: tuple[int, ...] = (0,)
    steps: int = 300


@dataclass(frozen=True)
class Point:
    """A training: with or without muP, how wide, at which rate, from which seed."""

    mup: str
    width: int
    exponent: int
    seed: int


Losses = dict[Point, float]


def configuration(point: Point, steps: int) -> dict[str, Any]:
    """The configuration of a training; all but width, rate and muP is alike."""
    config = {
        "model": {
            "n_layer": 2,
            "n_embd": point.width,
            "n_head": point.width // HEAD,
            "context_length": 32,
        },
        "data": {"source": "python-docs"},
        "training": {
            "seed": point.seed,
            "batch_size": 16,
            "max_steps": steps,
            "learning_rate": 2.0**point.exponent,
            "scheduler": "linear",
            "pct_warmup": 0.1,
            "log_steps": 50,
            "eval_steps": steps,
            "eval_sequences": 512,
        },
        "initialization": {"init_std": INIT_STD, "mup_base_width": MODES[point.mup]},
    }
    return complete(config)


def train(point: Point, steps: int, place: Path) -> float:
    """Train, or have the store answer; returns the last val/loss, inf where it diverged."""
    config = configuration(point, steps)
    name = digest(config, 10)
    content = {"study": "mup", "phase": "sweep", "trial": name, "assignments": {}, "config": config}
    record = place / f"records/{name}.json"
    if not record.exists():
        record.parent.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, str(ROOT / "workflow/scripts/train.py")),
            *("--content", canonical_json(content), "--results", str(place / "results")),
            *("--trial", str(place / f"trials/{name}.yaml"), "--record", str(record)),
            *("--device", "cpu", "--keep", "none"),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
    found = json.loads(record.read_text())
    if found["status"] != "finished":
        return math.inf
    return float(found["metrics"]["val/loss"])


def train_all(plan: Plan, place: Path) -> Losses:
    """Train what is planned, seed by seed; at the base width muP changes nothing."""
    losses: Losses = {}
    for seed in plan.seeds:
        for width in plan.widths:
            for exponent in plan.exponents:
                for mup in MODES:
                    as_off = Point("off", width, exponent, seed)
                    point = Point(mup, width, exponent, seed)
                    same = width == BASE and mup == "on"
                    losses[point] = losses[as_off] if same else train(point, plan.steps, place)
    return losses


def mean_loss(losses: Losses, mup: str, width: int, exponent: int) -> float:
    """Return the mean over seeds."""
    return statistics.fmean(
        loss
        for point, loss in losses.items()
        if (point.mup, point.width, point.exponent) == (mup, width, exponent)
    )


def best_exponent(losses: Losses, mup: str, width: int) -> int:
    """Return log2 of the rate with the lowest mean loss."""
    exponents = {point.exponent for point in losses}
    return min(exponents, key=lambda exponent: mean_loss(losses, mup, width, exponent))


def regret(losses: Losses, mup: str, width: int) -> float:
    """Return what a width loses, in nats, at the rate that is best at the base width."""
    carried = best_exponent(losses, mup, BASE)
    own = best_exponent(losses, mup, width)
    return mean_loss(losses, mup, width, carried) - mean_loss(losses, mup, width, own)


def table(losses: Losses, mup: str) -> str:
    """Lay the mean losses out: a row a width, a column a rate, the lowest of each row in bold."""
    exponents = sorted({point.exponent for point in losses})
    heads = [f"2^{exponent}" for exponent in exponents]
    lines = [
        f"| muP {mup}: width | {' | '.join(heads)} | best | lost at the base's best |",
        f"|---|{'---|' * len(heads)}---|---|",
    ]
    for width in sorted({point.width for point in losses}):
        best = best_exponent(losses, mup, width)
        cells = []
        for exponent in exponents:
            shown = f"{mean_loss(losses, mup, width, exponent):.3f}"
            cells.append(f"**{shown}**" if exponent == best else shown)
        lost = f"{regret(losses, mup, width):.3f}"
        lines.append(f"| {width} | {' | '.join(cells)} | 2^{best} | {lost} |")
    return "\n".join(lines)


def draw(losses: Losses, path: Path) -> None:
    """Draw loss against learning rate, a line a width, muP off beside on."""
    rows: list[dict[str, Any]] = []
    for mup in MODES:
        for width, exponent in sorted({(point.width, point.exponent) for point in losses}):
            loss = mean_loss(losses, mup, width, exponent)
            if math.isfinite(loss):
                rows.append(
                    {"muP": mup, "width": width, "rate": 2.0**exponent, "loss": round(loss, 4)}
                )
    lowest = min(row["loss"] for row in rows)
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True, clip=True)
        .encode(
            x=alt.X("rate:Q", title="learning rate").scale(type="log", base=2),
            y=alt.Y("loss:Q", title="val/loss").scale(domain=[lowest - 0.05, lowest + 0.7]),
            color=alt.Color("width:O").scale(range=["#9ecae1", "#4292c6", "#084594"]),
            column=alt.Column("muP:N", sort=list(MODES), title="muP"),
        )
        .properties(width=280, height=240)
    )
    chart.save(path)


def measure(plan: Plan | None = None, place: Path = PLACE) -> Losses:
    """Train, and print what came out."""
    losses = train_all(plan or Plan(), place)
    for mup in MODES:
        print(table(losses, mup) + "\n", flush=True)
    return losses


def main() -> None:
    """Measure and draw."""
    draw(measure(), ROOT / "docs/mup.svg")


if __name__ == "__main__":
    main()
