"""A terminal that is closed, or where Ctrl-C is pressed, with Snakemake and a training in it."""

import json
import re
import time
from pathlib import Path
from typing import Any

from tests.conftest import Checkout, tiny_study
from tests.support.terminal import Terminal

STEPS = 1000


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
    terminal = Terminal(checkout, *command, warm=False)
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
    told = checkout.path / "told.json"
    checkout.write_study(
        set=study,
        phases=[{"name": "sweep", "kind": "sweep", "sweep": "rates"}],
        notify={"command": f"cat > {told}", "when": "always"},
    )
    command = ("snakemake", "--cores", "2")
    terminal = Terminal(checkout, *command, warm=False)
    terminal.wait_for(lambda: b"study tiny" in terminal.shown)  # data, or nothing yet
    stopped = terminal.interrupt()
    assert terminal.process.returncode != 0 and stopped[-1].endswith(" ".join(command))
    assert not any("Exception" in line or "Error" in line for line in stopped), stopped

    terminal = Terminal(checkout, *command, warm=False)
    terminal.wait_for(lambda: len(list(checkout.path.glob("results/runs/*/metrics.jsonl"))) == 2)
    stopped = terminal.interrupt()
    assert terminal.process.returncode != 0 and len(stopped) <= 6, stopped
    saved = [line for line in stopped if re.match(r"tiny/sweep: trial \w+: saved at", line)]
    assert len(saved) == 2 and stopped[-1].endswith(" ".join(command))
    assert not any("{" in line or "Exception" in line or "Error" in line for line in stopped)
    assert is_logged(checkout, "returned non-zero exit status 75")
    assert not list(checkout.path.glob(".snakemake/locks/*"))
    assert len(list(checkout.path.glob("results/runs/*/checkpoint_*"))) == 2

    assert not told.exists()  # no job failed, other than by Ctrl-C
    watching = checkout.run("python", "workflow/scripts/watch.py", "tiny", check=False)
    assert watching.returncode == 1
    assert "run the same command again" in watching.stdout and "failed jobs" not in watching.stdout
