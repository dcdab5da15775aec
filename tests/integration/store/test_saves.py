"""Checkpoints of a run: when they are saved, which stay, and that writing them loses nothing."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from resweep.config.metric import Logged, Metric
from resweep.config.training_section import Training
from resweep.data.store import Prepared
from resweep.errors import Interrupted
from resweep.paths import METRICS, Layout
from resweep.store import checkpoints as checkpoint
from resweep.store.advance import advance
from resweep.store.attempts import Attempts
from resweep.store.retention import Policy, Values, claim, release
from resweep.store.run import Run
from resweep.training.checkpoint_schedule import CheckpointSchedule
from resweep.training.gradient_learner import GradientLearner
from resweep.training.metrics import read_metrics
from resweep.training.snapshot import GradientSnapshot
from resweep.training.writer import Writer
from tests.conftest import ROOT
from tests.support.asked import Asked, ask, run_of
from tests.support.learners import make_learner
from tests.support.tiny import configure, prepare

VAL_LOSS = Metric(name="val/loss", logged=Logged.EVALUATION)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """As in jobs, and in the process that is killed below."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("data"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results")


def request(data: Prepared, *, options: dict[str, Any] | None = None, **training: Any) -> Asked:
    changes = {f"training__{name}": value for name, value in training.items()}
    return ask(configure(data, **changes), data, **(options or {}))


def train(asked: Asked, layout: Layout) -> tuple[Run, dict[str, Any]]:
    record = json.loads(advance(*asked, layout).read_text())
    return run_of(asked, layout), record


def saved(run: Run) -> list[int]:
    return checkpoint.steps_of(run.path)


def losses_of(run: Run) -> Values:
    return Values(VAL_LOSS, read_metrics(run.path / METRICS))


# Which stay


LOSSES = [
    {"step": step, "val/loss": loss} for step, loss in ((10, 3.0), (20, 1.0), (30, 2.0), (40, 2.0))
]


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (Policy(), set()),
        (Policy(every=20), {20, 40}),
        (Policy(last=2), {40, 50}),
        (Policy(every=20, last=1), {50}),
        (Policy(best=1), {20}),
        (Policy(best=2), {20, 30}),
        (Policy(best=9), {10, 20, 30, 40}),
        (Policy(every=40, best=1), {20, 40}),
        (Policy(every=20, last=1, best=1), {20, 50}),
    ],
    ids=str,
)
def test_a_policy_keeps_what_it_says(policy, kept):
    assert policy.keeps([50, 10, 20, 30, 40], Values(VAL_LOSS, LOSSES)) == kept


def test_the_best_come_first_and_the_earlier_of_equals():
    assert Values(VAL_LOSS, LOSSES).best_first([5, 40, 30, 10, 20]) == [20, 30, 40, 10]


def test_of_a_metric_to_maximize_the_greatest_come_first():
    accuracy = Metric(name="val/loss", logged=Logged.EVALUATION, goal="maximize")
    assert Values(accuracy, LOSSES).best_first([40, 30, 10, 20]) == [10, 30, 40, 20]


@pytest.mark.parametrize("count", [1, 3, 20])
def test_the_last_stay(count, data, layout):
    run, _ = train(request(data, save_steps=2, keep_last=count), layout)
    assert saved(run) == list(range(2, 13, 2))[-count:]


def test_without_a_number_all_of_save_steps_stay_and_nothing_else(data, layout):
    assert saved(train(request(data, save_steps=5), layout)[0]) == [5, 10, 12]
    other = Layout(layout.root.with_name("other"))
    assert saved(train(request(data), other)[0]) == [12]


@pytest.mark.parametrize("count", [1, 2])
def test_the_best_evaluations_are_saved_and_stay(count, data, layout):
    """A rate that blows up after the start: the best evaluations are early ones."""
    hot = {"learning_rate": 0.7, "warmup_steps": 8, "pct_warmup": None, "scheduler": "constant"}
    run, _ = train(request(data, keep_best=count, eval_steps=2, max_steps=20, **hot), layout)
    losses = losses_of(run)
    del losses.by_step[0]  # before the first step there is nothing to save
    best = losses.best_first(losses.by_step)[:count]
    assert 20 not in best
    assert saved(run) == sorted({*best, 20})
    listed = [{"step": step, "val/loss": losses.by_step[step]} for step in best]
    assert run.state()["best_checkpoints"] == listed


