"""Publishing and sending, killed anywhere and called again: each version is there once, whole."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from resweep.errors import StoreError
from resweep.json_files import read_json, write_json
from resweep.locks import FileLock
from resweep.paths import Layout, publish_lock, send_lock
from resweep.publish.waiting import failed_commands
from resweep.wandb.sync import send_recorded
from tests.support import wandb_runs
from tests.support.wandb_server import Server, serve

ROOT = Path(__file__).resolve().parents[3]
KEY = "0123456789abcdef" * 2 + "01234567"
SECONDS_TO_PUBLISH = 2.5  # of a publication; kills are drawn from it
REQUESTS_TO_SEND = 16  # of an artifact


@dataclass
class Study:
    """The configurations of a study that changes, and commands for them that may be killed."""

    folder: Path
    server: Server

    def change(self, number: int) -> None:
        trials = self.folder / "results/tiny/rerun/trials"
        trials.mkdir(parents=True, exist_ok=True)
        (trials / "01.yaml").write_text(f"trial: '{number}'\n")
        (trials / "02.yaml").write_text("x: " + "y" * 5000 * number + "\n")

    def start(self, script: str, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, str(ROOT / "workflow/scripts" / script), *words],
            cwd=self.folder,
            env={**os.environ, "WANDB_API_KEY": KEY, "WANDB_BASE_URL": self.server.url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def publish(self, mode: str) -> "subprocess.Popen[bytes]":
        place = ("--artifact-name", "rerun-configs", "--project", "p", "--mode", mode)
        return self.start(
            "upload_rerun_configs.py", "--config-dir", "results/tiny/rerun/trials", *place,
            "--metadata", '{"study": "tiny"}',
            "--stamp", "results/tiny/artifacts/rerun-configs.json",
        )  # fmt: skip

    def send(self) -> "subprocess.Popen[bytes]":
        return self.start("send.py", "tiny")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    wandb_runs.hide_account(monkeypatch, tmp_path)
    with serve() as server:
        yield Study(tmp_path, server)


def kill(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_at_request(process: "subprocess.Popen[bytes]", server: Server, after: int) -> None:
    """Kill a process at one of the next requests; it may end before."""
    first = len(server.bodies)

    def look(count: int) -> None:
        if count - first >= after and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    server.on_request = look
    process.wait()
    server.on_request = lambda count: None


def interrupt(study: Study, rng: random.Random, kind: str) -> None:
    """Publish what changed, and send it: one of both is killed, and called again."""
    if kind == "publish":
        process = study.publish("offline")
        try:
            process.wait(rng.uniform(0.3, SECONDS_TO_PUBLISH))
        except subprocess.TimeoutExpired:
            kill(process)
    if kind == "online":
        kill_at_request(study.publish("online"), study.server, rng.randint(1, REQUESTS_TO_SEND))
    assert study.publish("online" if kind == "online" else "offline").wait() == 0
    if kind == "send":
        kill_at_request(study.send(), study.server, rng.randint(1, REQUESTS_TO_SEND))
    if kind != "online":
        assert study.send().wait() == 0


def check_versions(study: Study, count: int) -> None:
    versions = study.server.versions["rerun-configs"]
    assert len(versions) == count and all(version.whole for version in versions)
    assert [version.metadata["version"] for version in versions] == [f"v{n}" for n in range(count)]
    stamp = read_json(study.folder / "results/tiny/artifacts/rerun-configs.json", "")
    assert versions[-1].metadata["digest"] == stamp["digest"]


def test_killed_and_called_again_each_version_is_there_once(study: Study) -> None:
    rng = random.Random(3)
    for number, kind in enumerate(("publish", "send", "online")):
        study.change(number)
        interrupt(study, rng, kind)
        check_versions(study, number + 1)


def test_the_last_version_has_the_aliases(study: Study) -> None:
    """Two versions and the first again, sent at once: the aliases are moved in this order."""
    for number in (1, 2, 1):
        study.change(number)
        assert study.publish("offline").wait() == 0
    assert study.send().wait() == 0
    aliases = {v.metadata["version"]: v.aliases for v in study.server.versions["rerun-configs"]}
    assert aliases == {"v0": ["latest", "tiny"], "v1": []}


@pytest.mark.long
def test_killed_at_twenty_points(study: Study) -> None:
    rng = random.Random(20)
    for number in range(20):
        study.change(number)
        interrupt(study, rng, ("publish", "send", "online", "send")[number % 4])
        check_versions(study, number + 1)


def recorded(layout: Layout, name: str, size: int = 100) -> Path:
    """A folder as W&B leaves it."""
    folder = layout.study("tiny").path / f"wandb/offline-run-20260101_000000-{name}"
    folder.mkdir(parents=True)
    (folder / f"run-{name}.wandb").write_bytes(b"x" * size)
    return folder


def test_what_is_written_to_is_left_for_the_next_call(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "results")
    layout.run("0123456789ab").mkdir(parents=True)
    folders = [recorded(layout, name) for name in ("0123456789ab", "publish-x")]
    locks = [
        FileLock(layout.run("0123456789ab") / "wandb.lock"),
        FileLock(publish_lock(layout.study("tiny").path)),
    ]
    for lock in locks:
        assert lock.take(0.0)
    done = send_recorded(layout.study("tiny"), layout)
    assert (done.busy, done.sent, done.failed) == (folders, [], [])
    for lock in locks:
        lock.release()


def test_nothing_to_send(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "results")
    sent, _ = recorded(layout, "0123456789ab"), recorded(layout, "0123456789ac", size=7)
    (sent / "run-0123456789ab.wandb.synced").touch()
    done = send_recorded(layout.study("tiny"), layout)
    assert done.sent == done.failed == done.busy == []


def test_one_call_at_a_time(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "results")
    recorded(layout, "0123456789ab")
    lock = FileLock(send_lock(layout.study("tiny").path))
    assert lock.take(0.0)
    with pytest.raises(StoreError, match="another process"):
        send_recorded(layout.study("tiny"), layout)
    lock.release()


def test_places_that_failed_are_tried_again_by_their_commands(tmp_path: Path) -> None:
    folder = Layout(tmp_path).study("tiny")
    write_json(folder.artifact("a"), {"again": ["python", "x.py", "--to=[]"]})
    write_json(folder.artifact("b"), {"status": "local"})
    folder.artifact("c").write_text("damaged")
    assert failed_commands(folder) == [["python", "x.py", "--to=[]"]]


def test_without_a_server_it_says_so_and_marks_nothing(
    study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    study.change(1)
    assert study.publish("offline").wait() == 0
    command = [sys.executable, str(ROOT / "workflow/scripts/send.py"), "tiny"]
    env = {**os.environ, "WANDB_MODE": "online"}  # and no key
    done = subprocess.run(
        command, cwd=study.folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and json.dumps(done.stdout).count("0 folders") == 1
    assert done.stderr.count("\n") == 1 and "1 folder not sent" in done.stderr
