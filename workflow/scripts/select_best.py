r"""Write the best configurations of a phase, as a list of hyperparameters.

    python workflow/scripts/select_best.py --scores results/STUDY/PHASE/scores.csv --top 3 \
        --output results/STUDY/PHASE/top3_best_configs.yaml
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, positive
from resweep.errors import run_command
from resweep.files import write_atomically
from resweep.paths import Layout
from resweep.ranking.selection import best_configs_text
from resweep.store.outcome import OutcomeReader


def main() -> None:
    """Write top{k}_best_configs.yaml."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--scores", type=file_path, required=True, help="the phase's scores.csv")
    parser.add_argument("--top", type=positive, required=True, help="number of configurations")
    parser.add_argument("--trials", type=positive, help="number of trials of the phase")
    parser.add_argument("--output", type=file_path, required=True, help="YAML file to write")
    parser.add_argument(
        "--results", type=file_path, default=Path("results"), help="results folder (results)"
    )
    arguments = parser.parse_args()
    read = OutcomeReader(Layout(arguments.results)).read
    text = best_configs_text(arguments.scores, arguments.top, read, arguments.trials)
    write_atomically(arguments.output, text)


if __name__ == "__main__":
    run_command(main)
