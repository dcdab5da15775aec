"""Early stopping in the store: live or from the file, killed or not, and on to the end after it."""

import json
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.config.early_stopping_section import EarlyStopping
from resweep.config.section import LABEL
from resweep.data.store import Prepared
from resweep.errors import Interrupted
from resweep.jobs.options import JobOptions
from resweep.jobs.resources import LINK
from resweep.jobs.train_trial import train_trial
from resweep.paths import METRICS, Layout
from resweep.store.advance import advance
from resweep.store.attempts import Attempts
from resweep.store.run import Run
from resweep.study.load import load_study
from resweep.study.schema import Resources
from resweep.training.gradient_learner import GradientLearner
from resweep.training.metrics import read_metrics
from resweep.training.monitors import first_stop
from resweep.trials.trial import Trial
from tests.support.asked import Asked, ask, run_of
from tests.support.learners import make_learner
from tests.support.needs import trial_needs
from tests.support.problems import assert_problem, problem_of, problems_of
from tests.support.tiny import configure, prepare

# The loss of the first lines changes by less than half of it: three lines of four steps are flat.
FLAT = {"loss_patience": 3, "loss_relative_flat_tolerance": 0.5, "loss_min_steps_before_check": 0}
LATER = FLAT | {"loss_min_steps_before_check": 20}
STEPS = {"training__max_steps": 24, "training__save_steps": 5}
STOP, LATE = 12, 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("data"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results")


def request(data: Prepared, monitors: dict[str, Any] | None = None, **options: Any) -> Asked:
    changes = {f"early_stopping__{name}": value for name, value in (monitors or {}).items()}
    changes |= STEPS | options.pop("changes", {})
    return ask(configure(data, **changes), data, **options)


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def from_file(asked: Asked, run: Run):
    return first_stop(read_metrics(run.path / METRICS), asked.goal.rules)


def steps_trained(run: Run) -> int:
    return sum(part["to_step"] - part["from_step"] for part in run.state()["segments"])


def test_live_is_what_the_file_says(data, layout):
    asked = request(data, FLAT)
    path = advance(*asked, layout)
    record, run = read(path), run_of(asked, layout)
    stop = from_file(asked, run)
    assert path.name == f"{STOP}-{stop.name}.json" and path.parent == run.path / "records"
    assert (record["step"], record["status"], record["rule"]) == (STOP, "stopped", "loss-flat")
    assert (stop.step, stop.status, stop.reason) == (STOP, record["status"], record["stop_reason"])
    lines = read_metrics(run.path / METRICS)
    assert lines[-1]["step"] == STOP
    assert record["metrics"]["train/loss"] == lines[-1]["train/loss"]
    assert record["weights"] is not None and run.has_weights(STOP)
    assert run.state()["status"] == "stopped"
    assert advance(*asked, layout) == path and len(Attempts(run).all()) == 1


def test_without_the_monitor_the_run_goes_on_to_the_same_weights(data, layout):
    advance(*request(data, FLAT), layout)
    run = run_of(request(data), layout)
    finished = read(advance(*request(data), layout))
    assert (finished["status"], finished["step"], finished["rule"]) == ("finished", 24, None)
    assert steps_trained(run) == 24
    other = Layout(layout.root.with_name("other"))
    whole = read(advance(*request(data), other))
    assert finished["weights"] == whole["weights"] and finished["metrics"] == whole["metrics"]
    there = run_of(request(data), other).path / METRICS
    assert (run.path / METRICS).read_bytes() == there.read_bytes()
    assert run.has_weights(STOP), "a trial ended there"


def test_a_run_that_has_been_further_answers_without_training(data, layout):
    live = read(advance(*request(data, FLAT), Layout(layout.root.with_name("other"))))
    advance(*request(data), layout)
    run = run_of(request(data), layout)
    before = run.state()
    asked = request(data, FLAT)
    assert run.find_record(asked.goal) is None
    assert run.is_served(asked.goal)
    made = read(advance(*asked, layout))
    assert run.state() == before
    same = ("step", "status", "rule", "stop_reason", "metrics", "max_steps", "code", "device")
    assert {name: made[name] for name in same} == {name: live[name] for name in same}
    assert made["weights"] is None
    assert run.find_record(asked.goal) is not None


def test_weights_of_a_stop_are_trained_beside_the_run_if_they_are_wanted(data, layout):
    live = read(advance(*request(data, FLAT), Layout(layout.root.with_name("other"))))
    finished = advance(*request(data, changes={"training__save_steps": None}), layout)
    run = run_of(request(data), layout)
    metrics = (run.path / METRICS).read_bytes()
    asked = request(data, FLAT, weights=True, keep_weights=False)
    assert not run.is_served(asked.goal)
    record = read(advance(*asked, layout))
    assert record["step"] == STOP and record["weights"] == live["weights"]
    assert run.has_weights(STOP) and (run.path / METRICS).read_bytes() == metrics
    assert run.state()["status"] == "finished" and run.state()["step"] == 24
    assert advance(*request(data), layout) == finished


def test_two_settings_are_two_stops_of_one_run(data, layout):
    first, second = (read(advance(*request(data, s), layout)) for s in (FLAT, LATER))
    assert first["run_id"] == second["run_id"]
    assert (first["step"], second["step"]) == (STOP, LATE)
    run = run_of(request(data), layout)
    assert steps_trained(run) == LATE
    # At the same step under other settings: another reason, so another file.
    other = FLAT | {"loss_relative_flat_tolerance": 0.6}
    third = read(advance(*request(data, other), layout))
    assert third["step"] == STOP and third["stop_reason"] != first["stop_reason"]
    assert steps_trained(run) == LATE
    assert third["weights"] == first["weights"], "the checkpoint is there"


def test_a_record_of_a_monitor_answers_only_who_has_it(data, layout):
    advance(*request(data, FLAT), layout)
    run = run_of(request(data), layout)

    def find(monitors: dict[str, Any] | None = None, stop: int = 24) -> Path | None:
        return run.find_record(request(data, monitors, stop=stop).goal)

    assert find() is None and find(stop=STOP) is None
    assert find({"plateau_patience": 100}) is None
    assert find(FLAT, stop=STOP - 1) is None
    assert find(FLAT, stop=STOP) is not None


def test_the_step_asked_for_comes_before_a_later_stop(data, layout):
    asked = request(data, FLAT, stop=8)
    record = read(advance(*asked, layout))
    assert (record["step"], record["rule"]) == (8, None)
    record = read(advance(*request(data, FLAT, stop=STOP), layout))
    assert (record["step"], record["rule"]) == (STOP, "loss-flat")


def test_at_the_horizon_a_run_has_finished(data, layout):
    asked = request(data, FLAT, changes={"training__max_steps": STOP})
    record = read(advance(*asked, layout))
    assert (record["step"], record["status"], record["rule"]) == (STOP, "finished", None)


class Killed(BaseException):
    """Ends a training as abruptly as a signal."""


@pytest.mark.parametrize("at", range(1, STOP + 1))
def test_killed_and_resumed_it_stops_at_the_same_step(data, layout, monkeypatch, at):
    whole = read(advance(*request(data, FLAT), Layout(layout.root.with_name("other"))))
    step = GradientLearner.train_step

    def killed(self: GradientLearner, *_: Any) -> None:
        if self.step == at - 1:
            raise Killed
        step(self)

    monkeypatch.setattr(GradientLearner, "train_step", killed)
    with pytest.raises(Killed):
        advance(*request(data, FLAT), layout)
    monkeypatch.undo()
    record = read(advance(*request(data, FLAT), layout))
    same = ("step", "status", "rule", "stop_reason", "metrics", "weights")
    assert {name: record[name] for name in same} == {name: whole[name] for name in same}


def test_killed_before_the_record_was_written_it_is_made_of_the_file(data, layout, monkeypatch):
    def killed(self: Run, *arguments: Any) -> Path:
        raise Killed

    monkeypatch.setattr(Run, "write_record", killed)
    with pytest.raises(Killed):
        advance(*request(data, FLAT), layout)
    monkeypatch.undo()
    run = run_of(request(data), layout)
    assert run.has_weights(STOP) and not run.records()
    record = read(advance(*request(data, FLAT), layout))
    assert record["step"] == STOP and record["weights"] is not None
    assert len(Attempts(run).all()) == 1


def test_lines_beyond_the_last_checkpoint_are_trained_again(data, layout, monkeypatch):
    """They belong to nobody yet: the trial with the monitor gets its weights, the other goes on."""
    step = GradientLearner.train_step

    def killed(self: GradientLearner, *_: Any) -> None:
        if self.step == 14:  # checkpoint 10, lines up to 12
            raise Killed
        step(self)

    monkeypatch.setattr(GradientLearner, "train_step", killed)
    with pytest.raises(Killed):
        advance(*request(data), layout)
    monkeypatch.undo()
    run = run_of(request(data), layout)
    assert not run.is_served(request(data, FLAT).goal)
    record = read(advance(*request(data, FLAT), layout))
    assert record["step"] == STOP and record["weights"] is not None
    assert Attempts(run).all()[-1]["from_step"] == 10
    advance(*request(data), layout)
    assert Attempts(run).all()[-1]["from_step"] == STOP


def test_an_interrupted_run_of_another_is_not_cut_back(data, layout):
    """A stop before the checkpoint of an unfinished run comes of its file, and takes none of it."""
    told = iter([False] * 18 + [True])
    with pytest.raises(Interrupted):
        advance(*request(data, interrupted=lambda: next(told)), layout)
    run = run_of(request(data), layout)
    lines = (run.path / METRICS).read_bytes()
    record = read(advance(*request(data, FLAT), layout))
    assert record["step"] == STOP and (run.path / METRICS).read_bytes() == lines
    wanted = read(advance(*request(data, FLAT, weights=True), layout))
    assert wanted["step"] == STOP and run.has_weights(STOP)
    assert (run.path / METRICS).read_bytes() == lines
    assert read(advance(*request(data), layout))["status"] == "finished"
    assert Attempts(run).all()[-1]["from_step"] == 18


def test_an_earlier_stop_goes_on_from_a_checkpoint_before_it(data, layout):
    """Beside the run, but not from scratch: what was saved before the stop is used."""
    advance(*request(data), layout)
    run = run_of(request(data), layout)
    metrics = (run.path / METRICS).read_bytes()
    record = read(advance(*request(data, stop=13), layout))
    assert Attempts(run).all()[-1]["from_step"] == 10
    assert record["step"] == 13 and (run.path / METRICS).read_bytes() == metrics
    other = Layout(layout.root.with_name("other"))
    whole = read(advance(*request(data, stop=13), other))
    assert record["weights"] == whole["weights"] and record["metrics"] == whole["metrics"]


def test_a_diverging_loss_is_a_status_of_the_trial_and_not_of_the_run(data, layout):
    hot = {"training__learning_rate": 3.0, "training__grad_clip": 0.0, "training__pct_warmup": 0.9}
    asked = request(data, {"divergence_factor": 1.5, "loss_smoothing": 0.0}, changes=hot)
    record, run = read(advance(*asked, layout)), run_of(asked, layout)
    assert (record["status"], record["rule"]) == ("diverged", "divergence")
    assert record["step"] < 24 and run.state()["status"] == "stopped"
    finished = read(advance(*request(data, changes=hot), layout))
    assert finished["status"] == "finished"


def test_a_run_that_diverged_answers_who_stops_before(data, layout):
    """Stopped at the second line; the loss was no number at the third."""
    early = {"loss_patience": 2, "loss_relative_flat_tolerance": 9.0}
    early |= {"loss_min_steps_before_check": 0}
    step = GradientLearner.train_step

    def broken(self: GradientLearner, *_: Any) -> None:
        step(self)
        if self.step == 10:
            self.loss_sum += float("nan")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GradientLearner, "train_step", broken)
        assert read(advance(*request(data), layout))["status"] == "diverged"
    run = run_of(request(data), layout)
    attempts = len(Attempts(run).all())
    record = read(advance(*request(data, early), layout))
    assert (record["step"], record["status"]) == (8, "stopped")
    assert len(Attempts(run).all()) == attempts
    assert read(advance(*request(data, LATER), layout))["status"] == "diverged"


