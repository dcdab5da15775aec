"""Trainings of one Snakemake on the GPUs of one machine, pretended ones here."""

import json
import os
import re
from itertools import groupby

import pytest

from resweep.machine.gpus import default_folder
from tests.conftest import Checkout


@pytest.mark.long
def test_trainings_take_gpus_one_each(checkout: Checkout) -> None:
    checkout.write_sweep(learning_rate=[1e-5, 1e-4, 1e-3, 1e-2])
    names = [f"test-{os.getpid()}-{index}" for index in "ab"]
    try:
        environment = {"RESWEEP_GPUS": ",".join(names)}
        checkout.run("snakemake", "--cores", "4", env=environment)
    finally:
        for name in names:
            (default_folder() / f"{name}.lock").unlink(missing_ok=True)
    lines = {name: log_lines(checkout, name) for name in names}
    ran = {name: [trial for trial, _ in groupby(work)] for name, work in lines.items()}
    everything = sorted(trial for trials in ran.values() for trial in trials)
    # Each training's lines stand together, and each stands once: no two shared a GPU.
    assert len(everything) == len(set(everything)) == 4 + 2, ran
    files = checkout.path.glob("results/runs/*/record.json")
    attempts = [attempt for file in files for attempt in json.loads(file.read_text())["attempts"]]
    used = sorted(attempt["gpu"] for attempt in attempts)
    assert used == sorted(name for name, trials in ran.items() for _ in trials)


def log_lines(checkout: Checkout, gpu: str) -> list[str]:
    """The trials that the lines of a GPU's log tell of, in their order."""
    file = checkout.path / f"logs/gpu_{gpu}_sweep.log"
    text = file.read_text() if file.exists() else ""
    return re.findall(r"^\S+ \S+ INFO (tiny/\w+/\w+): ", text, re.MULTILINE)
