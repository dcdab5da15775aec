"""Forked children: their answers, their ends, and the signals that reach them."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from resweep.machine.children import CRASHED, MOST_READ, Children, End
from resweep.machine.signals import STOP, watch_signals
from tests.support.in_fork import in_fork

SOON = 10.0  # seconds, for what takes milliseconds


def first_end(children: Children) -> End:
    """How the first of them ends."""
    while not (ended := children.wait(0.05)):
        pass
    return next(iter(ended.values()))


def end_of(work: Callable[[], Mapping[str, Any]]) -> Any:
    """How a child that does some work ends: its answer, signal and code."""

    def parent() -> list[Any]:
        children = Children()
        children.start("a", work)
        end = first_end(children)
        assert not len(children) and not children.pids
        return [end.answer, end.signal, end.code]

    return in_fork(parent)


def killed(number: int) -> Mapping[str, Any]:
    os.kill(os.getpid(), number)
    return {}


def failed() -> Mapping[str, Any]:
    raise ValueError("a bug")


@pytest.mark.parametrize(
    ("work", "end"),
    [
        (lambda: {"a": [1, None]}, [{"a": [1, None]}, None, 0]),
        (lambda: {"long": "x" * 3 * MOST_READ}, [{"long": "x" * 3 * MOST_READ}, None, 0]),
        (lambda: killed(signal.SIGKILL), [None, signal.SIGKILL, 0]),
        (lambda: killed(signal.SIGSEGV), [None, signal.SIGSEGV, 0]),
        (lambda: os._exit(3), [None, None, 3]),
        (failed, [None, None, CRASHED]),
    ],
    ids=["answer", "longer than a pipe", "killed", "crashed", "exit", "bug"],
)
def test_each_end(work: Callable[[], Mapping[str, Any]], end: list[Any]) -> None:
    assert end_of(work) == end


def test_a_process_that_it_leaves_behind_delays_nothing() -> None:
    """It holds what it inherited open, the child's pipe too."""

    def work() -> dict[str, Any]:
        left = os.fork()
        if left == 0:
            time.sleep(60)
            os._exit(0)
        return {"left": left}

    answer, *end = end_of(work)
    assert end == [None, 0] and Path(f"/proc/{answer['left']}").exists()
    os.kill(answer["left"], signal.SIGKILL)


def test_what_parents_say_at_their_exit_is_not_said_twice(capfd: pytest.CaptureFixture) -> None:
    def parent() -> None:
        print("said before", end="")
        children = Children()
        children.start("a", lambda: {})
        first_end(children)

    in_fork(parent)
    assert capfd.readouterr().out == "said before"


@pytest.mark.parametrize("number", STOP)
@pytest.mark.parametrize("is_ignored", [False, True])
def test_signals_are_its_own(number: signal.Signals, is_ignored: bool) -> None:
    """It has no handlers of its parent; what is ignored, as SIGHUP under nohup, stays so."""

    def parent() -> Any:
        watch_signals()
        if is_ignored:
            signal.signal(number, signal.SIG_IGN)
        children = Children()
        children.start("a", lambda: {"default": signal.getsignal(number) == signal.SIG_DFL})
        return first_end(children).answer

    assert in_fork(parent) == {"default": not is_ignored}


def test_a_signal_during_the_fork_is_the_parents_alone() -> None:
    def parent() -> list[Any]:
        received = watch_signals()
        own = os.getpid()
        os.register_at_fork(before=lambda: os.kill(own, signal.SIGTERM))
        children = Children()
        children.start("a", lambda: {"received": list(received)})
        return [received, first_end(children).answer]

    assert in_fork(parent) == [[signal.SIGTERM], {"received": []}]


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    def parent() -> None:
        children = Children()
        pid = children.start("a", lambda: time.sleep(600) or {})
        (tmp_path / "new").write_text(str(pid))
        (tmp_path / "new").rename(tmp_path / "pid")
        time.sleep(600)

    pid = os.fork()
    if pid == 0:
        try:
            parent()
        finally:
            os._exit(1)
    while not (tmp_path / "pid").exists():
        time.sleep(0.001)
    child = Path("/proc", (tmp_path / "pid").read_text())
    assert child.exists()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + SOON
    while child.exists() and "(zombie)" not in (child / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_second_thread_is_refused() -> None:
    def parent() -> str:
        from threading import Event, Thread

        done = Event()
        Thread(target=done.wait, daemon=True).start()
        try:
            Children().start("a", lambda: {})
        except AssertionError as error:
            return str(error)
        return ""

    assert "2 threads" in in_fork(parent)


def test_a_fork_that_fails_leaves_nothing_open() -> None:
    def parent() -> list[int]:
        def refuse() -> int:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        os.fork = refuse  # as `ulimit -u` does, which does not bind root
        opened = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(BlockingIOError):
            Children().start("a", lambda: {})
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return [len(list(Path("/proc/self/fd").iterdir())) - opened, len(blocked)]

    assert in_fork(parent) == [0, 0]
