"""Scripts and Snakemake without the seconds that importing costs: forks of one warm process."""

import atexit
import functools
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from tests.support import warm_client
from tests.support.warm_client import Call

SERVER = Path(__file__).with_name("warm_server.py")
CLIENT = Path(__file__).with_name("warm_client.py")
# Without Snakemake's plugins for clusters, which ask for a scheduler while they are imported.
SLOW = ("optuna", "scipy.stats", "snakemake.cli", "torch")
# What runs in place of these commands where the folder comes first in PATH: with a script, the warm
# process; else a new one.
COMMANDS = {
    "python": """#!/bin/sh
case "$1,$2" in
    -u,*.py) shift ;;
esac
case "$1" in
    *.py) exec "{python}" -IS "{client}" "{address}" python "$@" ;;
    *) exec "{python}" "$@" ;;
esac
""",
    "snakemake": """#!/bin/sh
exec "{python}" -IS "{client}" "{address}" snakemake "$@"
""",
}


def is_warm(command: Sequence[str]) -> bool:
    """Whether a warm process can run a command: Snakemake, or a script of Python."""
    return command[0] == "snakemake" or (command[0] == "python" and command[1].endswith(".py"))


@functools.cache
def warm_process() -> "Warm":
    """Return a warm process that ends with this one; it is started once."""
    process = Warm(*SLOW)
    atexit.register(process.end)
    return process


class Running:
    """A call that runs, with the methods of `subprocess.Popen` that tests use.

    Attributes:
        pid: Of the process that does it.
        stdout: Its output.
        returncode: None while it runs.
    """

    def __init__(self, server: socket.socket, pid: int, stdout: TextIO):
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._server = server

    def wait(self) -> int:
        """Wait for its end; returns the exit code, below 0 the signal that killed it."""
        if self.returncode is None:
            with self._server:
                self.returncode = warm_client.wait(self._server)
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        is_running = self.returncode is None and not select.select([self._server], [], [], 0)[0]
        return None if is_running else self.wait()

    def communicate(self) -> tuple[str, None]:
        """Wait for its end; returns its output, which has its errors."""
        with self.stdout:
            text = self.stdout.read()
        self.wait()
        return text, None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class Warm:
    """A warm process.

    Args:
        modules: That it imports, beside the library.

    Attributes:
        commands: Folder with its `python` and `snakemake`, for PATH.
        python: That of them, to run scripts with pipes of their own.
    """

    def __init__(self, *modules: str):
        self.commands = Path(tempfile.mkdtemp(prefix="warm-"))
        self.python = str(self.commands / "python")
        self._address = str(self.commands / "socket")
        for name, text in COMMANDS.items():
            file = self.commands / name
            file.write_text(
                text.format(python=sys.executable, client=CLIENT, address=self._address)
            )
            file.chmod(0o755)
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        more = {"OMP_WAIT_POLICY": "PASSIVE", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | one_thread | more
        life, self._life = os.pipe()
        with socket.socket(socket.AF_UNIX) as listener, os.fdopen(life) as end:
            listener.bind(self._address)
            listener.listen()
            inherited = listener.fileno(), end.fileno()
            words = [sys.executable, SERVER, *inherited, self.python, *modules]
            self._server = subprocess.Popen(list(map(str, words)), env=env, pass_fds=inherited)

    def end(self) -> None:
        """End it, and all that it runs."""
        os.close(self._life)
        self._server.wait()
        shutil.rmtree(self.commands)

    def start(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Running:
        """Start `snakemake ...` or `python SCRIPT.py ...`; its output has its errors."""
        reading, writing = os.pipe()
        with Path(os.devnull).open() as nothing, os.fdopen(writing, "w") as output:
            files = [(0, nothing.fileno()), (1, output.fileno()), (2, output.fileno())]
            call = Call(list(command), str(folder), os.getpid(), dict(env), files)
            server, process = warm_client.start(self._address, call)
        return Running(server, process, os.fdopen(reading))
