"""W&B beside a training: everything arrives, and nothing that happens to it matters."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from resweep.config.compose import leaves
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import train_trial
from resweep.paths import METRICS, TIMING, Layout, follower_log
from resweep.study.load import load_study
from resweep.training.metrics import read_metrics
from resweep.trials.record import read_record
from resweep.trials.trial import Trial
from resweep.wandb import follow as tracking
from resweep.wandb.follow import follow
from tests.support import wandb_runs
from tests.support.language import stop_rules

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


def following(folder, from_step, trial, layout, mode="offline"):
    """Follow the run abc, without monitors."""
    return follow(
        folder,
        from_step,
        run_id="abc",
        trial=trial,
        tracking={"wandb": mode},
        layout=layout,
        rules=stop_rules(),
    )


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
    assert not follower_log(untracked).exists()
    assert not (untracked.parents[1] / "tiny/wandb").exists()


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
    assert "hung" in warning
    told = [path for path in results.rglob("*") if path.is_file()]
    assert told and not any(FAKE_KEY.encode() in path.read_bytes() for path in told)


def test_failure_is_reported_at_once(trial, tmp_path, caplog):
    folder = tmp_path / "runs/abc"
    folder.mkdir(parents=True)
    with following(folder, 0, trial, Layout(tmp_path), "online"):
        deadline = time.monotonic() + 120
        while not warnings(caplog) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(warnings(caplog)) == 1
    assert len(warnings(caplog)) == 1


def write_lines(path, steps):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(json.dumps({"step": step, "x": step / 2}) + "\n" for step in steps)


def test_resumed_run_goes_on(trial, tmp_path):
    layout = Layout(tmp_path)
    folder = layout.run("abc")
    write_lines(folder / METRICS, [0, 5, 10])
    with following(folder, 10, trial, layout):
        write_lines(folder / METRICS, [15, 20])
    (run,) = wandb_runs.offline_runs(tmp_path / "tiny")
    assert [(sent["_step"], sent["x"]) for sent in run.history] == [(15, 7.5), (20, 10.0)]


def test_retraining_beside_sends_only_what_is_new(tmp_path):
    run = tmp_path / "abc"
    write_lines(run / METRICS, [0, 5, 10])
    assert tracking._last_sent(run / "again", 0, run) == 10
    assert tracking._last_sent(run, 0, run) == -1  # begins anew: step 0 counts
    assert tracking._last_sent(run, 5, run) == 5


def test_lines_are_read_once_and_whole(tmp_path):
    path = tmp_path / METRICS
    tail = tracking._Tail(path)
    assert list(tail.new_lines()) == []
    path.write_text('{"step": 1}\n{"st')
    assert list(tail.new_lines()) == [{"step": 1}]
    assert list(tail.new_lines()) == []
    with path.open("a") as file:
        file.write('ep": 2}\n')
    path.write_bytes(b"\0" * 12 + path.read_bytes()[12:])  # what was read is not read again
    assert list(tail.new_lines()) == [{"step": 2}]


TRAINER = """
import sys, time
from pathlib import Path
from resweep.paths import Layout
from resweep.trials.trial import Trial
from tests.integration.wandb.test_tracking import following
root = Path(sys.argv[1])
with following(root / "runs/abc", 0, Trial("tiny", "sweep", "t"), Layout(root)):
    print("following", flush=True)
    time.sleep(60)
"""


def test_follower_of_a_killed_trainer_sends_the_rest_and_ends(tmp_path):
    write_lines(tmp_path / "runs/abc" / METRICS, [0, 5])
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert trainer.stdout.readline() == "following\n"
    assert len(_processes_about(tmp_path)) == 2
    write_lines(tmp_path / "runs/abc" / METRICS, [10])
    trainer.send_signal(signal.SIGKILL)
    trainer.wait()
    deadline = time.monotonic() + 120
    while _processes_about(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _processes_about(tmp_path)
    (run,) = wandb_runs.offline_runs(tmp_path / "tiny")
    assert run.ended
    assert [sent["_step"] for sent in run.history] == [0, 5, 10]


def _processes_about(folder):
    """Processes whose command line names the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in file.read_bytes():
                found.append(file)
        except OSError:  # it ended meanwhile
            pass
    return found
