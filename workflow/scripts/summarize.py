"""Print the summary of a study: rankings, reruns, and the paths of its report and model.

python workflow/scripts/summarize.py STUDY
"""

import argparse
from pathlib import Path

from resweep.command_line import file_path, folder_name
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.report.results import read_study
from resweep.report.summary import summarize


def main() -> None:
    """Print the summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=folder_name, help="name of the study")
    parser.add_argument(
        "--results", type=file_path, default=Path("results"), help="results folder (results)"
    )
    arguments = parser.parse_args()
    layout = Layout(arguments.results)
    print(summarize(read_study(arguments.study, layout), layout), end="")


if __name__ == "__main__":
    run_command(main)