def test_what_the_metrics_answer_asks_for_no_gpu(data, layout, monkeypatch):
    monkeypatch.setattr("resweep.data.store.find", lambda *_: data)
    wanted = Resources(gpus=2)
    trial = Trial("s", "p", "t", config=request(data, FLAT).goal.config)
    assert trial_needs(trial, wanted, "best", layout).gpus == 2
    advance(*request(data), layout)
    assert trial_needs(trial, wanted, "best", layout) == LINK
    assert trial_needs(trial, wanted, "all", layout).gpus == 2


def test_what_the_metrics_answer_needs_no_trainer(data, layout, monkeypatch):
    def train(monitors: dict[str, Any], name: str) -> dict[str, Any]:
        trial = Trial("s", "p", name, config=request(data, monitors).goal.config)
        record = layout.record("s", "p", name)
        options = JobOptions(results=layout.root, device="cpu", lock_timeout=5.0)
        train_trial(trial, record, options)
        return read(record)

    monkeypatch.setattr("resweep.data.store.ensure", lambda *_: data)
    assert train({}, "whole")["step"] == 24
    monkeypatch.setattr("resweep.store.advance.advance", None)
    found = train(FLAT, "flat")
    assert (found["step"], found["rule"]) == (STOP, "loss-flat")
    assert layout.record("s", "p", "flat").resolve().name.startswith(f"{STOP}-loss-flat-")


