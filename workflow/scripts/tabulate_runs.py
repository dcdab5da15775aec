r"""Write the tables of runs: one row per trial of a study, and one row per run in the store.

    ls results/STUDY/*/records/*.json | python workflow/scripts/tabulate_runs.py --study STUDY \
        --records -
    python workflow/scripts/tabulate_runs.py                only results/runs.csv
"""

import argparse
import logging
import sys
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, folder_name
from resweep.errors import describe, run_command
from resweep.files import is_denied, write_atomically
from resweep.paths import Layout
from resweep.report.tables import tabulate_study, write_runs_table
from resweep.trials.record import record_paths


def main() -> None:
    """Write runs.csv of the store, and of the study if one is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--study", type=folder_name, help="name of a study")
    add("--records", nargs="+", help="its record files, or - to read their names from stdin")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    if (arguments.study is None) != (arguments.records is None):
        parser.error("--study and --records go together")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    layout = Layout(arguments.results)
    try:
        # First: a damaged file of the study does not stop it.
        if arguments.study is None or layout.runs.is_dir():
            write_runs_table(layout)
    except OSError as error:
        if arguments.study is None or not is_denied(error):
            raise
        # Shared results: the table of all runs is whose they are, and no part of the study.
        print(f"warning: {describe(error)}", file=sys.stderr)
    if arguments.study is not None:
        text = tabulate_study(record_paths(arguments.records), layout)
        write_atomically(layout.study(arguments.study).table, text)


if __name__ == "__main__":
    run_command(main)
