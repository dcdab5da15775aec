"""Print the summary of a study: rankings, reruns, and the paths of its report and model.

    python workflow/scripts/summarize.py quickstart
    python workflow/scripts/summarize.py 1a983680

A sweep of run_sweep.py is found by its id or its name.
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.report.results import read_study
from resweep.report.summary import summarize
from resweep.study.find_results import study_of_results


def main() -> None:
    """Print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument(
        "study", type=plain_text, metavar="STUDY", help="name of a study, or a sweep's name or id"
    )
    parser.add_argument(
        "--results", type=file_path, default=Path("results"), help="results folder (results)"
    )
    arguments = parser.parse_args()
    layout = Layout(arguments.results)
    study = study_of_results(arguments.study, layout)
    print(summarize(read_study(study, layout), layout), end="")


if __name__ == "__main__":
    run_command(main)
