r"""Write the result of each trial of a round: its record and trial file at its last rung.

    ls results/STUDY/PHASE/records/b*/*.json | python workflow/scripts/conclude.py --records - \
        --decisions results/STUDY/PHASE/decisions/b1.csv
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.search.promote import check_decisions, conclude
from resweep.store.outcome import OutcomeReader
from resweep.trials.decisions import read_decisions
from resweep.trials.record import record_paths


def main() -> None:
    """Write records/TRIAL.json and trials/TRIAL.yaml of each trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--records", nargs="+", required=True, help="records of all rungs; - reads their names")
    add("--decisions", type=file_path, nargs="+", required=True, help="decisions of the rungs")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    layout = Layout(arguments.results)
    outcomes = OutcomeReader(layout).read_all(record_paths(arguments.records))
    decisions = []
    for path in arguments.decisions:
        rows = read_decisions([path])
        check_decisions(path, rows, outcomes)
        decisions += rows
    conclude(outcomes, decisions, layout)


if __name__ == "__main__":
    run_command(main)
