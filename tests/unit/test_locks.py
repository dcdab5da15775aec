"""Locks between processes: by flock, and by a file with an owner where there is no flock."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resweep import locks
from resweep.files import file_lock
from resweep.locks import FileLock, OwnedFile

HOLD = """
import sys
from pathlib import Path
from resweep.locks import FileLock
lock = FileLock(Path(sys.argv[1]), "me")
assert lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


def owned(path: Path, owner: str = "me", heartbeat: float = 0.01) -> OwnedFile:
    return OwnedFile(path, owner, heartbeat=heartbeat, stale_after=0.2, settle=0.05)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"taken\n"
        lock = FileLock(tmp_path / "lock", "other")
        assert not lock.take(0.0) and not lock.waits
        assert lock.owner() == "me"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert lock.take(10.0) and lock.owner() == "other"
    again = FileLock(tmp_path / "lock")
    assert not again.take(0.0)
    lock.release()
    assert again.take(0.0)
    again.release()


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def without_flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A file system without flock: no local one lacks it."""

    def refuse(handle: int, operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)
    return int(request.param)


def test_a_file_system_without_flock_has_locks_too(without_flock: int, tmp_path: Path) -> None:
    lock, other = FileLock(tmp_path / "lock", "me"), FileLock(tmp_path / "lock", "other")
    assert lock.take()
    assert not other.take(0.0) and other.waits
    assert other.owner() == "me"
    lock.release()
    assert other.take(0.0)
    other.release()
    with file_lock(tmp_path / "deep/lock"):
        assert not FileLock(tmp_path / "deep/lock").take(0.0)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["lock"]


def test_a_fault_of_locking_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError) as raised, file_lock(tmp_path / "lock"):
        pass
    assert (raised.value.errno, raised.value.filename) == (errno.EIO, str(tmp_path / "lock"))


def test_a_living_owner_is_waited_for(tmp_path: Path) -> None:
    first, second = owned(tmp_path / "lock"), owned(tmp_path / "lock")
    assert first.take()
    assert not second.take(0.5)
    first.release()
    assert second.take(0.0)
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_a_dead_owner_is_replaced_once(tmp_path: Path) -> None:
    dead = owned(tmp_path / "lock", "dead", heartbeat=60.0)
    assert dead.take()
    heir = owned(tmp_path / "lock", "heir")
    assert heir.take(10.0)
    assert (tmp_path / "lock").read_text().startswith("heir\n")
    dead.release()  # it was only stopped: the file is not its own any more
    assert not owned(tmp_path / "lock").take(0.0)
    heir.release()
    assert list(tmp_path.iterdir()) == []


def test_of_two_heirs_the_last_one_has_it(tmp_path: Path) -> None:
    heir = owned(tmp_path / "lock", "heir")
    (tmp_path / "lock").write_text("dead\n")
    settle = locks.time.sleep

    def overtaken(seconds: float) -> None:
        if seconds == 0.05 and heir._is_ours():
            owned(tmp_path / "lock", "rival")._replace()
        settle(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks.time, "sleep", overtaken)
        assert not heir.take(0.4)
    assert (tmp_path / "lock").read_text().startswith("rival\n")