@pytest.mark.parametrize("at", [3, 5, 8, 11, 16])
def test_the_best_are_the_same_for_a_run_that_was_interrupted(at, data, layout):
    hot = {"learning_rate": 0.7, "warmup_steps": 8, "pct_warmup": None, "scheduler": "constant"}
    asked = {"keep_best": 2, "eval_steps": 2, "max_steps": 20, **hot}
    whole, _ = train(request(data, **asked), Layout(layout.root.with_name("whole")))
    told = iter([False] * at + [True])
    with pytest.raises(Interrupted):
        train(request(data, options={"interrupted": lambda: next(told)}, **asked), layout)
    run, _ = train(request(data, **asked), layout)
    assert run.state()["best_checkpoints"] == whole.state()["best_checkpoints"]
    assert saved(run) == saved(whole)


def test_the_evaluation_before_the_first_step_is_no_rival_of_a_resumed_run(data, layout):
    """From the first step on everything is worse than at the start: still the best is saved."""
    bad = {"learning_rate": 3.0, "pct_warmup": 0.0, "grad_clip": 0.0, "scheduler": "constant"}
    asked = {"keep_best": 1, "eval_steps": 4, **bad}
    train(request(data, options={"stop": 1}, **asked), layout)
    run, _ = train(request(data, **asked), layout)
    losses = losses_of(run).by_step
    assert losses[0] < min(losses[step] for step in (4, 8, 12))
    best = min((4, 8, 12), key=lambda step: losses[step])
    assert best in saved(run) and run.state()["best_checkpoints"][0]["step"] == best


def test_rungs_stay_beside_the_last_and_the_best(data, layout):
    asked = {"keep_last": 1, "keep_best": 1, "save_steps": 2}
    for stop in (5, 7, 12):
        run, _ = train(request(data, options={"stop": stop}, **asked), layout)
    assert saved(run) == [5, 7, 12]
    for stop in (5, 7, 12):
        asked_for = request(data, options={"stop": stop, "weights": True}).goal
        assert run.find_record(asked_for) is not None


def test_what_one_trial_keeps_stays_when_another_trains_the_run_further(data, layout):
    train(request(data, save_steps=3, options={"stop": 8}), layout)
    run, _ = train(request(data, keep_last=1), layout)
    assert saved(run) == [3, 6, 8, 12]


def test_without_claims_none_stay_and_the_list_of_the_best_is_empty(data, layout):
    run, _ = train(request(data, keep_best=2, keep_last=3, save_steps=2), layout)
    assert len(run.state()["best_checkpoints"]) == 2
    claim(run, "s", "p", "t")
    release(run, "s", "p", "t")
    assert saved(run) == [] and run.state()["best_checkpoints"] == []
    assert run.find_record(request(data).goal) is not None


def test_while_it_trains_the_two_newest_are_there(data, layout, monkeypatch):
    """Should the newest be damaged, the one before is used."""
    seen = []
    step = GradientLearner.train_step

    def look(self: GradientLearner, *arguments: Any) -> None:
        seen.append(saved(run))
        step(self, *arguments)

    asked = request(data, save_steps=1, keep_last=1)
    run = run_of(asked, layout)
    monkeypatch.setattr(GradientLearner, "train_step", look)
    train(asked, layout)
    assert saved(run) == [12]
    assert all(len(steps) <= 3 for steps in seen) and len(seen[-1]) >= 2


def test_a_retraining_beside_the_run_keeps_nothing_but_what_was_asked(data, layout):
    run, record = train(request(data, save_steps=2, keep_best=1, eval_steps=2), layout)
    claim(run, "s", "p", "t")
    release(run, "s", "p", "t")
    again = request(data, save_steps=2, keep_best=1, eval_steps=2, options={"weights": True})
    assert train(again, layout)[1]["weights"] == record["weights"]
    assert saved(run) == [12]


