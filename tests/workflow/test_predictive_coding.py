"""A study of predictive coding: its tables, pictures and W&B runs, twice and after kills."""

import contextlib
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOTHING, Checkout
from tests.support.wandb_runs import offline_runs

pytestmark = pytest.mark.xdist_group("predictive_coding")

TINY = {
    "num_blocks": 1,
    "hidden_size": 8,
    "num_heads": 2,
    "inference.steps": 3,
    "batch_size": 8,
    "log_steps": 2,
    "eval_steps": 4,
    "eval_sequences": 40,
}


def write_study(checkout: Checkout, name: str, **changes: Any) -> None:
    """Write a study of tiny trainings, and make it the one that is built."""
    study = {
        "name": name,
        "system": "predictive_coding",
        "base": {},
        "set": {**TINY, "max_steps": 8},
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": "depths"}],
        "tracking": {"wandb": "disabled"},
        "publish": NOTHING,
    }
    checkout.write(f"config/studies/{name}.yaml", study | changes)
    checkout.write("config/config.yaml", {"studies": [name]})


def write_sweep(checkout: Checkout, metric: dict[str, str], **values: list[Any]) -> None:
    parameters = {name: {"values": listed} for name, listed in values.items()}
    content = {"method": "grid", "metric": metric, "parameters": parameters}
    checkout.write("config/sweep/depths.yaml", content)


def table(checkout: Checkout, name: str) -> list[dict[str, str]]:
    with (checkout.path / "results" / name).open() as file:
        return list(csv.DictReader(file))


BY_ERROR = {"name": "best_val_mse", "goal": "minimize"}
BY_PROBE = {"name": "best_probe_accuracy", "goal": "maximize"}


def test_a_study_is_ranked_tracked_and_shown(checkout: Checkout) -> None:
    write_sweep(checkout, BY_PROBE, num_blocks=[0, 1], learning_rate=[1e-3, 1e25])
    stops = {"early_stopping.plateau_patience": 1, "early_stopping.plateau_min_delta": 100.0}
    write_study(
        checkout,
        "shown",
        phases=[
            {"name": "sweep", "kind": "sweep", "sweep": "depths"},
            {"name": "again", "kind": "rerun", "of": "sweep", "top": 1, "seeds": [7], "set": stops},
        ],
        tracking={"wandb": "offline", "project": "resweep"},
    )
    checkout.snakemake()
    scores = table(checkout, "shown/sweep/scores.csv")
    ranked = [float(row["final"]) for row in scores if row["final"]]
    assert len(ranked) == 2 and ranked == sorted(ranked, reverse=True)
    rows = table(checkout, "shown/runs.csv")
    reasons = {row["training.learning_rate"]: row["early_stop_reason"] for row in rows[:4]}
    assert reasons == {"0.001": "none", "1e+25": "nan"}
    assert rows[4]["early_stop_reason"] == "validation metric" and rows[4]["total_steps"] == "4"
    best = next(row for row in rows if row["status"] == "finished")
    for name in ("best_val_mse", "best_train_mse", "final_train_mse", "best_probe_accuracy"):
        assert float(best[name]) >= 0, name
    tracked = {
        run.run.run_id: run.summary["early_stop_reason"]
        for run in offline_runs(checkout.path / "results/shown")
    }
    assert tracked == {row["run_id"]: row["early_stop_reason"] for row in rows}
    page = (checkout.path / "results/shown/report.html").read_text()
    section = page.partition("Reconstructions")[2]
    assert len(re.findall("<svg", section)) >= 24
    errors = re.search(r"errors of (\S+) to (\S+), (\S+) on average", section)
    assert errors is not None and float(errors[1]) <= float(errors[3]) <= float(errors[2])


def test_the_last_error_of_training_can_decide(checkout: Checkout) -> None:
    write_sweep(checkout, {"name": "final_train_mse", "goal": "minimize"}, num_blocks=[0, 2])
    write_study(checkout, "by-train")
    checkout.snakemake()
    finals = [float(row["final"]) for row in table(checkout, "by-train/sweep/scores.csv")]
    assert finals == sorted(finals) and len(finals) == 2


def test_what_cannot_be_trained_is_found_when_the_study_is_read(checkout: Checkout) -> None:
    write_sweep(checkout, BY_ERROR, num_blocks=[0])
    write_study(checkout, "wrong", set={**TINY, "max_steps": 8, "compile": True, "patch_size": 3})
    refused = checkout.snakemake("-n", check=False)
    assert refused.returncode
    lines = [line for line in refused.stdout.splitlines() if "wrong.yaml" in line]
    assert any("patch_size = 3 should divide 8" in line for line in lines), refused.stdout


def made_files(checkout: Checkout) -> dict[str, bytes]:
    """What trainings and rankings made, but for times."""
    root = checkout.path / "results"
    patterns = (
        "runs/*/metrics.jsonl", "runs/*/checkpoint_*/*", "*/sweep/scores.csv",
        "*/sweep/top*.yaml",
    )  # fmt: skip
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for pattern in patterns
        for path in sorted(root.glob(pattern))
    }


@pytest.mark.parametrize("count", [3, pytest.param(10, marks=pytest.mark.long)])
def test_a_study_twice_and_after_kills_is_the_same(
    checkout: Checkout, tmp_path: Path, count: int
) -> None:
    write_sweep(checkout, BY_ERROR, num_blocks=[0, 2], seed=[1, 2])
    write_study(
        checkout,
        "killed",
        set={**TINY, "max_steps": 60, "save_steps": 4, "eval_steps": 20},
        resources={"pack": 4},
        keep="all",
    )
    again = checkout.copy(tmp_path / "again")
    calm = checkout.copy(tmp_path / "calm")
    calm.snakemake()
    expected = made_files(calm)
    assert len([name for name in expected if name.endswith("_60/model.safetensors")]) == 4
    moments = random.Random(count)
    total = 4 * 60
    for kill in range(1, count + 1):
        reached = total * (kill - 1) // (count + 1) + moments.randint(4, 8)
        process = subprocess.Popen(
            ("snakemake", "--cores", "1"),
            cwd=checkout.path,
            env=checkout.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while saved_steps(checkout) < reached and process.poll() is None:
            time.sleep(0.02)
        assert process.poll() is None, "it ended before it was killed"
        for pid in processes_in(checkout.path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(checkout.path / ".snakemake/locks", ignore_errors=True)  # as --unlock does
    checkout.snakemake()
    attempts = [
        json.loads(path.read_text())["attempts"]
        for path in checkout.path.glob("results/runs/*/record.json")
    ]
    assert sum(map(len, attempts)) > 4  # some were continued
    assert made_files(checkout) == expected
    again.snakemake()
    assert made_files(again) == expected


def saved_steps(checkout: Checkout) -> int:
    """The sum of the steps that the runs of a store have saved."""
    return sum(
        max((int(path.name.rpartition("_")[2]) for path in run.glob("checkpoint_*")), default=0)
        for run in checkout.path.glob("results/runs/*")
    )


def processes_in(folder: Path) -> list[int]:
    """Process ids of what runs in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if place.samefile(folder):
                found.append(int(place.parent.name))
    return found