# Evaluations at a stop


@pytest.mark.parametrize(("stop", "count"), [(6, 2), (12, 3), (7, 3)])
def test_a_stop_is_evaluated_once(data, layout, monkeypatch, stop, count):
    """Every 6 steps, and at the stop if that is another step."""
    evaluate, calls = GradientLearner.evaluate, []

    def counted(self: GradientLearner) -> dict[str, float]:
        calls.append(self.step)
        return evaluate(self)

    monkeypatch.setattr(GradientLearner, "evaluate", counted)
    asked = request(data, stop=stop)
    record, run = read(advance(*asked, layout)), run_of(asked, layout)
    assert len(calls) == len(set(calls)) == count
    learner = make_learner(asked.goal.config, data)
    learner.load(run.path / f"checkpoint_{stop}")
    expected = evaluate(learner)
    assert {name: record["metrics"][name] for name in expected} == expected


# Configuration

ROOT = Path(__file__).resolve().parents[3]


def load(folder: Path, overrides: dict[str, Any] | None = None, **changes: Any):
    """A study of one sweep over what `changes` say, with the shipped module."""
    sweep = changes.pop("sweep", {"learning_rate": {"values": [1e-3, 1e-2]}})
    study = {
        "name": "mine",
        "base": {"training": "quick", "early_stopping": "loss-monitor"},
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": str(folder / "s.yaml")}],
    }
    (folder / "s.yaml").write_text(yaml12.dump({"method": "grid", "parameters": sweep}))
    (folder / "mine.yaml").write_text(yaml12.dump(study | changes))
    return load_study(folder / "mine.yaml", ROOT / "config", overrides).phases[0]


