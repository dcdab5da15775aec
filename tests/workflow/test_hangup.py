"""A terminal that is closed, or where Ctrl-C is pressed, with Snakemake and a training in it."""

import contextlib
import fcntl
import json
import os
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import Checkout, tiny_study

STEPS = 1000


class Terminal:
    """A terminal with one command in it."""

    def __init__(self, checkout: Checkout, *command: str):
        self.screen, inner = os.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            command,
            cwd=checkout.path,
            env=checkout.env,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inner)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Read what it shows until something has happened."""
        while not condition():
            assert self.process.poll() is None, "it ended before that"
            if select.select([self.screen], [], [], 0.005)[0]:
                self.shown += os.read(self.screen, 65536)

    def interrupt(self) -> list[str]:
        """Press Ctrl-C; returns the lines that are shown from then on until the command ends."""
        before = len(self.shown)
        os.write(self.screen, b"\x03")
        with contextlib.suppress(OSError):  # how a terminal ends
            while chunk := os.read(self.screen, 65536):
                self.shown += chunk
        self.process.wait()
        os.close(self.screen)
        lines = self.shown[before:].decode().splitlines()
        return [re.sub(r"\x1b\[\d*m", "", line) for line in lines if line.strip()]

    def close(self) -> int:
        """Close it; returns how the command ended."""
        os.close(self.screen)
        return self.process.wait()


def state(checkout: Checkout) -> dict[str, Any]:
    (file,) = checkout.path.glob("results/runs/*/record.json")
    return dict(json.loads(file.read_text()))


def metrics(checkout: Checkout) -> list[int]:
    """The steps that the run's metrics tell of."""
    files = list(checkout.path.glob("results/runs/*/metrics.jsonl"))
    return [json.loads(line)["step"] for file in files for line in file.read_text().splitlines()]


def is_training(checkout: Checkout) -> bool:
    """Whether a process that trains is there."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            here = command.with_name("cwd").samefile(checkout.path)
            if here and b"workflow/scripts/train.py" in command.read_bytes():
                return True
        except OSError:
            pass
    return False


def test_a_closed_terminal_saves_and_its_lock_is_explained(checkout: Checkout) -> None:
    study = tiny_study("tiny")["set"] | {"training.max_steps": STEPS}
    checkout.write_sweep(learning_rate=[1e-3])
    checkout.write_study(set=study, phases=[{"name": "sweep", "kind": "sweep", "sweep": "rates"}])
    command = ("snakemake", "--cores", "1")
    terminal = Terminal(checkout, *command)
    terminal.wait_for(lambda: max(metrics(checkout), default=0) >= 30)
    assert terminal.close() != 0
    while is_training(checkout):
        time.sleep(0.02)
    (attempt,) = state(checkout)["attempts"]
    assert attempt["end"] == "interrupted" and 30 <= attempt["to_step"] < STEPS
    (folder,) = checkout.path.glob("results/runs/*/checkpoint_*")
    assert folder.name == f"checkpoint_{attempt['to_step']}"

    locked = checkout.run(*command, check=False)
    assert locked.returncode != 0 and "LockException" in locked.stdout
    (hint,) = [line for line in locked.stdout.splitlines() if line.startswith("warning: ")]
    assert "`snakemake --unlock`" in hint
    checkout.run("snakemake", "--unlock")
    assert "warning: " not in checkout.run(*command).stdout
    first, second = state(checkout)["attempts"]
    assert (second["from_step"], second["end"]) == (first["to_step"], "completed")
    assert metrics(checkout) == list(range(0, STEPS + 1, 5))


def is_logged(checkout: Checkout, text: str) -> bool:
    files = list(checkout.path.glob(".snakemake/log/*.log"))
    return any(text in file.read_text() for file in files)


def test_ctrl_c_says_what_was_saved_and_what_continues(checkout: Checkout) -> None:
    study = tiny_study("tiny")["set"] | {"training.max_steps": 100 * STEPS}
    checkout.write_sweep(learning_rate=[1e-3], n_layer=[1, 2])
    checkout.write_study(set=study, phases=[{"name": "sweep", "kind": "sweep", "sweep": "rates"}])
    command = ("snakemake", "--cores", "2")
    terminal = Terminal(checkout, *command)
    terminal.wait_for(lambda: b"Select jobs" in terminal.shown)  # data, or nothing yet
    stopped = terminal.interrupt()
    assert terminal.process.returncode != 0 and stopped[-1].endswith(" ".join(command))
    assert not any("Exception" in line or "Error" in line for line in stopped), stopped

    terminal = Terminal(checkout, *command)
    terminal.wait_for(lambda: len(list(checkout.path.glob("results/runs/*/metrics.jsonl"))) == 2)
    stopped = terminal.interrupt()
    assert terminal.process.returncode != 0 and len(stopped) <= 6, stopped
    saved = [line for line in stopped if re.match(r"tiny/sweep: trial \w+: saved at", line)]
    assert len(saved) == 2 and stopped[-1].endswith(" ".join(command))
    assert not any("{" in line or "Exception" in line or "Error" in line for line in stopped)
    assert is_logged(checkout, "returned non-zero exit status 75")
    assert not list(checkout.path.glob(".snakemake/locks/*"))
    assert len(list(checkout.path.glob("results/runs/*/checkpoint_*"))) == 2
