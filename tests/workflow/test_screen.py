"""The screen of a study on a terminal, what is printed elsewhere, and word of the end."""

import json
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Checkout, tiny_study
from tests.support.hold import Held
from tests.support.terminal import COLUMNS, Terminal

ROWS_OF_SNAKEMAKE = ("Job stats:", "Finished jobid", "Select jobs to execute...")
STEPS = 40
LOADS = "AutoModelForCausalLM.from_pretrained"


class Receiver(HTTPServer):
    """A server that keeps what is posted to it, and answers with a code of one's choice."""

    def __init__(self, code: int):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.code = code
        self.got: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook/private"


class _Answer(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.got.append(json.loads(content))
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver(200)
    yield server
    server.shutdown()
    server.server_close()


def log_of(checkout: Checkout) -> str:
    return "".join(file.read_text() for file in checkout.path.glob(".snakemake/log/*.log"))


def test_a_terminal_shows_one_screen_and_what_the_study_came_to(checkout: Checkout) -> None:
    checkout.write_sweep(learning_rate=[1e-3])
    checkout.write_study(
        set=tiny_study("tiny")["set"] | {"training.max_steps": STEPS},
        phases=[{"name": "sweep", "kind": "sweep", "sweep": "rates"}],
    )
    held = Held(checkout)
    terminal = Terminal(checkout, "snakemake", "--cores", "1", "--quiet", "rules")
    terminal.wait_for(lambda: any(line.startswith("running ") for line in terminal.lines()))
    seen = terminal.lines()
    (title,) = [line for line in seen if line.startswith("study tiny")]
    assert "0 of 1 trials" in title
    (row,) = [line for line in seen if line.startswith("sweep ") and "0.001" in line]
    assert str(STEPS) in row
    assert all(len(line) <= COLUMNS for line in seen if not line.startswith("  "))
    held.release()
    lines = terminal.read_to_end()
    assert terminal.process.returncode == 0
    assert not any(of in "\n".join(lines) for of in ROWS_OF_SNAKEMAKE[1:])
    assert all(of in log_of(checkout) for of in ROWS_OF_SNAKEMAKE)
    (title,) = [line for line in lines if line.startswith("study tiny  ")]
    assert "1 of 1 trials" in title and "complete" in title
    after = lines[lines.index(title) :]
    assert "report: results/tiny/report.html" in after
    assert any(LOADS in line for line in after)
    assert any(line.startswith("  best: val/loss") for line in after)
    note = json.loads((checkout.path / "results/tiny/build.json").read_text())
    assert note["ended"] > note["since"] and not note["failed"]


def test_ctrl_c_ends_watching_and_leaves_the_terminal_as_it_was(checkout: Checkout) -> None:
    terminal = Terminal(checkout, "python", "workflow/scripts/watch.py", "tiny")
    terminal.wait_for(lambda: b"nothing is being trained" in terminal.shown)
    assert any(line.startswith("study tiny  0 of 4 trials") for line in terminal.lines())
    assert terminal.interrupt() == ["stopped"] or terminal.lines()[-1].endswith("stopped")
    assert terminal.process.returncode == -signal.SIGINT
    assert terminal.shown.count(b"\x1b[?25h") == 1  # the cursor
    assert not (checkout.path / "results/tiny").exists()


def test_a_failed_job_is_seen_with_its_log_and_sent(built: Checkout) -> None:
    script = built.path / "workflow/scripts/score.py"
    script.write_text(
        script.read_text().replace(
            "def main() -> None:\n",
            "def main() -> None:\n    raise SystemExit('no ranking today')\n",
            1,
        )
    )
    told = built.path / "told.json"
    built.write_study(notify={"command": f"cat > {told}", "when": "failure"})
    for file in built.path.glob("results/tiny/*/scores.csv"):
        file.unlink()
    terminal = Terminal(built, "snakemake", "--cores", "1", env={"NO_COLOR": "1"})
    lines = terminal.read_to_end()
    assert terminal.process.returncode == 1 and not re.search(rb"\x1b\[[39]\dm", terminal.shown)
    assert any("Error in rule score_sweep" in line for line in lines), lines
    assert any("logs/tiny/sweep/score.log" in line for line in lines)
    assert any("no ranking today" in line for line in lines)
    message = json.loads(told.read_text())
    assert message["study"] == "tiny" and message["status"] == "failed"
    assert Path(message["log"]).is_file()


def test_without_a_terminal_the_messages_are_snakemakes_own(
    built: Checkout, receiver: Receiver
) -> None:
    named = built.path / "named.txt"
    command = [
        "python",
        "-c",
        f"import os; open({str(named)!r}, 'w').write(os.environ['RESWEEP_MODEL'])",
    ]
    built.write_study(notify={"command": command, "url": receiver.url})
    (built.path / "results/tiny/report.html").unlink()
    output = built.snakemake().stdout
    assert all(of in output for of in ROWS_OF_SNAKEMAKE)
    assert "\x1b[2K" not in output and "report: results/tiny/report.html" in output.splitlines()
    (message,) = receiver.got
    assert message["status"] == "ended" and message["trials"] == {"finished": 4}
    assert message["metric"] == "val/loss" and message["value"] > 0
    assert Path(message["report"]).is_file() and named.read_text() == message["model"]
    assert "best: val/loss" in message["text"]
    # A complete study is no failure, even if its build did not note its end: as that of a module.
    note = built.path / "results/tiny/build.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"ended": None, "process": 2**30}))
    watched = built.run("python", "workflow/scripts/watch.py", "tiny").stdout.splitlines()
    assert "tiny: 4 of 4 trials; complete; best trial: rerun trial" in watched[0]
    assert watched[-1] == "all rankings: resweep summary tiny"
    written = (file for file in built.path.glob("results/tiny/*") if file.is_file())
    assert not any(receiver.url in file.read_text() for file in written)


def test_a_receiver_that_cannot_be_reached_is_a_line(built: Checkout, receiver: Receiver) -> None:
    receiver.code = 404
    built.write_study(notify={"command": ["false"], "url": "env:HOOK"})
    (built.path / "results/tiny/report.html").unlink()
    command = ("snakemake", "--cores", "1", "--quiet", "all")
    output = built.run(*command, env={"HOOK": receiver.url}).stdout
    faults = [line for line in output.splitlines() if line.startswith("warning: notify.")]
    assert len(faults) == 2 and "ended with 1" in faults[0] and "404" in faults[1]
    assert receiver.url not in output and len(receiver.got) == 1
    (built.path / "results/tiny/report.html").unlink()
    assert "HOOK is not set" in built.run(*command).stdout


def test_calls_that_build_nothing_print_what_they_always_did(built: Checkout) -> None:
    (built.path / "results/tiny/report.html").unlink()
    dag = Terminal(built, "snakemake", "--dag", "dot").read_to_end()
    assert any("digraph" in line for line in dag)
    seen = Terminal(built, "snakemake", "-n").read_to_end()
    profile = built.path / "profiles/default/config.yaml"
    profile.write_text(profile.read_text().replace("logger: [resweep]\n", ""))
    without = Terminal(built, "snakemake", "-n").read_to_end()

    def steady(lines: list[str]) -> list[str]:
        return [line for line in lines if not line.startswith(("[", "  Date", "  Workflow"))]

    assert steady(seen) == steady(without) and any("report" in line for line in seen)
    assert not any(line.startswith("study tiny  ") for line in [*dag, *seen])


def test_an_environment_of_an_older_version_is_one_line(checkout: Checkout) -> None:
    call = (
        "import pathlib, sys; plugin = 'snakemake_logger_plugin_resweep'; "
        "sys.path = [of for of in sys.path if not pathlib.Path(of, plugin).exists()]; "
        "from snakemake.cli import main; main()"
    )
    ended = checkout.run("python", "-c", call, "-n", check=False)
    line = ended.stdout.splitlines()[-1]
    assert ended.returncode == 1 and "older" in line and "make env" in line
    assert "usage:" not in ended.stdout
