"""Gradients in checkpoints: those of the step, whole and before clipping, wherever one is saved."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from resweep.config.nesting import nest
from resweep.data.store import Prepared
from resweep.errors import Interrupted, StoreError
from resweep.paths import METRICS, Layout
from resweep.store import checkpoints as checkpoint
from resweep.store.advance import advance
from resweep.store.attempts import Attempts
from resweep.store.identity import run_id
from resweep.store.retention import claim, release
from resweep.store.run import Run
from resweep.training.gradient_learner import GradientLearner
from resweep.training.gradients import GradientRequest
from resweep.training.snapshot import GradientSnapshot
from tests.conftest import ROOT
from tests.support.asked import Asked, ask, run_of
from tests.support.learners import CPU, make_learner
from tests.support.tiny import BASE, LANGUAGE, configure, prepare

GUIDE = ROOT / "docs/gradients.md"
FLAT = {"loss_patience": 3, "loss_relative_flat_tolerance": 0.5, "loss_min_steps_before_check": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("data"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results")


def make(data: Prepared, **changes: Any) -> GradientLearner:
    return make_learner(configure(data, training__save_gradients=True, **changes), data)


def request(data: Prepared, options: dict[str, Any] | None = None, **changes: Any) -> Asked:
    return ask(configure(data, **changes), data, **(options or {}))


def load(folder: Path, name: str = "gradients.pt") -> dict[str, Tensor]:
    return dict(torch.load(folder / name, weights_only=True))


def by_hand(learner: GradientLearner, rows: slice = slice(None)) -> dict[str, Tensor]:
    """The gradients of the next step's batch, computed in one piece by autograd."""
    sequences = torch.from_numpy(learner.objective.batches.at(learner.step)[rows])
    named = dict(learner.objective.model.named_parameters())
    found = torch.autograd.grad(learner.objective.model.loss(sequences), list(named.values()))
    return dict(zip(named, found, strict=True))


def assert_close(left: dict[str, Tensor], right: dict[str, Tensor], tolerance: float) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert tensor.dtype == torch.float32 and tensor.device == CPU
        torch.testing.assert_close(tensor, right[name], atol=tolerance, rtol=0.0, msg=name)


# What they are


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training__grad_clip": 1e-3},
        {"training__batch_size": 2, "training__gradient_accumulation_steps": 3},
        {"training__max_gpu_batch_size": 4, "training__grad_clip": 1e-3},
        {"model__bias": False},
    ],
    ids=str,
)
def test_they_are_those_of_the_whole_batch_before_clipping(changes, data, tmp_path):
    learner = make(data, **changes)
    for _ in range(3):
        learner.train_step()
    expected = by_hand(learner)
    learner.train_step(True)
    learner.snapshot().write(tmp_path)
    assert_close(load(tmp_path), expected, 1e-6)
    norm = torch.stack([tensor.norm() for tensor in load(tmp_path).values()]).norm()
    assert norm.item() == pytest.approx(learner.interval_metrics()["grad_norm"], rel=1e-5)


def test_half_precision_leaves_them_float32(data, tmp_path):
    learner = make(data, training__precision="bf16")
    learner.train_step(True)
    learner.snapshot().write(tmp_path)
    assert {tensor.dtype for tensor in load(tmp_path).values()} == {torch.float32}


def test_a_snapshot_has_those_of_its_own_step_or_none(data):
    learner = make(data)
    learner.train_step(True)
    first = learner.snapshot().gradients
    assert first is not None
    copy = {name: tensor.clone() for name, tensor in first.items()}
    learner.train_step()
    assert learner.snapshot().gradients is None
    assert all(torch.equal(first[name], copy[name]) for name in copy)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
@pytest.mark.parametrize("micro", [None, 4, 1])
def test_samples_are_of_equal_parts_and_their_mean_is_the_gradient(count, micro, data, tmp_path):
    changes = {"training__gradient_samples": count, "training__max_gpu_batch_size": micro}
    learner = make(data, **changes)
    for _ in range(2):
        learner.train_step()
    size = 6 // count
    expected = [by_hand(learner, slice(k * size, (k + 1) * size)) for k in range(count)]
    learner.train_step(True)
    learner.snapshot().write(tmp_path)
    samples = load(tmp_path, "gradient_samples.pt")
    for k in range(count):
        assert_close({name: tensor[k] for name, tensor in samples.items()}, expected[k], 1e-6)
    assert_close({name: tensor.mean(0) for name, tensor in samples.items()}, load(tmp_path), 1e-6)


