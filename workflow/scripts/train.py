"""Advance a trial's run as far as it asks, and write its record.

    python workflow/scripts/train.py --trial results/STUDY/PHASE/trials/TRIAL.yaml \
        --record results/STUDY/PHASE/records/TRIAL.json

What the run store has is linked, what it has in part is continued. SIGTERM, SIGUSR1 and SIGINT
save and leave with exit code 75; the same command continues.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not burn a busy machine

import argparse
import json
import logging
import signal
import sys
from pathlib import Path

from resweep.errors import ResweepError, run_command
from resweep.paths import Layout
from resweep.train_trial import train_trial
from resweep.trial import read_trial, trial_from, write_trial

SAVED_AND_LEFT = 75  # EX_TEMPFAIL: the same command goes on

log = logging.getLogger("resweep.train")


def main() -> int:
    """Train one trial; returns the exit code."""
    arguments = parse_arguments()
    signals = watch_signals()
    if arguments.content:
        trial = trial_from(json.loads(arguments.content), "--content")
        write_trial(arguments.trial, trial)
    else:
        trial = read_trial(arguments.trial)
    set_up_logging(arguments.log, f"{trial.study}/{trial.phase}/{trial.trial}")
    try:
        train_trial(
            trial,
            arguments.record,
            Layout(arguments.results),
            device=arguments.device,
            keep=arguments.keep,
            weights=arguments.weights,
            tracking=json.loads(arguments.tracking),
            lock_timeout=arguments.lock_timeout,
            memory_limit_mb=arguments.memory_mb,
            interrupted=lambda: bool(signals),
            on_run=lambda folder: add_log_file(folder / "train.log"),
        )
    except ResweepError as error:
        log.error("%s", error)
        return SAVED_AND_LEFT if signals else 1
    return 0


def watch_signals() -> list[int]:
    """Collect the signals that mean: save and leave."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda number, _: received.append(number))
    return received


def set_up_logging(file: Path | None, name: str) -> None:
    """Log to stderr under the trial's name, and to a file."""
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(logging.Formatter(f"{name}: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[shown])
    if file:
        add_log_file(file)


def add_log_file(file: Path) -> None:
    """Log to one more file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--trial", type=Path, required=True, help="the trial file")
    add("--record", type=Path, required=True, help="the record to write")
    add("--content", help="the trial as JSON; written to the trial file first")
    add("--results", type=Path, default=Path("results"), help="results folder (results)")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    add("--keep", choices=("best", "all", "none"), default="best", help="weights to keep (best)")
    add("--weights", action="store_true", help="have the weights, even if they were pruned")
    add("--tracking", default="{}", help="W&B settings as JSON: wandb, project, entity")
    add("--lock-timeout", type=float, default=3600.0, help="seconds to wait for the run (3600)")
    add("--memory-mb", type=int, help="memory that the scheduler allows, in MB")
    add("--log", type=Path, help="also log to this file")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
