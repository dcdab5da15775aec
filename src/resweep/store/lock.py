"""One process at a time advances a run: a file lock, and a lease for where locks do not reach.

`flock` is exact on one machine and on file systems that share it: it ends with the process. The
lease in `lease.json` (generation, machine, job, heartbeat) covers the others, and file systems
without `flock`: it is taken over only after its heartbeat stood still for a minute by our own
clock, and each takeover increments the generation. The holder checks that the lease is still its
own before it writes a line or publishes anything.
"""

import fcntl
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep.canonical import file_digest
from resweep.errors import DamagedFile, Interrupted, LeaseLost, LockTimeout, describe
from resweep.json_files import read_json, write_json
from resweep.locks import HEARTBEAT_SECONDS, STALE_SECONDS, open_lock, try_flock
from resweep.machine.identity import machine_id
from resweep.paths import RunFolder

NOTICE_SECONDS = 30.0
POLL_SECONDS = 0.25
# Evidence of how a vanished holder ended; kept until it is recorded (Attempts.close).
WITNESS = ("memory_mb", "memory_limit_mb", "step")

UNKNOWN = "unknown"  # holder of a damaged lease

# The last heartbeat of others, and when this process saw it first: a process that only looks
# now and then, without waiting, also finds a dead holder.
_SEEN: dict[Path, tuple[tuple[Any, Any], float]] = {}

log = logging.getLogger(__name__)


@with_config(ConfigDict(extra="allow"))
class Lease(TypedDict, total=False):
    """Content of lease.json; what else a holder adds is kept."""

    generation: int
    token: str
    machine: str
    host: str
    pid: int
    job: str | None
    beats: int
    released: bool
    step: int
    memory_mb: float
    memory_limit_mb: float | None


_LEASE = TypeAdapter(Lease)


def read_lease(folder: Path) -> Lease:
    """Return the lease of a run; empty where there never was one.

    A damaged one may be of a living process: it counts as that of an unknown machine.
    """
    file = RunFolder(folder).lease
    try:
        lease: Lease = read_json(file, "it is replaced after a minute", _LEASE)
    except FileNotFoundError:
        return {}
    except DamagedFile:
        return {"machine": UNKNOWN, "host": UNKNOWN, "token": file_digest(file)}
    return lease


def _is_ours(lease: Lease) -> bool:
    """Whether a lease is of this machine; those of older versions only know its name."""
    if "machine" in lease:
        return lease["machine"] == machine_id()
    return lease.get("host") == socket.gethostname()


