"""What W&B gets of this machine: nothing, in the file of an offline run and over the network."""

import getpass
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from resweep.paths import METRICS, Layout, RunFolder
from resweep.publish.artifacts import publish
from resweep.publish.place import Place
from resweep.publish.versions import Content
from resweep.trials.trial import Trial
from resweep.wandb.follower import Follower
from tests.support import wandb_runs
from tests.support.language import stop_rules
from tests.support.wandb_server import Server, serve

KEY = "0123456789abcdef" * 2 + "01234567"
SECRET = "do-not-tell-anybody"
REMOTE = "https://example.com/some-repository"
ABSOLUTE = re.compile(r"(?:^|[\s\"'=,(\[])(/[\w.-]+/|~|file:)")


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of some repository, by somebody with a secret."""
    folder = tmp_path / "somebody/checkout"
    folder.mkdir(parents=True)
    wandb_runs.hide_account(monkeypatch, tmp_path / "somebody")
    monkeypatch.setenv("SOME_SECRET", SECRET)
    monkeypatch.chdir(folder)
    git = ("git", "-c", "user.name=some-author", "-c", "user.email=me@example.com")
    for words in (["init", "-q"], ["remote", "add", "origin", REMOTE]):
        subprocess.run([*git, *words], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    return folder


def head() -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


def check(sent: Iterable[tuple[str, str]]) -> None:
    """No text has a word about the machine, its user, their folders, commands or code."""
    words = (socket.gethostname(), getpass.getuser(), "somebody", "seconds_to_finish")
    known = re.compile(rf"\b({'|'.join(map(re.escape, words))})\b")
    parts = (str(Path.cwd()), sys.executable, sys.prefix, SECRET, REMOTE, head(), KEY)
    for where, text in sent:
        found = known.search(text) or ABSOLUTE.search(text)
        assert found is None, (where, text)
        assert [part for part in parts if part in text] == [], (where, text)


def track(mode: str, **tracking: Any) -> None:
    """Track a run whose configuration has paths."""
    layout = Layout(Path("results"))
    folder = layout.run("abc")
    config = {
        "data": {"paths": [str(Path.cwd() / "texts/*.txt"), "texts/more.txt"]},
        "weights": {"checkpoint": str(Path.cwd() / "results/runs/def/checkpoint_20")},
        "note": "~/notes.txt",
        "rate": 0.5,
    }
    folder.mkdir(parents=True)
    (folder / METRICS).write_text('{"step": 0, "x": 1.5}\n{"step": 5, "x": 2.5}\n')
    trial = Trial("tiny", "sweep", "t", config=config, assignments={})
    with (
        Follower({"wandb": mode, **tracking}, layout.study("tiny")) as follower,
        follower.follow(folder, 0, run=RunFolder(folder), trial=trial, rules=stop_rules()),
    ):
        pass


def publish_configs() -> Content:
    Path("results/tiny/rerun/trials").mkdir(parents=True)
    file = Path("results/tiny/rerun/trials/01.yaml")
    file.write_text("trial: '01'\n")
    metadata = {"study": "tiny", "from": str(Path.cwd() / "results/tiny")}
    content = Content(name="configs", type="configs", files={file.name: file}, metadata=metadata)
    stamp = Path("results/tiny/artifacts/configs.json").absolute()
    made = publish(content, Place("offline", "p"), stamp, Layout(Path("results")), again=[])
    assert made["status"] == "recorded"
    return content


def offline_file() -> Path:
    (file,) = Path("results/tiny/wandb").glob("offline-run-*/*.wandb")
    return file


def all_values(file: Path) -> list[tuple[str, str]]:
    return [value for record in wandb_runs.records(file) for value in wandb_runs.values(record)]


def test_no_field_of_an_offline_run_is_about_the_machine(checkout: Path) -> None:
    track("offline")
    values = all_values(offline_file())
    check(values)
    assert (".run.run_id", "abc") in values and (".run.run_group", "tiny/sweep") in values
    (run,) = wandb_runs.offline_runs(checkout / "results/tiny")
    assert {name: value for name, value in run.config.items() if name != "_wandb"} == {
        "data.paths": ["*.txt", "texts/more.txt"],
        "weights.checkpoint": "checkpoint_20",
        "note": "notes.txt",
        "rate": 0.5,
    }
    assert [sent["x"] for sent in run.history] == [1.5, 2.5]
    assert not list(offline_file().parent.glob("files/*"))  # `wandb sync` would send them


def test_no_field_of_an_offline_artifact_is_about_the_machine() -> None:
    publish_configs()
    values = all_values(offline_file())
    check(values)
    assert (".artifact.manifest.contents.path", "01.yaml") in values


def sent_by(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)


def test_nothing_that_an_online_run_sends_is_about_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve() as server:
        sent_by(server, monkeypatch)
        track("online")
    check(server.bodies)
    assert any('"program":"resweep"' in text for _, text in server.bodies)
    assert any("wandb-history.jsonl" in text and "2.5" in text for _, text in server.bodies)
    kept = [path for path in Path("results").rglob("*") if path.is_file()]
    assert kept and not any(KEY.encode() in path.read_bytes() for path in kept)


def test_nothing_that_a_sync_sends_is_about_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    publish_configs()
    with serve() as server:
        sent_by(server, monkeypatch)
        environment = {**os.environ, "WANDB_PROGRAM": "wandb"}  # as docs/tracking.md says
        command = [str(Path(sys.executable).with_name("wandb")), "sync", "results/tiny/wandb"]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    check(server.bodies)
    names = [name for name, _ in server.bodies]
    assert "CommitArtifact" in names
    assert ("/up", "trial: '01'\n") in server.bodies
