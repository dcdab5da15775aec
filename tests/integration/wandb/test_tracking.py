"""W&B beside a training: everything arrives, and nothing that happens to it matters."""

import json
import logging
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from resweep.config.compose import leaves
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import train_trial
from resweep.paths import METRICS, TIMING, Layout, RunFolder
from resweep.publish.to_wandb import last_values
from resweep.study.load import load_study
from resweep.training.metrics import read_metrics
from resweep.trials.record import Status, read_record, write_record
from resweep.trials.trial import Trial
from resweep.wandb import follower as tracking
from resweep.wandb.follower import Follower
from resweep.wandb.sent import NOTHING, begin, sent_step
from tests.support import wandb_runs
from tests.support.language import stop_rules
from tests.support.wandb_pack import write_lines

ROOT = Path(__file__).resolve().parents[3]
FAKE_KEY = "0123456789abcdef" * 2 + "01234567"
SETTINGS = {
    "model.n_layer": 1,
    "model.n_embd": 16,
    "model.n_head": 2,
    "model.context_length": 16,
    "training.batch_size": 2,
    "training.max_steps": 20,
    "training.log_steps": 5,
    "training.eval_steps": 10,
    "training.eval_sequences": 4,
}
PLATEAU = {"early_stopping": {"plateau_metric": None}}


@pytest.fixture(autouse=True)
def account(tmp_path, monkeypatch):
    wandb_runs.hide_account(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def trial():
    study = load_study(ROOT / "config/studies/quickstart.yaml", ROOT / "config", SETTINGS)
    phase = study.phases[0]
    name = phase.trials[0]
    return Trial(
        "tiny",
        "sweep",
        name,
        config=phase.trial_config(name),
        assignments=phase.assignments[name],
    )


def train(trial, root, **settings):
    """Train into a results folder; returns the run's folder."""
    record = root / "tiny/sweep/records" / f"{trial.trial}.json"
    options = JobOptions(
        results=root, device="cpu", tracking=settings, lock_timeout=5.0, keep="all"
    )
    train_trial(trial, record, options)
    return root / "runs" / read_record(record).run_id


@pytest.fixture(scope="module")
def untracked(trial, tmp_path_factory):
    return train(trial, tmp_path_factory.mktemp("untracked") / "results", wandb="disabled")


@pytest.fixture
def results(untracked, tmp_path):
    """A results folder with the data prepared and no runs."""
    shutil.copytree(untracked.parents[1] / "data", tmp_path / "results/data")
    return tmp_path / "results"


@contextmanager
def following(folder, from_step, trial, layout, mode="offline", horizon=None):
    """Follow the run abc, without monitors; yields what takes how it ended."""
    with (
        Follower({"wandb": mode}, layout.study(trial.study)) as follower,
        follower.follow(
            folder,
            from_step,
            run=RunFolder(layout.run("abc")),
            trial=trial,
            rules=stop_rules(horizon),
        ) as say_end,
    ):
        yield say_end


def check_undisturbed(run, untracked):
    for name in (METRICS, "checkpoint_20/model.safetensors"):
        assert (run / name).read_bytes() == (untracked / name).read_bytes(), name


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_every_line_arrives(trial, results, untracked, caplog):
    folder = train(trial, results, wandb="offline", project="some-project", entity="some-team")
    check_undisturbed(folder, untracked)
    assert warnings(caplog) == []
    (run,) = wandb_runs.offline_runs(results / "tiny")
    assert run.ended
    assert run.run.run_id == folder.name
    assert run.run.display_name == f"sweep/{trial.trial}"
    assert run.run.run_group == "tiny/sweep"
    assert run.run.job_type == "sweep"
    assert (run.run.project, run.run.entity) == ("some-project", "some-team")
    expected = json.loads(json.dumps(dict(leaves(trial.config))))
    assert {name: run.config[name] for name in expected} == expected
    lines, timing = read_metrics(folder / METRICS), read_metrics(folder / TIMING)
    assert [sent["_step"] for sent in run.history] == [0, 5, 10, 15, 20]
    for line, sent in zip(lines, run.history, strict=True):
        assert {name: sent[name] for name in line if name != "step"} == {
            name: value for name, value in line.items() if name != "step"
        }
    speeds = [sent["timing/tokens_per_second"] for sent in run.history[1:]]
    assert "stop_reason" not in run.summary
    (record,) = map(read_record, (folder / "records").glob("*.json"))
    assert run.summary["test/loss"] == record.metrics["test/loss"]  # in no line of metrics.jsonl
    assert speeds == [line["tokens_per_second"] for line in timing]


def test_the_reason_of_a_stop_arrives(trial, results):
    monitors = {"loss_patience": 2, "loss_relative_flat_tolerance": 0.9}
    monitors |= {"loss_min_steps_before_check": 0}
    config = trial.config | {"early_stopping": trial.config["early_stopping"] | monitors}
    folder = train(replace(trial, config=config), results, wandb="offline")
    record = read_record(results / "tiny/sweep/records" / f"{trial.trial}.json")
    assert (record.step, record.rule, folder.name) == (10, "loss-flat", record.run_id)
    (run,) = wandb_runs.offline_runs(results / "tiny")
    assert run.summary["stop_rule"] == "loss-flat"
    assert run.summary["stop_reason"] == record.stop_reason


def test_without_tracking_no_trace(untracked):
    assert not (untracked.parents[1] / "tiny/wandb").exists()
    assert list(untracked.glob("wandb*")) == []


def test_broken_installation(trial, results, untracked, caplog, tmp_path, monkeypatch):
    (tmp_path / "stub/wandb").mkdir(parents=True)
    (tmp_path / "stub/wandb/__init__.py").write_text("raise RuntimeError('half installed')\n")
    inherited = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "stub"), inherited]))
    check_undisturbed(train(trial, results, wandb="offline"), untracked)
    (warning,) = warnings(caplog)
    assert "RuntimeError: half installed" in warning and "\n" not in warning