class RunLock:
    """Holds a run's lock and lease: `with RunLock(folder, timeout=600) as lock: ...`.

    Args:
        folder: The run's folder; made if missing.
        timeout: Seconds to wait for another holder.
        details: Called at each heartbeat; its result is part of the lease (step, memory).
        stale_after: Seconds without a heartbeat after which another machine's lease is taken over;
            None: a minute.
        interrupted: Whether to stop waiting.

    Attributes:
        previous: The lease of the holder before us.
        lost: Whether a heartbeat found the run taken over.

    Raises:
        LockTimeout: On entering, after `timeout`; names the holder.
        Interrupted: On entering, asked to stop while waiting.
    """

    def __init__(
        self,
        folder: Path,
        timeout: float,
        details: Callable[[], dict[str, Any]] = dict,
        stale_after: float | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ):
        self.folder = folder
        self.timeout = timeout
        self.details = details
        self.stale_after = STALE_SECONDS if stale_after is None else stale_after
        self.interrupted = interrupted
        self.previous: Lease = {}
        self.lost = False
        self.token = secrets.token_hex(8)
        self.generation = 0
        self._file: Any = None
        self._locked: bool | None = None
        self._beats = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._open()
        try:
            self._wait()
        except BaseException:
            self._file.close()
            raise
        self._thread = threading.Thread(target=self._keep_beating, daemon=True)
        self._thread.start()
        return self

    def _wait(self) -> None:
        """Return when the lock and the lease are ours."""
        deadline = time.monotonic() + self.timeout
        notice = time.monotonic() + min(NOTICE_SECONDS, 2.0)
        while not self._try():
            now = time.monotonic()
            if self.interrupted():
                raise Interrupted(
                    f"stopped while waiting for run {self.folder.name}: {self._holder()}"
                )
            if now > deadline:
                raise LockTimeout(self._held_text())
            if now > notice:
                log.info("%s: waiting: %s", self.folder.name, self._holder())
                notice = now + NOTICE_SECONDS
            time.sleep(POLL_SECONDS)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        try:
            self._renew(released=True)
        except LeaseLost:
            pass
        except OSError as fault:  # a full disk: other hosts wait until the lease is stale
            log.warning("%s", describe(fault))
        finally:
            self._file.close()  # drops the flock

    def confirm(self) -> None:
        """Check that the run is still ours.

        Raises:
            LeaseLost: Another process took it over.
        """
        lease = read_lease(self.folder)
        if lease.get("machine") == UNKNOWN:
            if not self._locked:
                raise LeaseLost(
                    f"{RunFolder(self.folder).lease}: is damaged; run the command again"
                )
            self._write()  # nobody else on this machine can hold the run
        elif lease.get("token") != self.token:
            raise LeaseLost(
                f"{self.folder}: taken over by {lease.get('host')}, process {lease.get('pid')}, "
                "because this process sent no heartbeat; the training continues there"
            )

    def _try(self) -> bool:
        # None: the lease alone decides, also between processes of this machine.
        locked = try_flock(self._file.fileno(), RunFolder(self.folder).lock)
        if locked is False:
            return False
        if not self._is_current():  # the run was forgotten while we waited: its lock went with it
            self._file.close()
            self._open()
            return False
        lease = read_lease(self.folder)
        if (
            lease
            and not (locked and _is_ours(lease))
            and not lease.get("released")
            and not self._is_stale(lease)
        ):
            if locked:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            return False
        self._locked = locked
        self.previous = lease
        self.generation = lease.get("generation", 0) + 1
        self._write()
        # Where flock is not shared, two hosts may get here together: the last writer wins.
        return read_lease(self.folder).get("token") == self.token

    def _is_stale(self, lease: Lease) -> bool:
        """Whether a lease's heartbeat stands still, by our own clock alone."""
        beat = (lease.get("token"), lease.get("beats"))
        seen, since = _SEEN.get(self.folder, (None, 0.0))
        if beat != seen:
            _SEEN[self.folder] = beat, time.monotonic()
            return False
        return time.monotonic() - since > self.stale_after

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(open_lock(RunFolder(self.folder).lock))

    def _is_current(self) -> bool:
        try:
            there = RunFolder(self.folder).lock.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self._file.fileno())
        return (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)

    def _renew(self, released: bool = False) -> None:
        """Write our lease again; raises LeaseLost, also if it is taken over meanwhile."""
        self.confirm()
        self._write(released, self.confirm)

    def _write(self, released: bool = False, confirm: Callable[[], None] = lambda: None) -> None:
        self._beats += 1
        lease = {
            **{name: value for name, value in self.previous.items() if name in WITNESS},
            "generation": self.generation,
            "token": self.token,
            "machine": machine_id(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "job": os.environ.get("SLURM_JOB_ID"),
            "beats": self._beats,
            "released": released,
            **self.details(),
        }
        write_json(RunFolder(self.folder).lease, lease, confirm)

    def _keep_beating(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                self._renew()
            except LeaseLost:
                self.lost = True
                return
            except OSError as error:  # a full disk, or a file system that is briefly unavailable
                log.warning("%s: cannot write the heartbeat: %s", self.folder.name, error)

    def _held_text(self) -> str:
        text = f"{self.folder}: {self._holder()}"
        if self.timeout == 0:  # it was not to wait: nothing is wrong
            return text
        return (
            f"{text}; stopped waiting after {self.timeout:.0f} s: run the same command again once "
            "that process is done, and its result is used"
        )

    def _holder(self) -> str:
        lease = read_lease(self.folder)
        if lease.get("machine") == UNKNOWN:
            file = RunFolder(self.folder).lease
            return f"{file} is damaged; it is taken over if it is not written for a minute"
        job = f", job {lease['job']}" if lease.get("job") else ""
        step = f", at step {lease['step']}" if "step" in lease else ""
        return f"held by {lease.get('host', 'another host')}, process {lease.get('pid')}{job}{step}"
