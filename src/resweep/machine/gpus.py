"""The GPUs of one machine, one training on each, where no scheduler assigns them.

    what the machine has (nvidia-smi, or RESWEEP_GPUS)  ->  of these CUDA_VISIBLE_DEVICES
      ->  the first that are free: locked, and alone in this process's CUDA_VISIBLE_DEVICES

A lease is a file lock in `/tmp/resweep-gpus-{user id}/`: all checkouts of a user on a machine see
it, and it ends with the process. In a SLURM job, which already has its GPUs, there is none.
"""

import contextlib
import fcntl
import logging
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from resweep.errors import ConfigError, DamagedFile, Interrupted, Problem
from resweep.json_files import read_json, to_json
from resweep.machine.log_file import add_log_file

LOGS = Path("logs")
HELD = "RESWEEP_HELD_GPU"  # tells this process and its children that they have one
SECONDS_OF_NVIDIA_SMI = 60.0
POLL_SECONDS = 0.25
FIRST_NOTICE_SECONDS = 2.0
NOTICE_SECONDS = 60.0

_DEVICE = re.compile(r"GPU (\d+): .*\(UUID: (GPU-[^)]+)\)")
_PART = re.compile(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)")


class _Holder(TypedDict):
    """Content of a lease."""

    work: str
    process: int


_HOLDER = TypeAdapter(_Holder)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a MIG part of one.

    Attributes:
        name: Its index in nvidia-smi, `0`; of a part also its own, `0.1`.
        visible: What CUDA_VISIBLE_DEVICES calls it.
    """

    name: str
    visible: str


def pool(environment: Mapping[str, str] = os.environ) -> list[Gpu]:
    """Return the GPUs that a training may use here, in order of preference.

    Empty in a SLURM job, and on a machine without GPUs.

    Raises:
        ConfigError: RESWEEP_GPUS is not a list of names.
    """
    if environment.get("SLURM_JOB_ID"):
        return []
    given = environment.get("RESWEEP_GPUS")
    gpus = found_by_nvidia_smi() if given is None else _given(given)
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    return gpus if visible is None else restrict(gpus, visible)


def _given(text: str) -> list[Gpu]:
    names = _items(text)
    wrong = [name for name in names if not re.fullmatch(r"[\w.-]+", name)]
    if wrong or len(set(names)) < len(names):
        hint = "should be indices as in nvidia-smi, each once: 0,1"
        raise ConfigError(Problem("environment", "RESWEEP_GPUS", text, hint))
    return [Gpu(name, name) for name in names]


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def found_by_nvidia_smi() -> list[Gpu]:
    """Return what `nvidia-smi -L` lists; nothing if it is missing or has no driver."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    try:
        done = subprocess.run(
            [command, "-L"],
            text=True,
            capture_output=True,
            check=False,
            timeout=SECONDS_OF_NVIDIA_SMI,
        )
    except subprocess.TimeoutExpired:
        log.warning("nvidia-smi did not answer; trainings may share GPUs")
        return []
    return read_listing(done.stdout) if done.returncode == 0 else []


def read_listing(text: str) -> list[Gpu]:
    """Read the output of `nvidia-smi -L`; the MIG parts of a GPU replace it."""
    gpus: list[Gpu] = []
    whole = ""
    parts = 0
    for line in text.splitlines():
        if device := _DEVICE.match(line):
            whole, parts = device[1], 0
            gpus.append(Gpu(whole, device[2]))
        elif part := _PART.match(line):
            if not parts:
                gpus.pop()
            gpus.append(Gpu(f"{whole}.{parts}", part[1]))
            parts += 1
    return gpus


def restrict(gpus: Sequence[Gpu], visible: str) -> list[Gpu]:
    """Return those that CUDA_VISIBLE_DEVICES names, in its order.

    By index, which for a GPU in parts means the first part, or by the beginning of a UUID. Like
    CUDA, it ignores everything after an unknown name.
    """
    chosen: list[Gpu] = []
    for item in _items(visible):
        same = [gpu for gpu in gpus if item in (gpu.name, gpu.name.partition(".")[0])]
        if item.startswith(("GPU-", "MIG-")):
            same = [gpu for gpu in gpus if gpu.visible.startswith(item)]
        if not same:
            break
        if same[0] not in chosen:
            chosen.append(same[0])
    return chosen


def held_gpu() -> str | None:
    """Return the GPU that this process, or the one that started it, has leased; several: `0,1`."""
    return os.environ.get(HELD)


