"""What a command costs with all processes that it starts.

The command runs below a small process that adopts orphans and waits for all of them: the kernel has
their CPU seconds when it ends, those of daemons included. Only a process whose parent ignores
SIGCHLD, as Ray's does, leaves no account: the clock of such a process is read until it is gone.

The small process is this file, run without the library:

    python process_tree.py REPORT COMMAND [ARGUMENT ...]
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SECONDS_TO_END = 60  # for what the command leaves behind
SECONDS_BETWEEN_LOOKS = 0.25
TICKS = os.sysconf("SC_CLK_TCK")  # a second
END_OF_OUTPUT = 4000  # characters shown of a command that failed


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a command used.

    Attributes:
        cpu: User and system seconds of all its processes.
        own: Those of its first process alone, which for Snakemake are those without jobs.
        wall: Seconds until its first process ended.
        peak_mb: Most memory that one of its processes had.
    """

    cpu: float
    own: float
    wall: float
    peak_mb: float

    @property
    def of_jobs(self) -> float:
        """CPU seconds of all processes but the first."""
        return self.cpu - self.own


def measure(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Usage:
    """Run a command in a folder and return what it used.

    Raises:
        RuntimeError: It failed; with the end of its output.
    """
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "usage.json"
        done = subprocess.run(
            [sys.executable, "-S", __file__, str(report), *command],
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            output = done.stdout[-END_OF_OUTPUT:]
            raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{output}")
        return Usage(**json.loads(report.read_text()))


def main(report: str, *command: str) -> int:
    """Run a command, write what it used, and return its exit code."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    unwaited = Unwaited()
    start = time.perf_counter()
    first = subprocess.Popen(command)
    unwaited.start()
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
    wall = time.perf_counter() - start
    own = sum(_clock(first.pid)[:2])
    code = first.wait()
    signal.alarm(SECONDS_TO_END)
    try:
        while True:
            unwaited.seconds.pop(os.wait()[0], None)  # adopted since then
    except ChildProcessError:
        pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    usage = {
        "cpu": used.ru_utime + used.ru_stime + sum(unwaited.seconds.values()),
        "own": own,
        "wall": wall,
        "peak_mb": used.ru_maxrss / 1024,
    }
    Path(report).write_text(json.dumps(usage))
    return code


class Unwaited(threading.Thread):
    """Reads the clocks of processes that nobody will wait for.

    Attributes:
        seconds: CPU seconds of each when it was last seen, by its pid.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seconds: dict[int, float] = {}

    def run(self) -> None:
        """Look again and again."""
        while True:
            for parent in _descendants(os.getpid()):
                if parent != os.getpid() and _ignores_children(parent):
                    self.seconds |= {child: sum(_clock(child)) for child in _children(parent)}
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _clock(pid: int) -> list[float]:
    """User and system seconds of a process, and of the children that it waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return [0.0]
    return [int(ticks) / TICKS for ticks in fields[11:15]]  # utime to cstime of proc_pid_stat(5)


def _ignores_children(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool(ignored >> (signal.SIGCHLD - 1) & 1)


def _children(pid: int) -> list[int]:
    """Children of a process, of all its threads."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
