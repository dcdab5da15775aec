"""Remove runs from the store, so that they are trained again.

    python workflow/scripts/forget.py runs RUN_ID ...
    python workflow/scripts/forget.py phase STUDY PHASE
    python workflow/scripts/forget.py failed --study STUDY      runs that failed
    python workflow/scripts/forget.py drifted --study STUDY     runs trained by other code

They are moved to results/trash/, from where they can be moved back. --dry-run only lists them.
"""

import argparse
from pathlib import Path

from resweep.errors import run_command
from resweep.paths import Layout
from resweep.store.forget import (
    describe_run,
    drifted_runs,
    failed_runs,
    forget_runs,
    runs_of_phase,
)


def main() -> None:
    """Forget what is named."""
    arguments = parse_arguments()
    layout = Layout(arguments.results)
    if arguments.what == "runs":
        chosen = arguments.run_ids
    elif arguments.what == "phase":
        chosen = runs_of_phase(arguments.study, arguments.phase, layout)
    else:
        choose = failed_runs if arguments.what == "failed" else drifted_runs
        chosen = choose(runs_of_phase(arguments.study, None, layout), layout)
    for run_id in chosen:
        print(describe_run(layout.run(run_id)))
    if arguments.dry_run:
        return
    moved = forget_runs(chosen, layout)
    if moved:
        print(f"{len(moved)} moved to {moved[0].parent}; run snakemake to train them again")
    else:
        print("nothing to forget")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder")
    parser.add_argument("--dry-run", action="store_true", help="only list the runs")
    commands = parser.add_subparsers(dest="what", required=True)
    runs = commands.add_parser("runs", help="runs by their ids")
    runs.add_argument("run_ids", nargs="+", metavar="RUN_ID")
    phase = commands.add_parser("phase", help="all runs of a phase")
    phase.add_argument("study")
    phase.add_argument("phase")
    for name, text in (("failed", "runs that failed"), ("drifted", "runs trained by other code")):
        commands.add_parser(name, help=text).add_argument("--study", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
