"""Starting the processes of a training: the command, and the way the answer comes back."""

import shlex
import sys
from pathlib import Path

import pytest

from resweep import launch
from resweep.errors import ConfigError, DataError, Interrupted, LockTimeout, ResweepError

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
