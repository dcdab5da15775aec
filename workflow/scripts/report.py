"""Write the report of a study as one self-contained HTML page.

    python workflow/scripts/report.py quickstart

It shows what has been ranked so far.
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text
from resweep.errors import run_command
from resweep.files import write_atomically
from resweep.paths import Layout
from resweep.report.report import render_report
from resweep.report.results import read_study
from resweep.study.find_results import study_of_results


def main() -> None:
    """Write report.html."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("study", type=plain_text, metavar="STUDY", help="name of a study, or a sweep's name or id")
    add("--output", type=file_path, help="page to write (results/STUDY/report.html)")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    layout = Layout(arguments.results)
    study = study_of_results(arguments.study, layout)
    output = arguments.output or layout.study(study).report
    write_atomically(output, render_report(read_study(study, layout), layout, output.parent))
    print(output)


if __name__ == "__main__":
    run_command(main)