def test_samples_have_the_masks_of_the_step(data):
    learner = make(data, training__gradient_samples=3, model__dropout=0.3)
    learner.train_step(True)
    snapshot = learner.snapshot()
    assert snapshot.gradients is not None and snapshot.gradient_samples is not None
    means = {name: tensor.mean(0) for name, tensor in snapshot.gradient_samples.items()}
    assert_close(means, snapshot.gradients, 1e-6)


@pytest.mark.parametrize("changes", [{}, {"model__dropout": 0.3}], ids=str)
def test_keeping_them_changes_no_numbers(changes, data):
    watched = make(data, training__gradient_samples=3, **changes)
    plain = make_learner(configure(data, **changes), data)
    for step in range(6):
        watched.train_step(step % 2 == 0)
        plain.train_step()
    assert watched.interval_metrics() == plain.interval_metrics()
    weights = plain.objective.model.state_dict()
    for name, tensor in watched.objective.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gradient_samples": 2}, "gradient_samples = 2 needs save_gradients: true"),
        (
            {"gradient_samples": 2, "save_gradients": True, "distributed": "zero2"},
            "needs distributed: none or ddp, not zero2",
        ),
        (
            {"gradient_samples": 4, "save_gradients": True},
            "batch_size * gradient_accumulation_steps = 6 should be a multiple of gradient_samples",
        ),
    ],
)
def test_samples_that_cannot_be_had_are_an_error_of_the_configuration(changes, words, data):
    from resweep.config import compose

    flat = BASE | {f"training.{name}": value for name, value in changes.items()}
    _, problems = compose.validate(compose.Composed(nest(flat), {}), "tiny", LANGUAGE)
    assert [words in str(problem) for problem in problems] == [True]


def test_they_are_no_part_of_a_run(data):
    plain = configure(data)
    for changes in ({"save_gradients": True}, {"save_gradients": True, "gradient_samples": 2},
                    {"keep_last": 3, "keep_best": 2}):  # fmt: skip
        other = configure(data, **{f"training__{name}": value for name, value in changes.items()})
        assert run_id(other, data) == run_id(plain, data)


TOGETHER = """
import os, sys
from pathlib import Path
from resweep.training.processes import Processes
from tests.support.learners import CPU, make_learner
from tests.support.tiny import configure, prepare

processes = Processes(os.environ)
processes.join(CPU)
data = prepare(Path(sys.argv[1]) / f"data{processes.rank}")
changes = {"save_gradients": True, "gradient_samples": 3, "distributed": "ddp", "processes": 2}
changes |= {"max_gpu_batch_size": 1, "grad_clip": 1e-3}
config = configure(data, **{f"training__{name}": value for name, value in changes.items()})
learner = make_learner(config, data, processes=processes)
if processes.rank:
    while (told := processes.receive())[0] != "end":
        getattr(learner, told[0])(*told[1])
else:
    learner.train_step()
    learner.train_step(True)
    learner.snapshot().write(Path(sys.argv[1]))
processes.leave()
"""


@pytest.mark.long
def test_two_processes_save_the_same_as_one(data, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", TOGETHER, str(tmp_path)]
    started = [subprocess.Popen(command, cwd=ROOT, env=env | {"RANK": rank}) for rank in ("0", "1")]
    assert [process.wait() for process in started] == [0, 0]
    learner = make(data, training__gradient_samples=3, training__grad_clip=1e-3)
    learner.train_step()
    learner.train_step(True)
    alone = learner.snapshot()
    assert alone.gradients is not None and alone.gradient_samples is not None
    assert_close(load(tmp_path), alone.gradients, 1e-6)
    assert_close(load(tmp_path, "gradient_samples.pt"), alone.gradient_samples, 1e-6)


# Where they are


def assert_right(run: Run, config: dict[str, Any], data: Prepared) -> None:
    """Every checkpoint of a run has the gradients of the step before it."""
    learner = make_learner(config, data)
    steps = checkpoint.steps_of(run.path)
    assert steps
    for step in range(max(steps)):
        if step + 1 in steps:
            assert_close(load(run.path / f"checkpoint_{step + 1}"), by_hand(learner), 1e-6)
        learner.train_step()


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"training__save_steps": 5}, [5, 10, 12]),
        ({"training__keep_best": 12, "training__eval_steps": 4}, [4, 8, 12]),
        ({f"early_stopping__{name}": value for name, value in FLAT.items()}
         | {"training__max_steps": 24}, [12]),
    ],
    ids=str,
)  # fmt: skip
def test_every_checkpoint_has_them(changes, steps, data, layout):
    asked = request(data, training__save_gradients=True, **changes)
    advance(*asked, layout)
    run = run_of(asked, layout)
    assert checkpoint.steps_of(run.path) == steps
    assert_right(run, asked.goal.config, data)


