"""The programs that run on this machine, from /proc."""

import os
from pathlib import Path

PROC = Path("/proc")
WORDS = 3  # python -m NAME


def running_in(folder: Path, name: str) -> list[int]:
    """Return the processes that run a program in a folder, without this one and those above it.

    Args:
        folder: Their working directory.
        name: The program, as a file or as a module of Python.

    Returns:
        Their ids. Processes of others are not seen.
    """
    found = []
    above = _with_ancestors(os.getpid())
    for process in PROC.glob("[0-9]*"):
        try:
            here = (process / "cwd").samefile(folder)
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended, or is someone else's
            continue
        programs = [Path(os.fsdecode(word)).name for word in words[:WORDS]]
        if here and name in programs and int(process.name) not in above:
            found.append(int(process.name))
    return found


def is_running(process: int) -> bool:
    """Whether a process runs; one that has ended, and was not waited for, does not."""
    fields = _status(process)
    return fields is not None and fields[0] not in ("Z", "X")


def _with_ancestors(process: int) -> set[int]:
    found = set()
    while process > 0:
        found.add(process)
        fields = _status(process)
        if fields is None:
            break
        process = int(fields[1])
    return found


def _status(process: int) -> list[str] | None:
    """Return the fields of proc(5) after a process's name: state, parent; None if it is gone."""
    try:
        text = (PROC / str(process) / "stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()
