"""Write the report of a study as one self-contained HTML page.

python workflow/scripts/report.py STUDY --output results/STUDY/report.html
"""

import argparse
from pathlib import Path

from resweep.command_line import file_path, folder_name
from resweep.errors import run_command
from resweep.files import write_atomically
from resweep.paths import Layout
from resweep.report.report import render_report
from resweep.report.results import read_study


def main() -> None:
    """Write report.html."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("study", type=folder_name, help="name of the study")
    add("--output", type=file_path, help="page to write (results/STUDY/report.html)")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    layout = Layout(arguments.results)
    output = arguments.output or layout.study(arguments.study).report
    write_atomically(output, render_report(read_study(arguments.study, layout), layout))
    print(output)


if __name__ == "__main__":
    run_command(main)
