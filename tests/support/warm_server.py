"""Runs scripts and Snakemake from one process that has imported what is slow to import.

    python tests/support/warm_server.py LISTENER LIFE PYTHON MODULE...

Each call is a forked child with the words, folder, environment and open files of who calls: see
warm_client.py. Where its path leads to another state of the library, it imports that. Snakemake
takes PYTHON for the interpreter that runs it, and so for the one of its jobs. LISTENER is the
descriptor of a socket that listens; at the end of the pipe LIFE the server ends, and all calls.
Most of the library is imported, and each MODULE.
"""

import atexit
import contextlib
import fcntl
import gc
import importlib
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
import traceback
import types
import weakref
from pathlib import Path
from typing import NoReturn

from warm_client import LENGTH, Call, receive

LIBRARY = Path(__file__).resolve().parents[2] / "src"
# What imports transformers, peft and DeepSpeed: few calls need them, all would fork their memory.
LANGUAGE = "resweep.systems.language"
SELDOM = (
    *(f"{LANGUAGE}.{name}" for name in ("hf", "lora", "masked_attention")),
    "resweep.training.zero",
)
CRASHED = 1
FREE = 200  # descriptors from here on are used by nobody


class Server:
    """The calls that run.

    Args:
        listener: Descriptor of its socket.
        life: Descriptor of a pipe that ends when the server is to end.
        python: The interpreter of Snakemake's jobs.
    """

    def __init__(self, listener: int, life: int, python: str):
        self.listener = socket.socket(fileno=listener)
        self.life = life
        self.python = python
        self.library = state_of(LIBRARY)
        self.path = sys.path[1:]  # without the folder of this file
        self.ready = selectors.DefaultSelector()
        self.ready.register(self.listener, selectors.EVENT_READ)
        self.ready.register(life, selectors.EVENT_READ)
        self.running: dict[int, int] = {}  # handle -> process
        self.callers: dict[int, socket.socket] = {}  # handle -> who called

    def serve(self) -> None:
        """Serve until the end of its life."""
        while True:
            for key, _ in self.ready.select():
                if key.fileobj == self.life:
                    for handle in self.running:
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                    return
                if key.fileobj is self.listener:
                    self.start(self.listener.accept()[0])
                elif key.data is None:
                    self.end(key.fd)
                elif self.callers.get(key.data) is key.fileobj:  # who called is gone
                    self.ready.unregister(key.fileobj)
                    signal.pidfd_send_signal(key.data, signal.SIGKILL)

    def start(self, caller: socket.socket) -> None:
        """Start a call."""
        try:
            call = receive(caller)
        except EOFError:  # who called was killed
            caller.close()
            return
        child = os.fork()
        if child == 0:
            caller.close()
            self.be_child(call)
        for _, file in call.files:
            os.close(file)
        with contextlib.suppress(OSError):
            caller.sendall(child.to_bytes(LENGTH, "big"))
        handle = os.pidfd_open(child)
        self.running[handle], self.callers[handle] = child, caller
        self.ready.register(handle, selectors.EVENT_READ)
        self.ready.register(caller, selectors.EVENT_READ, data=handle)

    def end(self, handle: int) -> None:
        """Report the end of a call."""
        child, caller = self.running.pop(handle), self.callers.pop(handle)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.ready.unregister(handle)
        with contextlib.suppress(KeyError):
            self.ready.unregister(caller)
        os.close(handle)
        with contextlib.suppress(OSError):
            caller.sendall(code.to_bytes(LENGTH, "big", signed=True))
        caller.close()

    def be_child(self, call: Call) -> NoReturn:
        """Run a call as its own process would; never returns."""
        code = CRASHED
        try:
            self.listener.close()
            os.close(self.life)
            self.ready.close()
            for handle, caller in self.callers.items():
                os.close(handle)
                caller.close()
            code = self.run(call)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def run(self, call: Call) -> int:
        """Take the place of a new process; returns its exit code."""
        take_files(call.files)
        os.chdir(call.folder)
        this, getppid = os.getpid(), os.getppid
        os.getppid = lambda: call.parent if os.getpid() == this else getppid()
        os.environ.clear()
        os.environ.update(call.env)
        program, *words = call.words
        if Path(program).name == "snakemake":
            file = Path(sys.executable).with_name("snakemake")
            sys.executable, sys.argv = self.python, [str(file), *words]
        else:
            file = Path(call.folder, words[0])
            sys.argv = words
        own = list(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
        sys.path[:] = [str(file.parent), *own, *self.path]
        customized = any(Path(entry, "sitecustomize.py").exists() for entry in own)
        if customized or not any(state_of(Path(entry)) == self.library for entry in own):
            for name in [name for name in sys.modules if name.partition(".")[0] == "resweep"]:
                del sys.modules[name]
        if customized:
            sys.modules.pop("sitecustomize", None)  # that of the system, as Debian has one
            importlib.import_module("sitecustomize")
        return run_main(file)


def take_files(files: list[tuple[int, int]]) -> None:
    """Give open files the descriptors that they have where a call comes from."""
    moved = {number: fcntl.fcntl(file, fcntl.F_DUPFD, FREE) for number, file in files}
    for _, file in files:
        os.close(file)
    for number, file in moved.items():
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


def run_main(file: Path) -> int:
    """Run a script as the main one, and what follows its end; returns the exit code."""
    main = types.ModuleType("__main__")
    main.__file__ = str(file)
    sys.modules["__main__"] = main
    code = 0
    try:
        exec(compile(file.read_text(), main.__file__, "exec"), vars(main))
    except SystemExit as ended:
        code = exit_code(ended)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    return code


def state_of(library: Path) -> dict[str, tuple[int, int]]:
    """Return the date and size of all modules below a folder."""
    found = {}
    for file in library.rglob("*.py"):
        status = file.stat()
        found[str(file)[len(str(library)) :]] = status.st_mtime_ns, status.st_size
    return found


def exit_code(ended: SystemExit) -> int:
    """Return the exit code that Python gives."""
    if ended.code is None or isinstance(ended.code, int):
        return (ended.code or 0) & 0xFF
    print(ended.code, file=sys.stderr)
    return 1


def main() -> None:
    """Import, and serve."""
    listener, life, python, *modules = sys.argv[1:]
    server = Server(int(listener), int(life), python)
    for name in modules:
        importlib.import_module(name)
    sys.path.insert(0, str(LIBRARY))
    for module in pkgutil.walk_packages([str(LIBRARY / "resweep")], "resweep."):
        if module.name not in SELDOM:
            importlib.import_module(module.name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, (
        "a process with threads cannot be forked"
    )
    os.fsync = lambda _: None  # as in tests/conftest.py
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False  # what this process made is not for children to clean up
    gc.collect()
    gc.freeze()  # children do not copy what they never collect
    server.serve()


if __name__ == "__main__":
    main()
