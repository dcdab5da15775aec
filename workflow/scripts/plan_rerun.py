r"""Write the trial files of a rerun: the best configurations, from scratch, with each seed.

    python workflow/scripts/plan_rerun.py --best results/STUDY/sweep/top3_best_configs.yaml \
        --plan '{"study": ..., "phase": ..., "config": ..., "overrides": ..., "seeds": [1]}' \
        --trials results/STUDY/rerun/trials/01.yaml results/STUDY/rerun/trials/02.yaml ...
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, file_path
from resweep.data.store import ensure
from resweep.errors import run_command
from resweep.files import write_atomically
from resweep.paths import Layout
from resweep.ranking.lost_weights import check_continued
from resweep.ranking.selection import (
    RerunPlan,
    best_of_phases_text,
    plan_rerun,
    runs_to_continue,
)
from resweep.store.outcome import OutcomeReader
from resweep.systems.registry import system_of
from resweep.trials.trial import write_trial


def main() -> None:
    """Fill the slots and prepare their data, so that no training waits for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--best", type=file_path, required=True, help="list of best configurations")
    add(
        "--scores",
        type=file_path,
        nargs="+",
        default=[],
        help="rankings of phases, from which the list is written first",
    )
    add(
        "--plan",
        type=JsonArgument(RerunPlan),
        required=True,
        help="study, phase, config, overrides and seeds as JSON, or @FILE",
    )
    add("--trials", type=file_path, nargs="+", required=True, help="trial files to write")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    plan, resumed = arguments.plan, []
    if arguments.scores:
        read = OutcomeReader(Layout(arguments.results)).read
        top = len(arguments.trials) // len(plan["seeds"])
        write_atomically(arguments.best, best_of_phases_text(arguments.scores, top, plan, read))
        if plan.get("resume"):
            resumed = runs_to_continue(arguments.scores, top, plan, read)
    names = [path.stem for path in arguments.trials]
    planned = plan_rerun(arguments.best, names, resumed=resumed, **plan)
    check_continued(planned, resumed, Layout(arguments.results))
    for path, trial in zip(arguments.trials, planned, strict=True):
        if not trial.empty:
            ensure(system_of(trial.config), trial.config["data"], Layout(arguments.results))
        write_trial(path, trial)


if __name__ == "__main__":
    run_command(main)