def test_once_a_minute_too(data, layout, monkeypatch):
    monkeypatch.setattr("resweep.training.checkpoint_schedule.SECONDS_BETWEEN_SAVES", -1.0)
    asked = request(data, training__save_gradients=True, training__keep_last=20)
    advance(*asked, layout)
    assert checkpoint.steps_of(run_of(asked, layout).path) == list(range(1, 13))
    assert_right(run_of(asked, layout), asked.goal.config, data)


@pytest.mark.parametrize("at", [1, 3, 7, 11, 12])
def test_interrupted_it_trains_the_step_whose_gradients_it_saves(at, data, layout):
    told = iter([False] * at + [True] + [False] * 20)
    asked = request(data, {"interrupted": lambda: next(told)}, training__save_gradients=True)
    with pytest.raises(Interrupted):
        advance(*asked, layout)
    run = run_of(asked, layout)
    step = min(at + 1, 12)
    assert checkpoint.steps_of(run.path) == [step]
    assert Attempts(run).all()[-1]["to_step"] == step
    assert_right(run, asked.goal.config, data)
    rest = request(data, training__save_gradients=True)
    record = json.loads(advance(*rest, layout).read_text())
    other = Layout(layout.root.with_name("other"))
    assert record["weights"] == json.loads(advance(*request(data), other).read_text())["weights"]


def test_steps_without_a_save_cost_nothing(data, layout, monkeypatch):
    kept = []
    step = GradientLearner.train_step

    def look(self: GradientLearner, keep: bool = False) -> None:
        kept.append(keep)
        step(self, keep)

    monkeypatch.setattr(GradientLearner, "train_step", look)
    advance(*request(data, training__save_gradients=True, training__save_steps=5), layout)
    assert [i + 1 for i, keep in enumerate(kept) if keep] == [5, 10, 12]


def test_nobody_asked_nothing_is_there(data, layout):
    asked = request(data, training__save_steps=5, training__keep_best=1)
    advance(*asked, layout)
    assert not list(layout.root.rglob("gradient*"))


# Wanted later


WANTED = {"training__save_gradients": True}


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "digests.json"}


@pytest.mark.parametrize("save_steps", [None, 4])
def test_a_checkpoint_gets_them_later_and_nothing_else_changes(save_steps, data, layout):
    record = advance(*request(data, training__save_steps=save_steps), layout)
    asked = request(data, training__save_steps=save_steps, **WANTED)
    run = run_of(asked, layout)
    place = run.path / "checkpoint_12"
    before, metrics = files(place), (run.path / METRICS).read_bytes()
    steps, content = checkpoint.steps_of(run.path), record.read_bytes()
    assert not run.is_served(asked.goal)
    assert advance(*asked, layout) == record
    assert run.is_served(asked.goal)
    assert Attempts(run).all()[-1]["from_step"] == (8 if save_steps else 0)
    after = files(place)
    gradients = after.pop("gradients.pt")
    assert gradients and after == before and checkpoint.find_damage(place) is None
    assert (run.path / "final_checkpoint/gradients.pt").read_bytes() == gradients
    assert record.read_bytes() == content and (run.path / METRICS).read_bytes() == metrics
    assert checkpoint.steps_of(run.path) == steps and not (run.path / "again").exists()
    attempts = len(Attempts(run).all())
    assert advance(*asked, layout) == record and len(Attempts(run).all()) == attempts
    learner = make_learner(asked.goal.config, data)
    for _ in range(11):
        learner.train_step()
    assert_close(load(place), by_hand(learner), 1e-6)


