"""Say why a run or a trial is there: whom it serves, who keeps its weights, what trains it again.

    python workflow/scripts/why.py 0660ded42c7a                 a run, or the beginning of its id
    python workflow/scripts/why.py quickstart/sweep/7a3ec74e49  STUDY/PHASE/TRIAL
    python workflow/scripts/why.py results/quickstart/rerun/records/01.json

Of a trial that is not trained yet it says what the trial waits for. Nothing is changed.
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.report.meant import find_meant
from resweep.report.why_text import why_lines


def main() -> None:
    """Print what is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument(
        "meant",
        type=plain_text,
        metavar="RUN_OR_TRIAL",
        help="a run's id or the beginning of it, STUDY/PHASE/TRIAL, or a path",
    )
    parser.add_argument("--results", type=file_path, default=Path("results"), help="results folder")
    arguments = parser.parse_args()
    layout = Layout(arguments.results, read_only=True)
    for line in why_lines(find_meant(arguments.meant, layout), layout, Path("config")):
        print(line)


if __name__ == "__main__":
    run_command(main)
