"""Has a warm process run a script or Snakemake, in place of a new interpreter: see warm_server.py.

    python -IS tests/support/warm_client.py SOCKET python SCRIPT.py ...
    python -IS tests/support/warm_client.py SOCKET snakemake ...

Who calls has the signals and the exit code of a process of its own; where it dies, the script dies.
It imports next to nothing, since it starts for each job of a workflow.
"""

import array
import os
import signal
import socket
import sys
from typing import NamedTuple

MOST_FILES = 200
LENGTH = 8  # of numbers, in bytes
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Call(NamedTuple):
    """What is to be run.

    Attributes:
        words: The program and its arguments.
        folder: Where.
        parent: The process that started who calls.
        env: All of its environment.
        files: Its open files: the descriptor that it has there, and the one here.
    """

    words: list[str]
    folder: str
    parent: int
    env: dict[str, str]
    files: list[tuple[int, int]]


def start(address: str, call: Call) -> tuple[socket.socket, int]:
    """Start a call; returns what `wait` takes, and its process."""
    env = [f"{name}={value}" for name, value in call.env.items()]
    numbers = " ".join(str(number) for number, _ in call.files)
    parts = [call.folder, str(call.parent), numbers, str(len(call.words)), *call.words, *env]
    text = os.fsencode("\0".join(parts))
    server = socket.socket(socket.AF_UNIX)
    server.connect(address)
    files = array.array("i", [file for _, file in call.files])
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
    server.sendmsg([len(text).to_bytes(LENGTH, "big")], rights)
    server.sendall(text)
    return server, int.from_bytes(_read(server, LENGTH), "big")


def wait(server: socket.socket) -> int:
    """Wait for the end of a call; returns its exit code, below 0 the signal that killed it."""
    return int.from_bytes(_read(server, LENGTH), "big", signed=True)


def receive(caller: socket.socket) -> Call:
    """Read what `start` sends."""
    files = array.array("i")
    size = socket.CMSG_LEN(MOST_FILES * files.itemsize)
    head, rights, _, _ = caller.recvmsg(LENGTH, size)
    if not head:
        raise EOFError("the other side has ended")
    files.frombytes(rights[0][2])
    text = os.fsdecode(_read(caller, int.from_bytes(head, "big")))
    folder, parent, numbers, count, *parts = text.split("\0")
    words, env = parts[: int(count)], parts[int(count) :]
    variables = dict(entry.split("=", 1) for entry in env)
    places = list(zip(map(int, numbers.split()), files, strict=True))
    return Call(words, folder, int(parent), variables, places)


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError("the other side has ended")
        data += more
    return data


def _is_open(number: int) -> bool:
    """Whether a descriptor is open, for programs that are started too."""
    try:
        return os.get_inheritable(number)
    except OSError:
        return False


def main() -> None:
    """Call it, and end as it ends."""
    address, *words = sys.argv[1:]
    # A shell passes what is in parentheses by further files: `program @<(echo text)`.
    files = [(number, number) for number in range(MOST_FILES) if _is_open(number)]
    call = Call(words, os.getcwd(), os.getppid(), dict(os.environ), files)  # noqa: PTH109
    server, process = start(address, call)
    for number in SIGNALS:
        signal.signal(number, lambda number, _: os.kill(process, number))
    code = wait(server)
    if code < 0:
        if -code in SIGNALS:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