def test_other_samples_are_trained_again_and_fewer_wishes_are_not(data, layout):
    asked = request(data, training__gradient_samples=2, **WANTED)
    advance(*asked, layout)
    run = run_of(asked, layout)
    advance(*request(data, **WANTED), layout)
    advance(*request(data), layout)
    assert len(Attempts(run).all()) == 1
    advance(*request(data, training__gradient_samples=3, **WANTED), layout)
    assert len(Attempts(run).all()) == 2
    samples = load(run.path / "checkpoint_12", "gradient_samples.pt")
    assert {len(tensor) for tensor in samples.values()} == {3}


def test_a_pruned_checkpoint_comes_back_with_them_only_with_its_weights(data, layout):
    record = advance(*request(data), layout)
    asked = request(data, **WANTED)
    run = run_of(asked, layout)
    claim(run, "s", "p", "t")
    release(run, "s", "p", "t")
    assert advance(*asked, layout) == record and not run.has_weights(12)
    advance(*request(data, {"weights": True}, **WANTED), layout)
    assert GradientRequest(True).is_met(run.path / "checkpoint_12")


def test_gradients_of_other_weights_are_refused(data, layout, monkeypatch):
    """As on a device that rounds otherwise."""
    advance(*request(data), layout)
    run = run_of(request(data), layout)
    before = files(run.path / "checkpoint_12")
    write = GradientSnapshot.write

    def otherwise(self: GradientSnapshot, folder: Path) -> None:
        self.weights["transformer.wte.weight"] += 1e-7
        write(self, folder)

    monkeypatch.setattr(GradientSnapshot, "write", otherwise)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"differ\b.*resweep forget runs"):
            advance(*request(data, **WANTED), layout)
    assert files(run.path / "checkpoint_12") == before


@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_crash_while_they_take_their_place_is_made_good(moment, data, layout, monkeypatch):
    record = advance(*request(data), layout)
    run = run_of(request(data), layout)
    place = run.path / "checkpoint_12"
    rename, rmtree = Path.rename, checkpoint.shutil.rmtree

    class Crash(BaseException):
        pass

    def renamed(self: Path, target: Path) -> Path:
        if moment == "before" and self == place:
            raise Crash
        if moment == "between" and target == place and self.parent.name == "again":
            raise Crash
        return rename(self, target)

    def removed(path: Path, *arguments: Any, **options: Any) -> None:
        if moment == "after" and Path(path).parent == run.path:
            raise Crash
        rmtree(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", renamed)
        patch.setattr(checkpoint.shutil, "rmtree", removed)
        with pytest.raises(Crash):
            advance(*request(data, **WANTED), layout)
    assert place.exists() == (moment != "between")
    assert advance(*request(data, {"weights": True}, **WANTED), layout) == record
    assert GradientRequest(True).is_met(place) and checkpoint.find_damage(place) is None
    assert checkpoint.weights_digest(place) == json.loads(record.read_text())["weights"]


def test_an_earlier_stop_may_want_them_too(data, layout):
    advance(*request(data, {"stop": 5}), layout)
    advance(*request(data), layout)
    asked = request(data, {"stop": 5}, **WANTED)
    advance(*asked, layout)
    run = run_of(asked, layout)
    assert GradientRequest(True).is_met(run.path / "checkpoint_5")
    assert not GradientRequest(True).is_met(run.path / "checkpoint_12")
    assert run.state()["status"] == "finished" and run.state()["step"] == 12


def test_the_guide_reads_them(data, layout):
    asked = request(data, training__gradient_samples=3, **WANTED)
    advance(*asked, layout)
    (example,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    command = [sys.executable, "-c", example]
    said = subprocess.run(command, cwd=layout.root.parent, check=True, capture_output=True)
    lines = said.stdout.decode().splitlines()
    assert lines[0].endswith("checkpoint_12")
    assert [line.split()[0] for line in lines[1:6]] == ["wte", "wpe", "h.0", "h.1", "ln_f"]
    gradients = load(run_of(asked, layout).path / "checkpoint_12").values()
    square = sum(tensor.square().sum().item() for tensor in gradients)
    assert float(lines[-1].split()[-1]) == pytest.approx(square, rel=1e-3)