# When they are saved


def saves(until: int = 12, monitored: bool = False, **training: Any) -> CheckpointSchedule:
    settings = {"save_steps": None, "keep_best": None, "log_steps": 4, "eval_steps": 6}
    settings |= {"save_gradients": True, "gradient_samples": None, **training}
    return CheckpointSchedule(Training(max_steps=until, **settings), until, monitored)


@pytest.mark.parametrize(
    ("training", "monitored", "steps"),
    [
        ({}, False, [12]),
        ({"keep_best": 2}, False, [6, 12]),
        ({}, True, [4, 6, 8, 12]),
    ],
)
def test_it_is_known_before_a_step_whether_a_checkpoint_may_follow(training, monitored, steps):
    planned = saves(monitored=monitored, **training)
    assert [step for step in range(1, 13) if planned.may_follow(step)] == steps


def test_a_save_is_due_every_so_many_steps_or_once_a_minute(monkeypatch):
    assert [step for step in range(1, 13) if saves(save_steps=5).due(step)] == [5, 10]
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    planned = saves()
    assert not planned.due(1)
    now[0] += 61
    assert planned.due(2)
    planned.saved()
    assert not planned.due(3)


# Writing beside the training


def test_the_training_goes_on_while_a_checkpoint_is_written(data, layout, monkeypatch):
    write, step = GradientSnapshot.write, GradientLearner.train_step
    beyond = threading.Event()

    def slow(self: GradientSnapshot, folder: Path) -> None:
        if self.step == 4:
            assert beyond.wait(60)
        write(self, folder)

    def tell(self: GradientLearner, *arguments: Any) -> None:
        step(self, *arguments)
        if self.step == 7:
            assert not (run.path / "checkpoint_4").exists()
            assert "checkpoint" not in json.dumps(run.state()) and run.state()["step"] == 0
            beyond.set()

    monkeypatch.setattr(GradientSnapshot, "write", slow)
    monkeypatch.setattr(GradientLearner, "train_step", tell)
    asked = request(data, save_steps=4)
    run = run_of(asked, layout)
    train(asked, layout)
    assert saved(run) == [4, 8, 12]
    plain = make_learner(asked.goal.config, data)
    for _ in range(4):
        step(plain)
    weights = plain.objective.model.read(run.path / "checkpoint_4")
    for name, parameter in plain.objective.model.named_parameters():
        assert torch.equal(weights[name], parameter), name


def test_an_error_of_the_writer_is_one_of_the_training(data, layout, monkeypatch):
    write = GradientSnapshot.write

    def broken(self: GradientSnapshot, folder: Path) -> None:
        if self.step == 8:
            raise OSError("no space left")
        write(self, folder)

    monkeypatch.setattr(GradientSnapshot, "write", broken)
    asked = request(data, save_steps=4)
    run = run_of(asked, layout)
    with pytest.raises(OSError, match="no space left"):
        train(asked, layout)
    assert saved(run) == [4] and run.state()["step"] == 4 and not run.records()
    assert Attempts(run).all()[-1]["end"] == "machine: OSError: no space left"
    monkeypatch.undo()
    assert train(asked, layout)[1]["status"] == "finished"
    assert Attempts(run).all()[-1]["from_step"] == 4


