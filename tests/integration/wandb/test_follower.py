"""One follower of many runs: each is a W&B run of its own, and no kill loses a line."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from resweep.paths import Layout, RunFolder
from resweep.trials.trial import Trial
from resweep.wandb.follower import Follower
from resweep.wandb.sent import NOTHING, sent_step
from tests.support import wandb_pack, wandb_runs
from tests.support.language import stop_rules
from tests.support.wandb_pack import STEPS, write_lines
from tests.support.wandb_server import Server, serve

KEY = "0123456789abcdef" * 2 + "01234567"
Children = dict[str, int]


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb_runs.hide_account(monkeypatch, tmp_path)


def wait_until(fact: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_about(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in file.read_bytes():
                found.append(int(file.parent.name))
        except OSError:  # it ended meanwhile
            pass
    return found


def start_pack(root: Path, *names: str) -> tuple[subprocess.Popen[str], Children]:
    """Start a pack; returns it, and its children by their runs, once these wrote their lines."""
    command = [sys.executable, wandb_pack.__file__, str(root), *names]
    pack = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert pack.stdout is not None
    lines = [pack.stdout.readline().split() for _ in names]
    return pack, {name: int(child) for name, child in lines}


def sent(root: Path) -> dict[str, tuple[bool, list[int]]]:
    """What each W&B run got: whether it is finished, and the steps."""
    return {
        run.run.run_id: (run.ended, [line["_step"] for line in run.history])
        for run in wandb_runs.offline_runs(root / "tiny")
    }


def test_each_forked_child_has_a_run_also_if_it_is_killed(tmp_path: Path) -> None:
    pack, children = start_pack(tmp_path, "a", "waits", "b")
    os.kill(children["waits"], signal.SIGKILL)
    assert pack.wait(60) == 0
    assert sent(tmp_path) == dict.fromkeys(children, (True, STEPS))
    runs = wandb_runs.offline_runs(tmp_path / "tiny")
    assert {run.run.run_id: run.config["of"] for run in runs} == {name: name for name in children}
    assert {run.run.display_name for run in runs} == {f"sweep/{name}" for name in children}
    assert {sent_step(RunFolder(tmp_path / "runs" / name)) for name in children} == {STEPS[-1]}


def test_a_killed_pack_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    pack, children = start_pack(tmp_path, "waits", "waits-too")
    os.killpg(pack.pid, signal.SIGKILL)
    pack.wait()
    wait_until(lambda: not processes_about(tmp_path))
    assert sent(tmp_path) == dict.fromkeys(children, (True, STEPS))


def test_what_is_lost_with_the_follower_is_sent_by_the_next_call(tmp_path: Path) -> None:
    pack, _ = start_pack(tmp_path, "waits")
    wait_until(lambda: list(tmp_path.glob("tiny/wandb/*/*.wandb")))
    for process in processes_about(tmp_path):
        os.kill(process, signal.SIGKILL)
    pack.wait()
    run = RunFolder(Layout(tmp_path).run("waits"))
    assert sent_step(run) == NOTHING
    for _ in range(2):  # the second has nothing to send
        with Follower({"wandb": "offline"}, Layout(tmp_path).study("tiny")) as follower:
            trial = Trial("tiny", "sweep", "next")
            follower.send_rest(run, STEPS[-1], None, trial=trial, rules=stop_rules())
    assert len(wandb_runs.offline_runs(tmp_path / "tiny")) == 1
    assert sent(tmp_path) == {"waits": (True, STEPS)}
    assert sent_step(run) == STEPS[-1]


def follow(
    follower: Follower, root: Path, name: str, **config: object
) -> AbstractContextManager[None]:
    """Follow a run that has its lines."""
    run = RunFolder(root / "runs" / name)
    write_lines(run.metrics, STEPS)
    trial = Trial("tiny", "sweep", "t", config=config)
    return follower.follow(run.path, 0, run=run, trial=trial, rules=stop_rules())


def test_a_run_that_fails_affects_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Follower({"wandb": "offline"}, Layout(tmp_path).study("tiny")) as follower:
        with (
            follow(follower, tmp_path, "a", note="x" * 1_000_000),  # more than a socket's buffer
            follow(follower, tmp_path, "not:valid"),
        ):
            wait_until(lambda: caplog.records)
        with follow(follower, tmp_path, "b"):
            pass
    (warning,) = (r.getMessage() for r in caplog.records if r.levelno == logging.WARNING)
    assert "Run ID" in warning and "\n" not in warning
    assert sent(tmp_path) == {"a": (True, STEPS), "b": (True, STEPS)}


def test_a_follower_that_was_killed_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Follower({"wandb": "offline"}, Layout(tmp_path).study("tiny")) as follower:
        follower.start()
        wait_until(lambda: processes_about(tmp_path))
        os.kill(processes_about(tmp_path)[0], signal.SIGKILL)
        wait_until(lambda: not processes_about(tmp_path))
        with follow(follower, tmp_path, "a"):
            pass
    (warning,) = caplog.messages
    assert "ended" in warning
    assert sent_step(RunFolder(tmp_path / "runs/a")) == NOTHING


def test_online_runs_are_live_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        study = Layout(tmp_path).study("tiny")
        with (
            Follower({"wandb": "online"}, study) as follower,
            follow(follower, tmp_path, "a"),
            follow(follower, tmp_path, "b"),
        ):
            wait_until(lambda: streamed(server, "wandb-summary.json") == 2)
    assert streamed(server, "wandb-history.jsonl") == 2


def streamed(server: Server, file: str) -> int:
    """Number of runs that have sent a file, each with one request."""
    return sum(path.endswith("/file_stream") and file in text for path, text in server.bodies)
