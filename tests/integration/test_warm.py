"""What the warm process of the tests runs behaves like a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.support.warm import warm_process

ECHO = """
import os, sys
from pathlib import Path
print(Path.cwd().name, os.environ["GIVEN"], sys.argv[1:], sys.stdin.read(), os.getppid())
print("an error", file=sys.stderr)
"""
WAIT = """
import os, signal
print(os.getpid(), flush=True)
signal.pause()
"""


@pytest.fixture(params=["warm", "new"])
def python(request: pytest.FixtureRequest) -> str:
    """A script is run by a warm process, or by a new one, which is to be the same."""
    return warm_process().python if request.param == "warm" else sys.executable


def write(folder: Path, text: str) -> str:
    file = folder / "script.py"
    file.write_text(text)
    return str(file)


def test_it_has_the_arguments_folder_environment_and_streams_of_who_calls(
    python: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [python, write(tmp_path, ECHO), "a b", ""],
        cwd=tmp_path,
        env={**os.environ, "GIVEN": "é"},
        input="given",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path.name} é ['a b', ''] given {os.getpid()}\n"
    assert done.stderr == "an error\n"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", 0, ""),
        ("raise SystemExit(75)", 75, ""),
        ("raise SystemExit('why')", 1, "why\n"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import atexit; atexit.register(print, 'end')", 0, "end\n"),
    ],
)
def test_it_ends_alike(text: str, code: int, says: str, python: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, write(tmp_path, text)], stdout=-1, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == code and says in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_it(number: signal.Signals, python: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [python, write(tmp_path, WAIT)], stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        script = psutil.Process(int(started.stdout.readline()))
        started.send_signal(number)
        assert started.wait() == -number
    script.wait(10)


def test_an_edited_library_is_the_one_that_is_imported(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    script = write(tmp_path, "from resweep import plurals; print(vars(plurals).get('EDITED'))")
    for edited in ("None", "1"):
        env = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
        process = warm_process().start(["python", script], tmp_path, env)
        assert process.communicate()[0] == f"{edited}\n"
        with (tmp_path / "src/resweep/plurals.py").open("a") as file:
            file.write("EDITED = 1\n")
