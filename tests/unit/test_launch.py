"""Starting the processes of a training: the command, and the way the answer comes back."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import train_short_of_memory

from resweep import launch
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.errors import ConfigError, DataError, Interrupted, LockTimeout, ResweepError
from resweep.paths import Layout
from resweep.store.run import FEWER_SEQUENCES
from resweep.train_trial import train_trial
from resweep.trial import Trial

TRAINING = {"distributed": "ddp", "processes": 4, "nodes": 1}


@pytest.mark.parametrize(
    ("distributed", "processes", "wanted"),
    [("none", 1, False), ("ddp", 1, False), ("ddp", 2, True), ("zero1", 1, True)],
)
def test_one_process_starts_no_others_but_for_deepspeed(distributed, processes, wanted):
    training = {"distributed": distributed, "processes": processes}
    assert launch.is_wanted(training) is wanted


def test_nodes_are_those_of_a_slurm_job():
    two = TRAINING | {"nodes": 2}
    with pytest.raises(ConfigError, match=r"training.nodes = 2: needs a SLURM job"):
        launch.command(two, [], {})
    command = launch.command(two, ["--log", "a b"], {"SLURM_JOB_ID": "1"})
    assert command[:3] == ["srun", "--nodes=2", "--ntasks=2"]
    words = shlex.split(command[-1])
    assert words[:3] == ["exec", sys.executable, "-m"]
    assert "--nproc-per-node=2" in words and "--node-rank=$SLURM_NODEID" in words
    assert words[-2:] == ["--log", "a b"]


def answer(monkeypatch, folder: Path, code: str) -> bool:
    """Launch a process that does this in place of rank 0."""
    script = folder / "rank_0.py"
    script.write_text(
        "import os\nfrom resweep.errors import *\nfrom resweep.launch import Answer\n" + code
    )
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, str(script)])
    return launch.launch(TRAINING, lambda folder: [], lambda: False)


@pytest.mark.parametrize("trained", [True, False])
def test_what_rank_0_says_comes_back(monkeypatch, tmp_path, trained):
    assert answer(monkeypatch, tmp_path, f"Answer().trained({trained})") is trained


@pytest.mark.parametrize("kind", [Interrupted, LockTimeout, DataError, ResweepError])
def test_what_rank_0_raises_is_raised(monkeypatch, tmp_path, kind):
    told = kind if kind in (Interrupted, LockTimeout) else ResweepError
    with pytest.raises(told, match=r"^saved at step 3$"):
        answer(monkeypatch, tmp_path, f"Answer().failed({kind.__name__}('saved at step 3'))")


def test_no_answer_is_a_crash(monkeypatch, tmp_path):
    with pytest.raises(launch.Crashed, match="ended with code 7"):
        answer(monkeypatch, tmp_path, "Answer()\nos._exit(7)")


# A training job of two processes


def train_by_two(folder: Path, lock_timeout: float = 60.0) -> tuple[dict[str, Any], Path]:
    """Train a trial by two processes on the README; returns its record and its run."""
    flat = {"training.distributed": "ddp", "training.processes": 2, "training.batch_size": 4}
    flat |= {"data.source": "text", "data.paths": ["README.md"], "data.split": "contiguous"}
    config, problems = compose.validate(Composed(compose.nest(tiny.BASE | flat), {}), "tiny")
    assert not problems, problems
    record, layout = folder / "record.json", Layout(folder)
    trial = Trial("study", "sweep", "one", config)
    train_trial(trial, record, layout, device="cpu", tracking={}, lock_timeout=lock_timeout)
    (run,) = layout.root.glob("runs/*")
    return json.loads(record.read_text()), run


@pytest.mark.parametrize(
    ("most", "status", "ends"),
    [
        (1, "finished", [FEWER_SEQUENCES, "completed"]),
        (0, "infeasible", [FEWER_SEQUENCES, FEWER_SEQUENCES, "out of GPU memory"]),
    ],
)
def test_where_one_of_them_lacks_memory_all_take_fewer_sequences(
    monkeypatch, tmp_path, most, status, ends
):
    monkeypatch.setattr(launch, "SCRIPT", Path(train_short_of_memory.__file__))
    monkeypatch.setenv("MOST_SEQUENCES", str(most))
    record, run = train_by_two(tmp_path)
    assert record["status"] == status
    attempts = json.loads((run / "record.json").read_text())["attempts"]
    assert [attempt["end"] for attempt in attempts] == ends
