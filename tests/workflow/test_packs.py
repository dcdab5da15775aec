"""Packs as Snakemake runs them: which steps are trained, and what is left of what was killed."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Checkout, tiny_study
from tests.support.packs import MEASURED

COUNTED = ROOT / "tests/support/counted"
PACKS = ("train_sweep_p1", "train_sweep_p2")
TRAIN = ("snakemake", "--cores", "2", "--until", "train_sweep")
STEPS, SAVED_EACH = 80, 10
SOME = 2 * STEPS  # lines of the first two trainings, if they run together
CRASHES_AT = 3
RATES = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 8e-3]
KILLED = 20.0  # seconds after which nothing of what was killed is left; one on an idle machine


class PackCheckout:
    """A study of one phase, whose steps are counted."""

    def __init__(self, checkout: Checkout):
        self.checkout = checkout
        self.path = checkout.path

    @classmethod
    def new(cls, path: Path, **resources: Any) -> "PackCheckout":
        """An untrained one in a folder."""
        made = Checkout.new(path / "checkout")
        shutil.copytree(COUNTED, made.path / "src/resweep/systems/counted")
        changes = {"max_steps": STEPS, "save_steps": SAVED_EACH, "eval_steps": STEPS // 2}
        made.write_study(
            system="counted",
            set=tiny_study("tiny")["set"]
            | {f"training.{name}": value for name, value in changes.items()}
            | {"model.dropout": 0.1},
            phases=[{"name": "sweep", "kind": "sweep", "sweep": "rates"}],
            resources={"gpus": 0, **resources},
        )
        packed = cls(made)
        packed.sweep(RATES)
        return packed

    def sweep(self, rates: list[float]) -> None:
        self.checkout.write_sweep(learning_rate=rates)

    def train(self) -> subprocess.CompletedProcess[str]:
        """Have the phase trained, and nothing else."""
        return self.checkout.run(*TRAIN, check=False)

    def start(self) -> subprocess.Popen[bytes]:
        """Begin to train it."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(TRAIN, cwd=self.path, env=self.checkout.env, **quiet)

    def steps(self) -> list[tuple[float, int, int]]:
        """The steps that were trained, in their order: rate, process, step."""
        file = self.path / "steps"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(float(a), int(b), int(c)) for a, b, c in map(str.split, lines)]

    def records(self) -> list[Path]:
        return sorted((self.path / "results/tiny/sweep/records").glob("*.json"))

    def results(self) -> dict[str, Any]:
        """All that is determined: records, with digests of the weights, and metrics."""
        found: dict[str, Any] = {}
        for file in (self.path / "results").rglob("*"):
            name = str(file.relative_to(self.path))
            if file.name == "metrics.jsonl":
                found[name] = file.read_bytes()
            elif file.parent.name == "records" and file.suffix == ".json":
                record = json.loads(file.read_text())
                found[name] = {k: v for k, v in record.items() if k not in MEASURED}
        return found

    def processes(self) -> dict[int, str]:
        """Commands of the processes that run in the checkout."""
        found = {}
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if command.with_name("cwd").samefile(self.path):
                    found[int(command.parent.name)] = command.read_bytes().decode()
        return {pid: command for pid, command in found.items() if command}

    def pack(self) -> int:
        """Process id of the pack that runs; 0 while there is none."""
        packs = [pid for pid, command in self.processes().items() if "train_pack.py" in command]
        return min(packs, default=0)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> PackCheckout:
    """Trained undisturbed, by two processes that wait for each other; not to be changed."""
    made = PackCheckout.new(tmp_path_factory.mktemp("calm"))
    (made.path / "together").write_text("2")
    done = made.train()
    assert done.returncode == 0, done.stdout
    return made


def test_eight_trials_on_two_cores_run_two_at_once(calm: PackCheckout) -> None:
    order = [process for _, process, _ in calm.steps()]
    assert (len(set(order)), most_at_once(order), len(order)) == (8, 2, 8 * STEPS)


def most_at_once(order: Sequence[int]) -> int:
    """Return how many processes trained at once, given those of all steps in their order."""
    first = {process: order.index(process) for process in order}
    last = {process: position for position, process in enumerate(order)}
    return max(sum(first[p] <= at <= last[p] for p in first) for at in range(len(order)))


@pytest.mark.parametrize("workers", [1, 8])
def test_two_packs_of_one_call_share_its_cores(workers: int, tmp_path: Path) -> None:
    """Two packs of one worker each run at once; two of many workers one after the other."""
    packed = PackCheckout.new(tmp_path, pack=4, workers=workers)
    (packed.path / "together").write_text("2")
    done = packed.checkout.run("snakemake", "--cores", "2", "--until", *PACKS)
    order = [process for _, process, _ in packed.steps()]
    assert (len(set(order)), most_at_once(order), len(order)) == (8, 2, 8 * STEPS), done.stdout
    halves = [
        {rate for rate, *_ in packed.steps()[:SOME]} & set(RATES[at : at + 4]) for at in (0, 4)
    ]
    assert all(halves) == (workers == 1)


