r"""Link the weights to keep after a phase is ranked, and release the others.

    python workflow/scripts/keep_models.py --study STUDY --phase PHASE --policy best --top 1 \
        --scores results/STUDY/PHASE/scores.csv --models results/STUDY/PHASE/models \
        --decisions results/STUDY/PHASE/decisions.csv
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, file_path, folder_name, positive
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.ranking.keep import keep_models
from resweep.study.metric import PhaseScore
from resweep.trials.decisions import read_decisions, write_decisions


def main() -> None:
    """Write models/ and decisions.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--study", type=folder_name, required=True, help="name of the study")
    add("--phase", type=folder_name, required=True, help="name of the phase")
    add("--policy", choices=("best", "all", "none"), required=True, help="which weights to keep")
    add("--top", type=positive, required=True, help="best: number of configurations")
    add("--scores", type=file_path, required=True, help="the phase's scores.csv")
    add("--trials", type=positive, help="number of trials of the phase")
    add("--models", type=file_path, required=True, help="folder for the links")
    add("--decisions", type=file_path, required=True, help="decisions.csv to write")
    add(
        "--rungs",
        type=file_path,
        nargs="*",
        default=[],
        help="decisions at the phase's rungs, to put first",
    )
    add(
        "--best-of-study",
        type=JsonArgument(PhaseScore | None),
        help="for the phase that decides: its score settings as JSON; the weights of its best stay "
        "when another becomes the best",
    )
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    a = parser.parse_args()
    decisions = keep_models(
        study=a.study,
        phase=a.phase,
        scores_path=a.scores,
        policy=a.policy,
        top=a.top,
        models=a.models,
        trials=a.trials,
        layout=Layout(a.results),
        best_of_study=a.best_of_study and PhaseScore.model_validate(a.best_of_study),
    )
    write_decisions(a.decisions, [*read_decisions(a.rungs), *decisions])


if __name__ == "__main__":
    run_command(main)