@contextmanager
def lease_gpu(
    work: str, interrupted: Callable[[], bool] = lambda: False, count: int = 1
) -> Iterator[str | None]:
    """Lease a GPU, or several, exclusively: `with lease_gpu("study/phase/trial") as gpu: ...`.

    Enter it before CUDA is used in this process: CUDA_VISIBLE_DEVICES is read then, and keeps its
    value after the lease, so that a process always trains on the same GPU. Within a lease of this
    process, or of the one that started it, the same GPU is returned again.

    Args:
        work: What it is for, shown to processes that wait.
        interrupted: Whether to stop waiting.
        count: How many; all are taken or none, so that no process waits with half of them.

    Yields:
        The GPU's name, of several `0,1`; None where there is nothing to lease.

    Raises:
        Interrupted: Asked to stop while waiting.
        ConfigError: The folder of leases is not ours, RESWEEP_GPUS is wrong, or there are too few.
    """
    held = held_gpu()
    gpus = [] if held is not None else pool()
    available = len(held.split(",")) if held is not None else len(gpus)
    if 0 < available < count:
        hint = f"should be at most {available}, the number of GPUs that may be used here"
        raise ConfigError(Problem(work, "training.processes", count, hint))
    if not gpus:
        yield held
        return
    folder = LeaseFolder(default_folder())
    try:
        leased = _wait(gpus, count, folder, work, interrupted)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.visible for gpu in leased)
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # indices as nvidia-smi counts
        os.environ[HELD] = ",".join(gpu.name for gpu in leased)
        try:
            yield os.environ[HELD]
        finally:
            del os.environ[HELD]
            for file in leased.values():
                os.close(file)
    finally:
        folder.close()


def _wait(
    gpus: Sequence[Gpu],
    count: int,
    folder: "LeaseFolder",
    work: str,
    interrupted: Callable[[], bool],
) -> dict[Gpu, int]:
    """Return the first GPUs that become free, and their locked files."""
    notice = time.monotonic() + FIRST_NOTICE_SECONDS
    while True:
        taken: dict[Gpu, int] = {}
        for gpu in gpus:
            file = folder.lock(gpu.name, {"work": work, "process": os.getpid()})
            if file is not None:
                taken[gpu] = file
            if len(taken) == count:
                return taken
        for file in taken.values():
            os.close(file)
        if interrupted():
            raise Interrupted(f"stopped while waiting for a GPU: {folder.holders(gpus)}")
        if time.monotonic() > notice:
            what = "a GPU" if count == 1 else f"{count} GPUs"
            log.info("waiting for %s: %s", what, folder.holders(gpus))
            notice = time.monotonic() + NOTICE_SECONDS
        time.sleep(POLL_SECONDS)


def default_folder() -> Path:
    """Return the folder of leases, the same for all of a user's processes on a machine.

    So not XDG_RUNTIME_DIR or TMPDIR, which differ between logins and jobs.
    """
    return Path("/tmp", f"resweep-gpus-{os.getuid()}")


class LeaseFolder:
    """The folder of leases: one file per GPU, locked by its holder, whose name is in it.

    Args:
        path: The folder; made if missing.

    Raises:
        ConfigError: Other users can access the folder, and could hold our leases.
    """

    def __init__(self, path: Path):
        self.path = path
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
        status = self.path.lstat()
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if not ours or status.st_mode & 0o077:
            hint = "should be a folder that only you can access (mode 700); remove it"
            raise ConfigError(Problem(str(self.path), "", None, hint))
        # Cleaners of /tmp skip locked folders, see tmpfiles.d(5).
        self._handle = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def close(self) -> None:
        """Close the folder."""
        os.close(self._handle)

    def lock(self, name: str, holder: Mapping[str, Any]) -> int | None:
        """Lock a GPU's file and write its holder; returns the open file, None if it is taken."""
        path = self.path / f"{name}.lock"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.write(file, to_json(holder).encode())
        except BlockingIOError:
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        return file

    def holders(self, gpus: Sequence[Gpu]) -> str:
        """Return who holds which GPU, for messages."""
        return ", ".join(f"GPU {gpu.name} runs {self._holder(gpu.name)}" for gpu in gpus)

    def _holder(self, name: str) -> str:
        try:
            holder = read_json(self.path / f"{name}.lock", "it is written again", _HOLDER)
            return f"{holder['work']} (process {holder['process']})"
        except (OSError, DamagedFile):  # between taking and writing
            return "another training"


@contextmanager
def gpu_log(gpu: str | None, work: str, folder: Path = LOGS) -> Iterator[None]:
    """Also log to `gpu_{name}_sweep.log` within the body, under the name of the work."""
    if gpu is None:
        yield
        return
    shown = work.replace("%", "%%")
    handler = add_log_file(
        folder / f"gpu_{gpu.replace(',', '-')}_sweep.log",
        f"%(asctime)s %(levelname)s {shown}: %(message)s",
    )
    try:
        yield
    finally:
        if handler is not None:
            logging.getLogger().removeHandler(handler)
            with contextlib.suppress(OSError):  # a full disk, which was reported
                handler.close()