def test_a_full_store_has_the_packs_of_an_empty_one(tmp_path: Path) -> None:
    empty = PackCheckout.new(tmp_path, pack=3)
    rules = empty.checkout.run("snakemake", "--list-rules").stdout.split()
    packs = [rule for rule in rules if rule.startswith("train_sweep")]
    assert packs == ["train_sweep_p1", "train_sweep_p2", "train_sweep_p3"]
    done = empty.checkout.run("snakemake", "--cores", "2", "--until", *packs)
    files = sorted((empty.path / "results/tiny/sweep/packs").iterdir())
    assert len(empty.records()) == 8 and len(files) == 3, done.stdout
    assert empty.checkout.run("snakemake", "--list-rules").stdout.split() == rules
    shutil.rmtree(empty.path / "results/tiny")  # the store stays, and is full
    empty.checkout.run("snakemake", "--cores", "2", "--until", *packs)
    assert sorted((empty.path / "results/tiny/sweep/packs").iterdir()) == files
    assert len(empty.steps()) == 8 * STEPS


def test_what_the_store_lacks_is_trained_alone(calm: PackCheckout, tmp_path: Path) -> None:
    """Values put first, in the middle and last; one of them crashes, and is tried once more.

    Snakemake removes the links of a pack that failed; the store has what they lead to.
    """
    packed = PackCheckout(calm.checkout.copy(tmp_path / "checkout"))
    first, inner, last = 1e-5, 7e-4, 1e-2
    packed.sweep([first, *RATES[:4], inner, *RATES[4:], last])
    (packed.path / "crash").write_text(str(inner))
    trained = len(packed.steps())
    failed = packed.train()
    assert failed.returncode != 0 and "10 of 11" in failed.stdout and "SIGSEGV" in failed.stdout
    assert not packed.records()
    counts = Counter(rate for rate, *_ in packed.steps()[trained:])
    assert counts == {first: STEPS, inner: 2 * CRASHES_AT, last: STEPS}
    (packed.path / "crash").unlink()
    trained = len(packed.steps())
    assert packed.train().returncode == 0
    assert Counter(rate for rate, *_ in packed.steps()[trained:]) == {inner: STEPS}
    assert len(packed.records()) == 11


@pytest.mark.parametrize("count", [3, pytest.param(20, marks=pytest.mark.long)])
def test_kills_change_nothing(count: int, calm: PackCheckout, tmp_path: Path) -> None:
    """Of a child, of the pack, of Snakemake: the same files, and only unsaved steps again.

    The pack is told to stop where only a child was killed: else it would continue that one.
    """
    packed = PackCheckout.new(tmp_path)
    chance = random.Random(1)
    most = len(RATES) * STEPS // (2 * count)  # between two: more are trained until a kill works
    kills = 0
    for kill in range(count):
        wanted = len(packed.steps()) + chance.randrange(most)
        snakemake = packed.start()
        while len(packed.steps()) < wanted or not packed.pack():
            if snakemake.poll() is not None:
                break
            time.sleep(0.002)
        pack = packed.pack()
        if not pack:  # a fast machine trains all before the last kills
            assert snakemake.wait() == 0
            break
        kills += 1
        child = packed.steps()[-1][1] if packed.steps() else pack
        with contextlib.suppress(ProcessLookupError):  # a child that has just ended
            os.kill((child, pack, snakemake.pid)[kill % 3], signal.SIGKILL)
        if kill % 3 == 0:
            os.kill(pack, signal.SIGTERM)
        deadline = time.monotonic() + KILLED
        snakemake.wait()
        while left := packed.processes():
            assert time.monotonic() < deadline, left
            time.sleep(0.01)
        if kill % 3 == 2:
            log = (packed.path / "logs/tiny/sweep/train/p1.log").read_text()
            assert "saved and stopped" in log or "8 of 8" in log
        shutil.rmtree(
            packed.path / ".snakemake/locks", ignore_errors=True
        )  # as `snakemake --unlock` does
    assert kills > count // 2
    done = packed.train()
    assert done.returncode == 0, done.stdout
    assert packed.results() == calm.results()
    for rate in RATES:
        assert_only_unsaved_again(packed, rate)


def assert_only_unsaved_again(packed: PackCheckout, rate: float) -> None:
    """Each process continued where the one before it had saved, and the last one to the end.

    One checkpoint may be about to be written, while the next steps are trained.
    """
    reached = 0
    for process in dict.fromkeys(process for one, process, _ in packed.steps() if one == rate):
        steps = [step for one, by, step in packed.steps() if (one, by) == (rate, process)]
        assert steps == list(range(steps[0], steps[-1] + 1))
        assert reached - 2 * SAVED_EACH <= steps[0] - 1 <= reached
        reached = steps[-1]
    assert reached == STEPS


def test_a_queued_pack_of_a_study_that_was_edited_is_trained(built: Checkout) -> None:
    """A cluster's job plans the study again when it starts: another pack than was submitted."""
    before = len(built.trainings())
    built.write_sweep(learning_rate=[1e-5, 1e-3, 1e-2])
    built.snakemake("--mode", "remote", "--nolock", "--force", "--target-jobs", "train_sweep:")
    assert len(built.trainings()) == before + 1
    assert len(list((built.path / "results/tiny/sweep/packs").iterdir())) == 2
    plan = built.snakemake("--until", "train_sweep").stdout
    assert "train_sweep" not in plan.partition("Job stats:")[2]
