"""Which programs run in a folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resweep.machine.programs import is_running, running_in


@contextmanager
def sleeper(*command: str, folder: Path) -> Iterator[int]:
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.communicate()


def test_programs_are_found_by_name_and_folder(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    with (
        sleeper("cat", folder=tmp_path / "here") as here,
        sleeper("cat", folder=tmp_path / "there") as there,
    ):
        assert running_in(tmp_path / "here", "cat") == [here]
        assert running_in(tmp_path / "there", "cat") == [there]
        assert running_in(tmp_path / "here", "tee") == []
    assert running_in(tmp_path / "here", "cat") == []


def test_this_process_and_the_shell_above_it_do_not_count() -> None:
    name = Path(sys.executable).name
    check = f"from resweep.machine.programs import *; print(running_in(Path('.'), {name!r}))"
    line = f"{sys.executable} -c '{check.replace(chr(39), chr(34))}'; true"
    done = subprocess.run(["sh", "-c", line], cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_has_ended_does_not_run() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    assert is_running(process.pid)
    process.stdin.close()
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running(process.pid)  # nobody has waited for it
    process.wait()
    assert not is_running(process.pid)
