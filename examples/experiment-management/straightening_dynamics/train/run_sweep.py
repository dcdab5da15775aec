"""Train a sweep over a configuration into saved_models, rank and report it.

    python straightening_dynamics/train/run_sweep.py [CONFIG [SWEEP]] [NAME=VALUE ...]

CONFIG and SWEEP are train_config.yaml and sweep_config.yaml of straightening_dynamics/train/configs
where they are left out; values after them are set above those of CONFIG, as in
training.max_steps=20. Options after -- are for Snakemake. After an interruption, the same command
continues.
"""

import argparse
import logging
import os
import shlex
import sys
from pathlib import Path

from home import LAYOUT, SETTINGS, add_config, enter, split_changes

from resweep.agents.experiment_study import create_experiment
from resweep.command_help import HelpFormatter
from resweep.command_line import split_words
from resweep.data import store as data_store
from resweep.errors import run_command
from resweep.machine.log_file import ScreenFormatter
from resweep.sweep.load import load_sweep, read_content
from resweep.systems.language.experiment_config import (
    explain,
    own_line,
    read_experiment,
    read_sweep_parameters,
)
from resweep.systems.language.system import SYSTEM

log = logging.getLogger("resweep.run_sweep")


def main() -> int:
    """Make the study, and have Snakemake build it."""
    own, for_snakemake = split_words(sys.argv[1:])
    words, changes = split_changes(own)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add_config(parser, "config", "train_config.yaml")
    add_config(parser, "sweep", "sweep_config.yaml")
    arguments = parser.parse_args(words)
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(ScreenFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[screen])
    enter()
    sweep = load_sweep(arguments.sweep)
    content = read_content(arguments.sweep)
    parameters, fixed = read_sweep_parameters(content["parameters"], str(arguments.sweep))
    config = read_experiment(arguments.config, fixed | changes)
    made = create_experiment(
        config,
        SETTINGS,
        Path("config"),
        LAYOUT,
        name=sweep.name or arguments.sweep.stem,
        sweep=content | {"parameters": parameters},
        sweep_file=arguments.sweep,
    )
    phase = made.phase()
    log.info("sweep %s: %s", made.name, ", ".join(parameters))
    data = data_store.find(SYSTEM, phase.config["data"], LAYOUT)
    for line in (*explain(phase.config, data), *own_line(config)):
        log.info("%s", line)
    given = os.environ.get("SLURM_CPUS_PER_TASK")
    cores = ["--cores", given] if given else []  # otherwise all of this machine
    command = ["snakemake", "--config", f"study={made.folder.study}", *cores, *for_snakemake]
    log.info("%s", shlex.join(command))
    # Replaces this process, so that signals and exit codes are those of Snakemake.
    os.execv(sys.executable, [sys.executable, "-m", *command])


if __name__ == "__main__":
    run_command(main)