def test_monitors_are_configured_as_everything_else(tmp_path):
    config = load(tmp_path).config["early_stopping"]
    assert EarlyStopping(**config) == EarlyStopping(loss_patience=4)
    changed = load(tmp_path, {"loss_patience": None}, set={"plateau_patience": 3})
    assert changed.config["early_stopping"] == config | {
        "loss_patience": None,
        "plateau_patience": 3,
    }


def test_a_monitor_can_be_swept(tmp_path):
    phase = load(tmp_path, sweep={"divergence_factor": {"values": [2, 3]}})
    factors = [
        phase.trial_config(name)["early_stopping"]["divergence_factor"] for name in phase.trials
    ]
    assert factors == [2.0, 3.0]


def test_what_no_monitor_reads_is_an_error(tmp_path):
    key = "early_stopping.patience"
    assert_problem(problem_of(load, tmp_path, set={key: 4}), key, 4, "loss_patience")
    problem = problem_of(load, tmp_path, set={"early_stopping.loss_patiense": 4})
    assert_problem(problem, "early_stopping.loss_patiense", 4, " early_stopping.loss_patience?")
    found = problems_of(load, tmp_path, sweep={key: {"values": [2, 3]}})
    assert_problem(found, key, 2, "loss_patience")


def test_no_setting_of_a_monitor_is_part_of_a_run():
    assert all(LABEL in field.metadata for field in EarlyStopping.model_fields.values())
