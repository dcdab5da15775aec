"""Main memory of a job that consists of several processes.

What forked processes share counts once: each page by the share of a process in it (PSS), as in
proc(5). The kernel's own peak of a process, ru_maxrss, is of one process and begins with what it
inherited; the usage of a control group includes files that the kernel drops when memory is short.
"""

import mmap
import struct
import time
from collections.abc import Iterable
from pathlib import Path

_VALUE = struct.Struct("d")
PART_OF_TIME = 0.005  # that measuring may take: walking the pages of a process takes milliseconds
EVENTS = Path("/proc/vmstat")


def shared_memory_mb(pids: Iterable[int]) -> float:
    """Return the memory of processes in MB, shared pages once; those that ended have none."""
    return sum(map(_pss_kb, pids)) / 1024


def _pss_kb(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:"), 0)


def memory_kills(events: Path = EVENTS) -> int:
    """Return how many processes of this machine the kernel has killed to free memory.

    At the limits of control groups too, as of a SLURM job; 0 where the kernel does not count them.
    """
    try:
        lines = events.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


class JobMemory:
    """The memory of a process and its children, measured by the parent, known to all of them.

    It lives in memory that forked children share with their parent.

    Args:
        events: Where the kernel counts what it killed.
    """

    def __init__(self, events: Path = EVENTS) -> None:
        self._events = events
        self._kills = memory_kills(events)
        self._shared = mmap.mmap(-1, _VALUE.size)
        self._next = 0.0

    @property
    def mb(self) -> float:
        """The most that was measured since `forget`."""
        return float(_VALUE.unpack(self._shared[: _VALUE.size])[0])

    def measure(self, pids: Iterable[int]) -> None:
        """Measure the processes, unless that was done a moment ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._kills = memory_kills(self._events)
        used = shared_memory_mb(pids)
        self._shared[: _VALUE.size] = _VALUE.pack(max(self.mb, used))
        self._next = now + (time.monotonic() - now) / PART_OF_TIME

    def has_killed(self) -> bool:
        """Whether the kernel has killed a process to free memory since the last measurement."""
        return memory_kills(self._events) > self._kills

    def forget(self) -> None:
        """Begin again: fewer processes are running than before."""
        self._shared[: _VALUE.size] = _VALUE.pack(0.0)
        self._next = 0.0