def test_online_without_a_key_says_so_and_asks_nothing(trial, results, untracked, caplog):
    start = time.monotonic()
    check_undisturbed(train(trial, results, wandb="online"), untracked)
    assert time.monotonic() - start < tracking.SECONDS_TO_FINISH["online"] / 2
    (warning,) = warnings(caplog)
    assert "No API key" in warning and "wandb login" in warning and "\n" not in warning


def test_unreachable_server(trial, results, untracked, caplog, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    monkeypatch.setitem(tracking.SECONDS_TO_FINISH, "online", 0.5)  # it tries for 20 s otherwise
    start = time.monotonic()
    check_undisturbed(train(trial, results, wandb="online"), untracked)
    assert time.monotonic() - start < 15
    (warning,) = warnings(caplog)
    assert "did not finish" in warning
    told = [path for path in results.rglob("*") if path.is_file()]
    assert told and not any(FAKE_KEY.encode() in path.read_bytes() for path in told)


def test_failure_is_reported_at_once(trial, tmp_path, caplog):
    folder = tmp_path / "runs/abc"
    write_lines(folder / METRICS, [0])
    with following(folder, 0, trial, Layout(tmp_path), "online"):
        deadline = time.monotonic() + 120
        while not warnings(caplog) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(warnings(caplog)) == 1
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(("noted", "first"), [(None, 15), (NOTHING, 0), (5, 10), (15, 20)])
def test_resumed_run_continues_after_what_was_sent(noted, first, trial, tmp_path):
    layout = Layout(tmp_path)
    run = RunFolder(layout.run("abc"))
    write_lines(run.metrics, [0, 5, 10])
    if noted is not None:
        begin(run, noted)
    with following(run.path, 10, trial, layout):
        write_lines(run.metrics, [15, 20])
    (run_sent,) = wandb_runs.offline_runs(tmp_path / "tiny")
    assert [line["_step"] for line in run_sent.history] == list(range(first, 25, 5))
    assert run_sent.history[-1]["x"] == 10.0


def test_retraining_beside_sends_only_what_is_new(trial, tmp_path):
    """Also if it is put in the run's place before its last lines are read."""
    layout = Layout(tmp_path)
    run = RunFolder(layout.run("abc"))
    write_lines(run.metrics, [0, 5, 10])
    write_lines(run.again / METRICS, [0])
    with following(run.again, 0, trial, layout):
        write_lines(run.again / METRICS, [5, 10, 15])
        (run.again / METRICS).replace(run.metrics)
        run.again.rmdir()
    (run_sent,) = wandb_runs.offline_runs(tmp_path / "tiny")
    assert [line["_step"] for line in run_sent.history] == [15]
    assert sent_step(run) == 15


@pytest.mark.parametrize("tracked", [True, False])
def test_a_trial_of_the_store_sends_what_was_lost(tracked, trial, untracked, tmp_path):
    shutil.copytree(untracked.parents[1], tmp_path / "results", symlinks=True)
    run = RunFolder(tmp_path / "results/runs" / untracked.name)
    if tracked:
        begin(run, 5)
    train(trial, tmp_path / "results", wandb="offline")
    sent = wandb_runs.offline_runs(tmp_path / "results/tiny")
    steps = [[line["_step"] for line in run_sent.history] for run_sent in sent]
    assert steps == ([[10, 15, 20]] if tracked else [])
    assert all("test/loss" in run_sent.summary for run_sent in sent)
    assert sent_step(run) == (20 if tracked else None)


def test_the_summary_of_a_publication_is_that_of_the_end_of_the_run(untracked, tmp_path):
    (record,) = map(read_record, (untracked / "records").glob("*.json"))
    assert last_values(RunFolder(untracked)).items() >= record.metrics.items()
    run = RunFolder(shutil.copytree(untracked, tmp_path / "run"))
    stopped = replace(record, step=5, status=Status.STOPPED, rule="plateau", stop_reason="flat")
    write_record(run.record("5-plateau"), stopped)  # by name after the one of step 20
    assert last_values(run) == last_values(RunFolder(untracked))
    run.record("20").unlink()
    assert last_values(run)["stop_rule"] == "plateau"


@pytest.mark.parametrize("killed", [False, True])
def test_a_training_killed_while_it_measures_its_end_sends_its_last_line_again(
    killed, trial, tmp_path
):
    layout = Layout(tmp_path)
    run = RunFolder(layout.run("abc"))
    for _ in range(2):
        run.metrics.unlink(missing_ok=True)
        write_lines(run.metrics, [0])
        with following(run.path, 0, trial, layout, horizon=10) as say_end:
            write_lines(run.metrics, [5, 10])
            if not killed:
                say_end(Status.FINISHED, {"test/x": 3.0})
        if killed:
            assert sent_step(run) == 5
        killed = False
    assert sent_step(run) == 10
    sent = wandb_runs.offline_runs(tmp_path / "tiny")
    assert sent[-1].summary["test/x"] == 3.0 and sent[-1].history[-1]["_step"] == 10


def test_the_end_of_a_training_shorter_than_the_start_of_its_follower_arrives(tmp_path):
    """What is followed and how it ended are in the socket before anything reads them."""
    layout = Layout(tmp_path)
    run = RunFolder(layout.run("abc"))
    write_lines(run.metrics, [0])
    trial = Trial("tiny", "sweep", "t", config={"system": "predictive_coding"} | PLATEAU)
    with following(run.path, 0, trial, layout, horizon=10) as say_end:
        say_end(Status.DIVERGED, {})
    (sent,) = wandb_runs.offline_runs(tmp_path / "tiny")
    assert sent.summary["early_stop_reason"] == "nan"