def test_an_error_of_the_last_write_leaves_no_record(data, layout, monkeypatch):
    monkeypatch.setattr(GradientSnapshot, "write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(request(data), layout)
    asked = request(data)
    assert not run_of(asked, layout).records()


def test_a_library_that_cannot_write_is_a_fault_of_the_machine(data, tmp_path):
    snapshot = make_learner(configure(data), data).snapshot()

    def write(folder):
        (folder / "optimizer.safetensors").mkdir()
        snapshot.write(folder)

    place = tmp_path / "checkpoint_0"
    with pytest.raises(IsADirectoryError) as raised:
        checkpoint.write_checkpoint(place, write, lambda: None)
    assert raised.value.filename == str(place)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_does_one_thing_after_the_other():
    done: list[int] = []
    with Writer() as writer:
        for i in range(20):
            writer.begin(lambda i=i: done.append(i))
    assert done == list(range(20))


@pytest.mark.parametrize("how", ["begin", "wait", "leave"])
def test_an_error_in_the_background_is_raised_once(how):
    with pytest.raises(ZeroDivisionError), Writer() as writer:
        writer.begin(lambda: 1 / 0)
        if how == "begin":
            writer.begin(lambda: pytest.fail("not after an error"))
        if how == "wait":
            writer.wait()


def test_a_writer_hides_no_error_of_the_training(caplog):
    with pytest.raises(KeyError), Writer() as writer:
        writer.begin(lambda: 1 / 0)
        raise KeyError
    assert "division by zero" in caplog.text


KILLED = """
import sys, threading
from pathlib import Path
import torch
from resweep.paths import Layout
from resweep.store.advance import advance
from resweep.training.gradient_learner import GradientLearner
from resweep.training.snapshot import GradientSnapshot
from tests.support.tiny import prepare
from tests.integration.store.test_saves import request

write, step = GradientSnapshot.write, GradientLearner.train_step
writing = threading.Event()
torch.set_num_threads(1)

def half(self, folder):
    write(self, folder)
    if self.step == 8:
        (folder / "optimizer.safetensors").unlink()
        writing.set()
        threading.Event().wait()

def tell(self, *arguments):
    step(self, *arguments)
    if self.step == 11:
        writing.wait()
    print(self.step, flush=True)

GradientSnapshot.write, GradientLearner.train_step = half, tell
asked = request(prepare(Path(sys.argv[1])), save_steps=4)
advance(*asked, Layout(Path(sys.argv[2])))
"""


def test_killed_while_a_checkpoint_is_written_the_one_before_is_left(data, layout):
    asked = request(data, save_steps=4)
    whole, expected = train(asked, Layout(layout.root.with_name("whole")))
    command = [sys.executable, "-c", KILLED, str(data.folder), str(layout.root)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.strip() == "11":  # beyond the checkpoint that is being written
                break
        process.send_signal(signal.SIGKILL)
    run = Run(layout.run(whole.run_id))
    assert process.returncode == -signal.SIGKILL
    assert saved(run) == [4] and run.state()["step"] == 4
    assert any(path.name.startswith(".checkpoint_8.") for path in run.path.iterdir())
    assert checkpoint.find_damage(run.path / "checkpoint_4") is None
    _, record = train(asked, layout)
    assert Attempts(run).all()[-1]["from_step"] == 4
    assert record["weights"] == expected["weights"] and saved(run) == saved(whole)
    assert not [path for path in run.path.iterdir() if path.name.startswith(".checkpoint")]
    assert (run.path / METRICS).read_bytes() == (whole.path / METRICS).read_bytes()


# Folders in checkpoints


def with_folder(folder: Path) -> None:
    (folder / "adapter/deep").mkdir(parents=True)
    (folder / "model.safetensors").write_text("weights")
    (folder / "adapter/deep/adapter.safetensors").write_text("low rank")


def test_files_in_folders_have_digests_too(tmp_path):
    place = tmp_path / "checkpoint_4"
    checkpoint.write_checkpoint(place, with_folder, lambda: None)
    assert checkpoint.read_digests(place).keys() == {
        "model.safetensors",
        "adapter/deep/adapter.safetensors",
        "run_id",
    }
    assert checkpoint.find_damage(place) is None
    (place / "adapter/deep/adapter.safetensors").write_text("low rink")
    assert "adapter/deep/adapter.safetensors" in checkpoint.find_damage(place)


@pytest.mark.parametrize(
    "name", ["../checkpoint_3/model.safetensors", "/etc/hostname", "a/../../b"]
)
def test_names_that_lead_out_of_the_folder_are_damage(name, tmp_path):
    place = tmp_path / "checkpoint_4"
    checkpoint.write_checkpoint(place, with_folder, lambda: None)
    digests = {"model.safetensors": "0" * 64, name: "0" * 64}
    (place / "digests.json").write_text(json.dumps(digests))
    assert "which is outside" in checkpoint.find_damage(place)
