"""Draw the screen of a study of a thousand trials, docs/watching.svg, from made-up results.

python docs/make_watch_picture.py

The files are those that trainings write: the picture is what `resweep watch` shows of them.
"""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from resweep import yaml12
from resweep.files import write_atomically
from resweep.json_files import write_json
from resweep.machine.identity import machine_id
from resweep.paths import Layout, RunFolder
from resweep.study.load import load_study
from resweep.study.study import Phase, Study
from resweep.trials.record import Record, Status, write_record
from resweep.watch.progress import StudyWatch
from resweep.watch.screen import screen
from resweep.watch.watching import NOTE

ROOT = Path(__file__).resolve().parents[1]
TRIALS, ENDED, RUNNING = 1000, 640, 32
STEPS = 500
COLUMNS, LINES = 110, 24
SWEEP: dict[str, Any] = {
    "method": "random",
    "run_cap": TRIALS,
    "metric": {"name": "val/loss", "goal": "minimize"},
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1},
        "weight_decay": {"min": 0.0, "max": 0.4},
        "n_layer": {"values": [2, 4, 6]},
    },
}
PHASES: list[dict[str, Any]] = [
    {"name": "sweep", "kind": "sweep", "sweep": "SWEEP"},
    {"name": "rerun", "kind": "rerun", "of": "sweep", "top": 5, "seeds": [1, 2, 3]},
]


def make_study(folder: Path, trials: int = TRIALS) -> Study:
    """Write a study of a random sweep and a rerun, and load it."""
    sweep, file = folder / "sweep.yaml", folder / "thousand.yaml"
    sweep.write_text(yaml12.dump({**SWEEP, "run_cap": trials}))
    content = {
        "name": "thousand",
        "base": {"model": "gpt-tiny", "data": "python-docs", "training": "quick"},
        "set": {"training.max_steps": STEPS},
        "phases": [{**PHASES[0], "sweep": str(sweep)}, PHASES[1]],
    }
    file.write_text(yaml12.dump(content))
    return load_study(file, ROOT / "config")


def make_results(study: Study, layout: Layout, ended: int = ENDED, running: int = RUNNING) -> None:
    """Write what the first trials of the sweep got, and the runs of those being trained."""
    phase = study.phases[0]
    random = np.random.default_rng(1)
    for number, trial in enumerate(phase.trials[: ended + running]):
        rate = float(phase.assigned(trial)["training.learning_rate"])
        value = 2.2 + 0.3 * abs(np.log10(rate / 4e-3)) ** 2 + float(random.normal(0, 0.02))
        if number < ended:
            make_record(layout, phase, trial, value, diverged=rate > 0.085)
        else:
            make_run(layout, phase, trial, value, step=int(random.integers(1, 10)) * 50)


def make_record(layout: Layout, phase: Phase, trial: str, value: float, *, diverged: bool) -> None:
    """Write the record of a trial that ended."""
    stopped = not diverged and value > 2.75
    status = Status.DIVERGED if diverged else Status.STOPPED if stopped else Status.FINISHED
    record = Record(
        run_id=run_id_of(trial),
        status=status,
        stop_reason=None if status is Status.FINISHED else "made up",
        rule="plateau" if stopped else None,
        step=STEPS if status is Status.FINISHED else STEPS // 2,
        max_steps=STEPS,
        metrics={} if diverged else {phase.metric: value},
        seconds=40.0,
    )
    write_record(layout.record(phase.study, phase.name, trial), record)


def make_run(layout: Layout, phase: Phase, trial: str, value: float, step: int) -> None:
    """Write the files of a run that this process would train."""
    folder = RunFolder(layout.run(run_id_of(trial)))
    stage = phase.stages[0]
    config = phase.known_trial(trial, stage).config
    units = config["training"]["batch_size"] * config["model"]["context_length"]
    write_atomically(folder.config, yaml12.dump(config))
    write_json(folder.state, {"run_id": run_id_of(trial), "max_steps": STEPS})
    write_json(
        folder.lease,
        {"machine": machine_id(), "pid": os.getpid(), "released": False, "token": "made up"},
    )
    line = json.dumps({"step": step, phase.metric: value + 0.4})
    write_atomically(folder.metrics, f"{line}\n")
    line = json.dumps({"step": step, "tokens_per_second": units * 12.5})
    write_atomically(folder.timing, f"{line}\n")
    write_atomically(folder.claim(phase.study, phase.name, trial), "")


def run_id_of(trial: str) -> str:
    """Return a name of a run for a trial."""
    return f"{trial}00"


def main() -> None:
    """Draw it."""
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        layout = Layout(folder / "results")
        study = make_study(folder)
        make_results(study, layout)
        progress = StudyWatch(study, layout).look()
    with Path(os.devnull).open("w") as nowhere:
        console = Console(
            file=nowhere, record=True, width=COLUMNS, height=LINES, force_terminal=True,
            markup=False, highlight=False, emoji=False, color_system="standard",
        )  # fmt: skip
        console.print(screen([progress], COLUMNS, LINES, NOTE))
    picture = console.export_svg(title="resweep watch thousand", unique_id="watch")
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # from the network
    write_atomically(Path(__file__).with_name("watching.svg"), picture)


if __name__ == "__main__":
    main()
