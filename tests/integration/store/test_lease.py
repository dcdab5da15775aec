"""The lease, where file locks do not reach: who lost a run changes nothing of it any more."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from resweep.data.store import Prepared
from resweep.errors import LeaseLost, LockTimeout
from resweep.json_files import write_json
from resweep.machine.identity import machine_id
from resweep.paths import METRICS, Layout
from resweep.store import lock as lock_module
from resweep.store.advance import advance
from resweep.store.lock import RunLock, read_lease
from resweep.store.run import Run
from resweep.training.metrics import MetricLog, parse, read_metrics
from tests.conftest import ROOT
from tests.support.asked import Asked, ask, run_of
from tests.support.tiny import configure, prepare

HELD = {"generation": 4, "token": "theirs", "pid": 1, "beats": 1, "released": False}


@pytest.fixture
def no_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system whose locks do not work, and leases that end after half a second."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(lock_module, "STALE_SECONDS", 0.5)
    monkeypatch.setattr(lock_module, "HEARTBEAT_SECONDS", 0.1)


def request(data: Prepared) -> Asked:
    return ask(configure(data, training__save_steps=4), data)


# Machines


def test_a_living_machine_of_the_same_name_keeps_its_lease(tmp_path):
    write_json(tmp_path / "lease.json", {**HELD, "machine": "other", "host": socket.gethostname()})
    with pytest.raises(LockTimeout):
        RunLock(tmp_path, timeout=0.0).__enter__()
    assert read_lease(tmp_path)["token"] == "theirs"


def test_what_a_killed_process_of_this_machine_held_is_free_at_once(tmp_path):
    write_json(tmp_path / "lease.json", {**HELD, "machine": machine_id(), "host": "renamed"})
    with RunLock(tmp_path, timeout=0.0) as mine:
        assert mine.generation == 5
        assert read_lease(tmp_path)["machine"] == machine_id()


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_flock_the_lease_alone_excludes(error, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with RunLock(tmp_path, timeout=0.0), pytest.raises(LockTimeout, match="process"):
        RunLock(tmp_path, timeout=0.0).__enter__()
    with RunLock(tmp_path, timeout=0.0) as next_one:
        assert next_one.generation == 2


@pytest.mark.parametrize(
    "content", ["5", "[]", "{", "", "\0\0", '{"generation": "x"}', '{"token": 5, "beats": null}']
)
def test_a_damaged_lease_is_taken_over_when_nobody_renews_it(content, tmp_path):
    (tmp_path / "lease.json").write_text(content)
    with pytest.raises(LockTimeout, match=r"lease\.json is damaged"):
        RunLock(tmp_path, timeout=0.0).__enter__()
    with RunLock(tmp_path, timeout=10.0, stale_after=0.3) as mine:
        mine.confirm()


def test_the_holder_writes_a_damaged_lease_again(tmp_path):
    with RunLock(tmp_path, timeout=0.0) as mine:
        (tmp_path / "lease.json").write_text("5")
        mine.confirm()
        assert read_lease(tmp_path)["token"] == mine.token


def test_without_flock_a_damaged_lease_ends_the_holding(tmp_path, no_flock):
    with RunLock(tmp_path, timeout=0.0) as mine:
        (tmp_path / "lease.json").write_text("5")
        with pytest.raises(LeaseLost, match=r"lease\.json: is damaged"):
            mine.confirm()


# Lines


def test_a_fault_of_locking_names_the_file(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="lock") as caught, RunLock(tmp_path / "run", timeout=0.0):
        pass
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(tmp_path / "run/lock"))


def test_who_lost_the_run_writes_no_line(tmp_path, no_flock):
    first = RunLock(tmp_path, timeout=0.0)
    with first:
        first._stop.set()  # no heartbeat, as of a stopped process
        log = MetricLog(tmp_path / METRICS, confirm=first.confirm)
        log.write(0, {"loss": 5.0})
        with RunLock(tmp_path, timeout=10.0) as second:
            other = MetricLog(tmp_path / METRICS, (tmp_path / METRICS).read_bytes(), second.confirm)
            other.write(4, {"loss": 4.0})
            with pytest.raises(LeaseLost):
                log.write(2, {"loss": 4.5})
            log.confirm = lambda: None  # it checked before it was stopped
            log.write(2, {"loss": 4.5})
            assert [line["step"] for line in read_metrics(tmp_path / METRICS)] == [0, 4]


def test_a_file_that_a_late_process_replaced_comes_back(tmp_path):
    mine = MetricLog(tmp_path / METRICS)
    for step in (0, 4, 8):
        mine.write(step, {"loss": 5.0})
    late = MetricLog(tmp_path / METRICS, parse((tmp_path / METRICS).read_bytes()).content_up_to(0))
    late.write(1, {"loss": 9.0})
    assert [json.loads(line)["step"] for line in mine.content().splitlines()] == [0, 4, 8]
    mine.write(12, {"loss": 4.0})
    late.write(2, {"loss": 9.0})
    assert [line["step"] for line in read_metrics(tmp_path / METRICS)] == [0, 4, 8, 12]


STOPPED = """
import errno, fcntl, json, os, signal, sys
from pathlib import Path
import torch
from resweep.errors import LeaseLost
from resweep.paths import Layout
from resweep.store import lock
from resweep.store.advance import advance
from resweep.training import metrics
from tests.integration.store.test_lease import request
from tests.support.tiny import prepare

def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")

def stop_before_line(content, **options):
    if content["step"] == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGSTOP)
    return dumps(content, **options)

class Json:
    loads = json.loads
    dumps = staticmethod(stop_before_line)

dumps, fcntl.flock, metrics.json = json.dumps, refuse, Json
lock.HEARTBEAT_SECONDS = 0.1
torch.set_num_threads(1)
try:
    advance(*request(prepare(Path(sys.argv[1]))), Layout(Path(sys.argv[2])))
except LeaseLost as error:
    sys.exit(f"error: {error}")
"""


def files_of(run: Run) -> dict[Path, bytes]:
    """Content of its files; not of those that a stopped process was about to give a name."""
    return {path: path.read_bytes() for path in run.path.rglob("[!.]*.json*")}


@pytest.mark.parametrize("step", [6, 8])
def test_stopped_between_check_and_line_and_woken_after_a_takeover(step, no_flock, tmp_path):
    """Line 6 follows the first checkpoint; line 8 is of the second one."""
    torch.set_num_threads(1)
    data, layout = prepare(tmp_path / "data"), Layout(tmp_path / "results")
    command = [sys.executable, "-c", STOPPED, str(data.folder), str(layout.root), str(step)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        record = json.loads(advance(*request(data), layout).read_text())
        run = run_of(request(data), layout)
        after = files_of(run)
        process.send_signal(signal.SIGCONT)
        said = process.stderr.read()
    assert process.returncode == 1 and "taken over by" in said.strip().splitlines()[-1]
    assert "Traceback" not in said
    assert after == files_of(run)
    other = Layout(tmp_path / "undisturbed")
    expected = json.loads(advance(*request(data), other).read_text())
    assert (record["weights"], record["curve"]) == (expected["weights"], expected["curve"])
    whole = Run(other.run(run.run_id))
    assert run.folder.metrics.read_bytes() == whole.folder.metrics.read_bytes()
    ends = [attempt["end"] for attempt in run.state()["attempts"]]
    assert ends == ["killed", "completed"]
