r"""Train one configuration into saved_models.

    python straightening_dynamics/train/train.py [CONFIG] [NAME=VALUE ...]

CONFIG is straightening_dynamics/train/configs/train_config.yaml where it is left out; values after
it are set above those of the file, as in training.max_steps=20. On SIGTERM, SIGUSR1, SIGINT and
SIGHUP it saves and exits with code 75; run the same command again to continue.
"""

import os
import signal

if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports: end without a trace
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not use up cores

import argparse
import logging
import sys
from pathlib import Path

from home import LAYOUT, SETTINGS, add_config, enter, split_changes

from resweep.agents.experiment_study import create_experiment
from resweep.command_help import HelpFormatter
from resweep.data import store as data_store
from resweep.errors import ResweepError, run_command
from resweep.jobs.job_log import log_in_store, report, show_log
from resweep.jobs.train_by_hand import plan_by_hand, result_text, train_by_hand
from resweep.machine.children import end_now
from resweep.machine.signals import SAVED_AND_STOPPED, watch_signals
from resweep.report.tables import write_runs_table
from resweep.systems.language.experiment_config import explain, own_line, read_experiment
from resweep.systems.language.system import SYSTEM

log = logging.getLogger("resweep.train")


def main() -> int:
    """Train; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add_config(parser, "config", "train_config.yaml")
    words, changes = split_changes(sys.argv[1:])
    arguments = parser.parse_args(words)
    enter()
    config = read_experiment(arguments.config, changes)
    name = str(config.values.get("run.name") or arguments.config.stem)
    made = create_experiment(config, SETTINGS, Path("config"), LAYOUT, name=name)
    plan = plan_by_hand(["--study", str(made.folder.study), "--keep", "all"])
    signals = watch_signals()
    show_log(f"{made.name}: ")
    data = data_store.ensure(SYSTEM, plan.trial.config["data"], LAYOUT)
    for line in (*explain(plan.trial.config, data), *own_line(config)):
        log.info("%s", line)

    def register(run: Path) -> None:
        log_in_store(run)
        log.info("run %s", run.name)

    try:
        record = train_by_hand(plan, interrupted=lambda: bool(signals), on_run=register)
    except (ResweepError, OSError) as error:
        report(error)
        return SAVED_AND_STOPPED if signals else 1
    finally:
        write_runs_table(LAYOUT)
    print(result_text(record, LAYOUT))
    return 0 if record.status.was_trained else 1


if __name__ == "__main__":
    run_command(main, end_now)
