"""Receivers of a study's end that do what they should not: each is a line, and holds nothing up."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from resweep.study.notify import Notify
from resweep.watch.notify import notify

MESSAGE = {"study": "tiny", "status": "ended", "text": "study tiny ended", "trials": {}}
KEY = "a-key-that-nobody-should-see"


def faults(seconds: float = 20.0, **receivers: object) -> list[str]:
    return list(notify(Notify.model_validate(receivers), MESSAGE, seconds))


class Server(HTTPServer):
    """Answers with a code and headers of one's choice, and counts what it was asked."""

    code, headers = 200, dict[str, str]()

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook/{KEY}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        self.server.asked.append(self.command)
        self.send_response(self.server.code, f"see {self.path}")
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts, and sends nothing until the test does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def address(of: socket.socket, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{of.getsockname()[1]}/{KEY}"


def test_a_command_that_is_missing_or_fails() -> None:
    (fault,) = faults(command=["no-such-program", "x"])
    assert fault == "notify.command: no-such-program: No such file or directory"
    (fault,) = faults(command="no-such-program x")
    assert "the command ended with 127" in fault and "not found" in fault
    (fault,) = faults(command=["sh", "-c", "echo first; echo '\033[31mthen' >&2; exit 3"])
    assert "sh ended with 3: first " in fault and fault.isprintable()
    (fault,) = faults(command="seq 100000; echo the reason; exit 1")
    assert fault.endswith("100000 the reason") and "ended with 1" in fault and len(fault) < 300


def test_what_a_command_prints_has_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_TOKEN", KEY)
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:1/{KEY[::-1]}")
    command = f"PASS={KEY} sh -c 'echo $MAIL_TOKEN $HOOK hf_{'x' * 20}; exit 1'"
    fault, _ = faults(command=command, url="env:HOOK")
    assert "ended with 1" in fault and fault.count("(hidden)") == 3
    assert not any(key in fault for key in (KEY, KEY[::-1], "xxxx"))


def test_a_command_that_hangs_is_stopped_with_what_it_called(tmp_path: Path) -> None:
    named = tmp_path / "process"
    (fault,) = faults(1.0, command=f"sleep 600 & echo $! > {named}; wait")
    assert "took longer than 1 s and was stopped" in fault
    state = Path(f"/proc/{named.read_text().strip()}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_a_command_that_prints_without_end_is_stopped_before_the_disk_is_full() -> None:
    (fault,) = faults(command="yes")
    assert fault == "notify.command: the command printed more than 16 MB and was stopped"


def test_what_a_command_leaves_in_the_background_is_not_waited_for() -> None:
    assert faults(command="sleep 100 & exit 0") == []
    assert faults(command="true < /dev/null") == []  # it reads nothing


def test_a_redirect_does_not_count_as_received(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server.code, server.headers = 302, {"Location": address(other)}
        (fault,) = faults(url=server.url)
    assert fault.startswith("notify.url: 127.0.0.1: answered 302 Found; redirects are not")
    assert server.asked == ["POST"] and KEY not in fault


@pytest.mark.parametrize("code", [404, 500, 599])
def test_a_server_that_refuses(server: Server, code: int) -> None:
    server.code = code
    (fault,) = faults(url=server.url)
    assert f"answered {code}" in fault and KEY not in fault


def test_a_server_that_is_not_there(silent: socket.socket) -> None:
    url = address(silent)
    silent.close()
    assert faults(url=url) == ["notify.url: 127.0.0.1: Connection refused"]


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_a_server_that_does_not_end_its_answer(silent: socket.socket, begins: bytes) -> None:
    held = []

    def answer() -> None:
        held.append(silent.accept()[0])
        held[0].sendall(begins)

    threading.Thread(target=answer, daemon=True).start()
    (fault,) = faults(1.0, url=address(silent))
    assert "no answer" in fault and KEY not in fault
    held[0].close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_of_another_kind(silent: socket.socket, scheme: str) -> None:
    def answer() -> None:
        with silent.accept()[0] as met:
            met.recv(1)
            met.sendall(b"SSH-2.0-what\r\n")

    threading.Thread(target=answer, daemon=True).start()
    (fault,) = faults(url=address(silent, scheme))
    assert fault.startswith("notify.url: 127.0.0.1: ") and KEY not in fault


@pytest.mark.parametrize("value", ["http://[bad", "ftp://host", f"http://host/a b/{KEY}", "é"])
def test_a_variable_without_a_url(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", value)
    (fault,) = faults(url="env:HOOK")
    assert "HOOK should hold a URL" in fault and value not in fault
