"""Steps per CPU second of a trial, and its start-up time."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.configuration import complete
from benchmarks.loops import BATCH, MODEL, WARM
from resweep.canonical import canonical_json

ROOT = Path(__file__).resolve().parent.parent
STEPS = 300
ROUNDS = 5


def trial(max_steps: int, log_steps: int) -> str:
    """Content of a trial as the sweep's rule passes it on."""
    training = {
        "batch_size": BATCH,
        "max_steps": max_steps,
        "log_steps": log_steps,
        "eval_steps": max_steps + 1,
        "eval_sequences": 32,
    }
    config = complete({"model": MODEL, "training": training})
    content = {"study": "bench", "phase": "sweep", "trial": "t", "assignments": {}}
    return canonical_json({**content, "config": config})


def train(max_steps: int, log_steps: int, folder: Path) -> dict[int, float]:
    """Train by the command of the rule; returns CPU seconds of the process by step."""
    command = [
        *(sys.executable, str(ROOT / "workflow/scripts/train.py")),
        *("--content", trial(max_steps, log_steps), "--results", str(folder)),
        *("--trial", str(folder / "t.yaml"), "--record", str(folder / "t.json")),
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return cpu_by_step(folder)


def cpu_by_step(results: Path) -> dict[int, float]:
    """CPU seconds of the process by step, of the one run in a results folder."""
    (timing,) = results.glob("runs/*/timing.jsonl")
    lines = [json.loads(line) for line in timing.read_text().splitlines()]
    return {line["step"]: line["cpu_seconds"] for line in lines}


def other(name: str) -> float:
    """CPU seconds of STEPS steps of another loop."""
    command = [sys.executable, "-m", "benchmarks.loops", name, str(STEPS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(json.loads(done.stdout.splitlines()[-1])["cpu_seconds"])


def ours() -> float:
    """CPU seconds of STEPS steps of a trial, with its metric files and log."""
    with tempfile.TemporaryDirectory() as folder:
        by_step = train(STEPS + WARM, 10, Path(folder))
        return by_step[STEPS + WARM] - by_step[WARM]


def measure_throughput() -> None:
    """Print steps per CPU second of ours over the others', paired round by round."""
    ratios: dict[str, list[float]] = {"bare": [], "transformers": []}
    for _ in range(ROUNDS):
        mine = ours()
        for name, values in ratios.items():
            values.append(other(name) / mine)
    print("| steps per CPU second, over | median | rounds |\n|---|---|---|")
    for name, values in ratios.items():
        listed = ", ".join(f"{value:.2f}" for value in values)
        print(f"| {name} | {statistics.median(values):.2f} | {listed} |", flush=True)


def measure_start() -> None:
    """Print CPU seconds from process start to the end of the first step, and of import torch."""
    starts, imports = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            starts.append(train(1, 1, Path(folder))[1])
        imports.append(cpu_seconds([sys.executable, "-c", "import torch, numpy"]))
    print("| CPU seconds | median | rounds |\n|---|---|---|")
    for name, values in (("start of a trial to its first step", starts), ("import torch", imports)):
        listed = ", ".join(f"{value:.2f}" for value in values)
        print(f"| {name} | {statistics.median(values):.2f} | {listed} |", flush=True)


def cpu_seconds(command: list[str], **options: Any) -> float:
    """CPU seconds of a command, its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, env=environment, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
