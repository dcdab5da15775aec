r"""Choose the runs that a fine-tuning starts from, and write its trial files.

    python workflow/scripts/plan_finetune.py --scores results/STUDY/rerun/scores.csv \
        --plan '{"study": ..., "phase": ..., "config": ..., "top": 1, "points": [{}], ...}' \
        --starts results/STUDY/finetune/starts.yaml \
        --trials results/STUDY/finetune/trials/01.yaml ...

Without --trials, the rounds of a Bayesian sweep are filled from the starts.
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, file_path
from resweep.data.store import ensure
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.ranking.fine_tuning import FineTuningPlan, find_starts, plan_trials, write_starts
from resweep.store.outcome import OutcomeReader
from resweep.systems.registry import system_of
from resweep.trials.trial import write_trial


def main() -> None:
    """Fill the slots and prepare their data, so that no training waits for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--scores", type=file_path, nargs="+", required=True, help="rankings of earlier phases")
    add(
        "--plan",
        type=JsonArgument(FineTuningPlan),
        required=True,
        help="what the fine-tuning sets, as JSON, or @FILE",
    )
    add("--starts", type=file_path, required=True, help="file to write: what it starts from")
    add("--trials", type=file_path, nargs="*", default=[], help="trial files to write")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    layout, plan = Layout(arguments.results), arguments.plan
    starts = find_starts(arguments.scores, plan, layout, OutcomeReader(layout).read)
    trials = plan_trials([path.stem for path in arguments.trials], plan, starts)
    for path, trial in zip(arguments.trials, trials, strict=True):
        if not trial.empty:
            ensure(system_of(trial.config), trial.config["data"], layout)
        write_trial(path, trial)
    write_starts(arguments.starts, starts)


if __name__ == "__main__":
    run_command(main)
