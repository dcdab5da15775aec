"""Studies of loop transformers: ranked and drawn, and killed."""

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tests.conftest import NOTHING, Checkout

pytestmark = pytest.mark.xdist_group("loop studies")  # they share what they build

SMALL: dict[str, Any] = {
    "data": {"size": 4, "train_puzzles": 60, "test_puzzles": 20},
    "arch": {"hidden_size": 16, "num_heads": 2, "outer_cycles": 2, "halt_max_steps": 4},
    "training": {
        "batch_size": 8,
        "max_steps": 60,
        "learning_rate": 1e-2,
        "ema_rate": 0.9,
        "log_steps": 10,
        "eval_steps": 30,
        "save_steps": 10,
    },
}
REPEATS = {"arch.stages.0.repeat": [1, 2]}
END = "checkpoint_60"
PARTS = ("model", "trained", "optimizer", "extra")


def write_loops(checkout: Checkout, parameters: dict[str, list[Any]], **changes: Any) -> None:
    """Write a study of one sweep, and make it the one that is built."""
    study = {
        "name": "loops",
        "system": "loop_transformer",
        "base": {},
        "set": SMALL,
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": "loops"}],
        "keep": "all",
        "tracking": {"wandb": "disabled"},
        "publish": NOTHING,
    }
    checkout.write("config/studies/loops.yaml", study | changes)
    checkout.write_sweep("loops", **parameters)
    checkout.write("config/config.yaml", {"studies": ["loops"]})


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study, built without interruption."""
    made = Checkout.new(tmp_path_factory.mktemp("calm") / "checkout")
    write_loops(made, REPEATS)
    made.snakemake()
    return made


def scores(checkout: Checkout) -> list[dict[str, str]]:
    with (checkout.path / "results/loops/sweep/scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_trials_are_ranked_by_solved_puzzles_and_the_best_one_is_drawn(calm: Checkout) -> None:
    table = scores(calm)
    finals = [float(row["final"]) for row in table]
    assert len(finals) == 2 and finals == sorted(finals, reverse=True)
    run = calm.path / "results/runs" / table[0]["run_id"]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines if "exact_accuracy" in line} == {0, 30, 60}
    assert lines[-1]["exact_accuracy"] == finals[0]
    report = (calm.path / "results/loops/report.html").read_text()
    _, _, drawn = report.partition("Solving steps")
    shown = load_file(run / END / "extra.safetensors")
    wrong = int((shown["shown.answers"][0, 0] != shown["shown.puzzles"][0, 1]).sum())
    assert f"step 1: {wrong} wrong" in drawn or (wrong == 0 and "step 1: solved" in drawn)


def furthest(checkout: Checkout) -> int:
    """The sum of the steps that the runs of a store have saved."""
    total = 0
    for run in checkout.path.glob("results/runs/*"):
        saved = [int(path.name.rpartition("_")[2]) for path in run.glob("checkpoint_*")]
        total += max(saved, default=0)
    return total


def kill_all(checkout: Checkout) -> None:
    """End whatever runs in a folder."""
    for folder in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if folder.samefile(checkout.path):
                os.kill(int(folder.parent.name), signal.SIGKILL)


@pytest.mark.long
def test_kills_change_nothing(calm: Checkout, tmp_path: Path) -> None:
    killed = Checkout.new(tmp_path / "killed")
    write_loops(killed, REPEATS)
    codes = []
    for _ in range(10):
        reached = furthest(killed) + 10  # the next checkpoint
        process = subprocess.Popen(
            ("snakemake", "--cores", "1"),
            cwd=killed.path,
            env=killed.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while furthest(killed) < reached and process.poll() is None:
            time.sleep(0.01)
        kill_all(killed)
        codes.append(process.wait())
        # As `snakemake --unlock` does.
        shutil.rmtree(killed.path / ".snakemake/locks", ignore_errors=True)
    assert codes.count(-signal.SIGKILL) >= 3
    killed.snakemake()
    compared = 0
    for name in ("metrics.jsonl", *(f"{END}/{part}.safetensors" for part in PARTS)):
        for file in calm.path.glob(f"results/runs/*/{name}"):
            other = killed.path / file.relative_to(calm.path)
            assert other.read_bytes() == file.read_bytes(), other
            compared += 1
    assert compared == 2 * (1 + len(PARTS))
    assert scores(killed) == scores(calm)
