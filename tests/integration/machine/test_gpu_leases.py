"""GPUs of one machine: real processes share pretended GPUs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resweep.machine import gpus
from resweep.machine.gpus import default_folder, pool
from tests.integration.jobs.test_train_by_hand import ROOT, TRAIN, tiny
from tests.support.warm import warm_process

HOLD = """
import logging, os, sys
from resweep.machine.gpus import lease_gpu
logging.basicConfig(level=logging.INFO, format="%(message)s")
with lease_gpu(sys.argv[1]) as gpu:
    print(gpu, os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    sys.stdin.read()
"""


TAKE_TURNS = """
import sys
from pathlib import Path
from resweep.machine import gpus
gpus.POLL_SECONDS = 0.01
for turn in range(5):
    with gpus.lease_gpu("turns") as gpu:
        mine = Path(sys.argv[1], gpu)
        mine.touch(exist_ok=False)
        for _ in range(20000):
            pass
        mine.unlink()
"""


@pytest.fixture
def names():
    """Names of two pretended GPUs that no other process knows."""
    made = [f"test-{os.getpid()}-{index}" for index in "ab"]
    yield made
    for name in made:
        (default_folder() / f"{name}.lock").unlink(missing_ok=True)


def environment(names, **more):
    """An environment with these GPUs."""
    hidden = ("SLURM_", "CUDA_", "RESWEEP_", "WANDB_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    return {**kept, "RESWEEP_GPUS": ",".join(names), **more}


class Holder:
    """A process that takes a GPU, says which, and keeps it until it is to end."""

    def __init__(self, work, names, **more):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, work],
            env=environment(names, **more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def has(self):
        """Wait until it has one; returns its name and what CUDA would see."""
        return self.process.stdout.readline().split()

    def end(self):
        _, errors = self.process.communicate()
        assert self.process.returncode == 0, errors
        return errors


def test_each_has_its_own(names):
    first, second = Holder("one", names), Holder("two", names)
    assert sorted([first.has(), second.has()]) == [[names[0]] * 2, [names[1]] * 2]
    third = Holder("three", names)
    waited = third.process.stderr.readline()
    assert waited.startswith("waiting for a GPU: ")
    for holder, work in ((first, "one"), (second, "two")):
        assert f"runs {work} (process {holder.process.pid})" in waited
    first.end()
    assert third.has()[0] in names
    assert {third.end(), second.end()} == {""}


def test_many_processes_on_few_gpus_never_share_one(names, tmp_path):
    command = [sys.executable, "-c", TAKE_TURNS, str(tmp_path)]
    processes = [
        subprocess.Popen(command, env=environment(names), stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, errors


def test_a_killed_process_frees_its_gpu(names):
    first = Holder("one", names[:1])
    assert first.has() == [names[0]] * 2
    second = Holder("two", names[:1])
    assert "runs one" in second.process.stderr.readline()
    first.process.send_signal(signal.SIGKILL)
    assert second.has() == [names[0]] * 2
    second.end()
    first.process.communicate()


def test_cuda_visible_devices_restricts(names):
    first = Holder("one", names, CUDA_VISIBLE_DEVICES=names[1])
    assert first.has() == [names[1]] * 2
    second = Holder("two", names, CUDA_VISIBLE_DEVICES=names[1])
    assert second.process.stderr.readline().startswith(
        f"waiting for a GPU: GPU {names[1]} runs one"
    )
    first.end()
    assert second.has() == [names[1]] * 2
    second.end()


def test_no_gpu_no_lease(names):
    holders = [
        Holder("a", names, CUDA_VISIBLE_DEVICES=""),
        Holder("b", names, SLURM_JOB_ID="1"),
        Holder("c", []),
    ]
    assert [holder.has() for holder in holders] == [["None"], ["None", "None"], ["None", "None"]]
    for holder in holders:
        holder.end()


def test_within_a_lease_it_is_the_same(names, monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("RESWEEP_GPUS", ",".join(names))
    assert gpus.held_gpu() is None
    with gpus.lease_gpu("outer") as outer, gpus.lease_gpu("inner") as inner:
        assert outer == inner == gpus.held_gpu() == names[0]
        child = Holder("child", names, **{gpus.HELD: names[0]})  # as a child would inherit it
        assert child.has()[0] == names[0]
        child.end()
        other = Holder("other", names)
        assert other.has()[0] == names[1]
    assert gpus.held_gpu() is None
    other.end()
    with gpus.lease_gpu("again") as again:  # CUDA, once in use, keeps to what it saw
        assert again == names[0]
        assert [gpu.name for gpu in pool()] == [names[0]]


def train(tmp_path, names, *words, python=None, **more):
    """Start a training in a folder of its own, by a warm process or another."""
    (tmp_path / "config").exists() or (tmp_path / "config").symlink_to(ROOT / "config")
    given = {name: value for name, value in {"max_steps": 20, **more}.items()}
    flags = [flag for flag in tiny("results", **given) if not flag.startswith("--device")]
    return subprocess.Popen(
        [python or warm_process().python, str(TRAIN), *flags, "--keep=none", *words],
        cwd=tmp_path,
        env=environment(names, HOME=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_training_holds_one_and_says_so(names, tmp_path):
    done = train(tmp_path, names)
    output, _ = done.communicate()
    assert done.returncode == 0 and f"using GPU {names[0]}" in output
    (file,) = tmp_path.glob("results/runs/*/record.json")
    state = json.loads(file.read_text())
    assert [attempt["gpu"] for attempt in state["attempts"]] == [names[0]]
    assert state["segments"][0]["gpu"] == names[0]
    (trial,) = tmp_path.glob("results/by-hand/quickstart/trials/*.yaml")
    lines = (tmp_path / f"logs/gpu_{names[0]}_sweep.log").read_text().splitlines()
    assert all(f" INFO by-hand/quickstart/{trial.stem}: " in line for line in lines)
    assert "finished at step 20" in lines[-1]


def test_only_what_trains_waits(names, tmp_path):
    train(tmp_path, names, "--device=cpu").communicate()
    holder = Holder("elsewhere", names[:1])
    holder.has()
    stored = train(tmp_path, names[:1])
    assert "in the store" in stored.communicate()[0] and stored.returncode == 0
    explicit = train(tmp_path, names[:1], "--device=cpu", seed=7)
    assert "finished" in explicit.communicate()[0] and explicit.returncode == 0
    states = [json.loads(p.read_text()) for p in tmp_path.glob("results/runs/*/record.json")]
    assert [state["attempts"][0]["gpu"] for state in states] == [None, None]

    waiting = train(tmp_path, names[:1], python=sys.executable, seed=8)
    assert ": trial " in waiting.stdout.readline()
    assert "waiting for a GPU" in waiting.stdout.readline()
    maps = Path(f"/proc/{waiting.pid}/maps").read_text()
    assert "libpython" in maps or "python" in maps
    assert "libtorch" not in maps  # it comes with the GPU, and memory is not spent before
    waiting.send_signal(signal.SIGTERM)
    output, _ = waiting.communicate()
    assert waiting.returncode == 75
    assert "stopped while waiting for a GPU" in output and f"{names[0]} runs elsewhere" in output
    holder.end()
    assert not (tmp_path / "logs").exists()
