"""Memory of processes that share pages."""

import os
import subprocess
import sys
from pathlib import Path

from resweep.machine.memory import EVENTS, JobMemory, memory_kills
from tests.support.in_fork import in_fork

SIZE_MB = 64


SHARE = f"""
import mmap, os
from resweep.machine.memory import shared_memory_mb
before = shared_memory_mb([os.getpid()])
pages = mmap.mmap(-1, {SIZE_MB} * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
pages.write(b"x" * len(pages))
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.read(read, 1)
    os._exit(0)
used = shared_memory_mb([os.getpid(), child])
os.write(write, b"x")
os.waitpid(child, 0)
print(used - before, shared_memory_mb([child]))
"""


def test_shared_pages_count_once() -> None:
    done = subprocess.run([sys.executable, "-c", SHARE], capture_output=True, text=True, check=True)
    added, ended = map(float, done.stdout.split())
    assert SIZE_MB <= added < 1.5 * SIZE_MB
    assert ended == 0


def test_the_most_is_known_to_children_until_it_is_forgotten() -> None:
    def work() -> list[bool]:
        memory = JobMemory()
        memory.measure([os.getpid()])
        first = memory.mb
        child = os.fork()
        if child == 0:
            memory._next = 0.0
            memory.measure([])
            os._exit(int(memory.mb == first))
        _, status = os.waitpid(child, 0)
        seen = [first > 1, os.WEXITSTATUS(status) == 1]
        memory.forget()
        return [*seen, memory.mb == 0]

    assert in_fork(work) == [True, True, True]


def test_what_the_kernel_killed_is_counted(tmp_path: Path) -> None:
    assert memory_kills(tmp_path / "missing") == 0
    assert (memory_kills() > 0) == (" 0\n" not in _line_of_kills())
    events = tmp_path / "vmstat"
    events.write_text("oom_kill_other 9\noom_kill 1\n")
    memory = JobMemory(events)
    assert not memory.has_killed()
    events.write_text("oom_kill 2\n")
    assert memory.has_killed()
    memory.measure([])
    assert not memory.has_killed()


def _line_of_kills() -> str:
    lines = EVENTS.read_text().splitlines(keepends=True)
    return next((line for line in lines if line.startswith("oom_kill ")), " 0\n")
