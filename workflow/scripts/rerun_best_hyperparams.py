r"""Train the best configurations of a list from scratch.

    python workflow/scripts/rerun_best_hyperparams.py --best-yaml top5_best_configs.yaml \
        --save-config-dir rerun/rerun_configs --max-train-steps 5000

The list is one of a study, of sweep_analysis.py, or written by hand: `- {learning_rate: 0.004}`.
What each trial trains, and the study that Snakemake builds of it, are written into the folder
first. Run the same command again to continue. On a cluster, end it with:
-- --profile profiles/slurm
"""

import argparse
import logging
import os
import shlex
import sys

from resweep.agents.rerun_options import add_rerun_options, changes_of
from resweep.agents.rerun_study import create_rerun
from resweep.command_help import HelpFormatter
from resweep.command_line import count, file_path, positive, split_words
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.study.find import find_named_study

log = logging.getLogger("resweep.rerun")


def main() -> int:
    """Write the study, and build it; returns the exit code."""
    given, for_snakemake = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    made = create_rerun(
        given.best_yaml,
        find_named_study(given.study, given.config_dir),
        given.config_dir,
        given.save_config_dir or given.best_yaml.parent,
        Layout(given.results),
        top=given.top_k,
        seeds=given.seeds,
        changes=changes_of(given),
    )
    for warning in made.study.warnings:
        log.warning("warning: %s", warning)
    folder = made.file.parent
    log.info("%s in %s", counted(len(made.configs), "rerun config"), folder)
    command = ["snakemake", "--config", f"study={made.file}", *for_snakemake]
    log.info("%s", shlex.join(command))
    if given.create_only:
        return 0
    log.info("afterwards: resweep summary %s", made.study.name)
    # Replaces this process, so that signals and exit codes are those of Snakemake.
    os.execv(sys.executable, [sys.executable, "-m", *command])


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what follows `--` is for Snakemake."""
    own, rest = split_words(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--best-yaml", "--best_yaml", type=file_path, required=True, help="the list")
    add(
        "--save-config-dir",
        "--save_config_dir",
        type=file_path,
        help="where rerun configs are written (the folder of the list)",
    )
    add("--top-k", "--top_k", type=positive, help="how many of the list (all)")
    add("--seeds", type=count, nargs="+", default=[], help="for each configuration (the study's)")
    add_rerun_options(parser)
    return parser.parse_args(own), rest


if __name__ == "__main__":
    run_command(main)
