"""Replay the stopping decisions of a finished sweep, under its own rule or another one.

    python workflow/scripts/decide.py STUDY PHASE
    python workflow/scripts/decide.py STUDY PHASE --eta 2 --csv FILE
    python workflow/scripts/decide.py STUDY PHASE --rule asynchronous

Works on recorded curves: nothing is trained, and nothing in the study changes. Without options,
the sweep's own rule decides.
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, folder_name, plain_text
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.replay.choose_rule import KINDS, choose_rule
from resweep.replay.curves import read_sweep
from resweep.replay.redecide import redecide
from resweep.replay.verdict_text import describe_redecision
from resweep.study.find_results import study_of_results
from resweep.trials.decisions import write_decisions


def main() -> None:
    """Print what the rule would have done, and write its decisions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("study", type=plain_text, metavar="STUDY", help="name of a study, or a sweep's name or id")
    add("phase", type=folder_name, metavar="PHASE", help="name of the phase")
    add("--rule", choices=KINDS, help="rule to replay; asynchronous is W&B's own")
    add("--eta", type=float, help="about one in eta trials is promoted at each band")
    add("--min-iter", type=int, help="first band, in logged values of the metric")
    add(
        "--max-iter",
        type=int,
        help="instead of --min-iter: bands at max_iter / eta, max_iter / eta^2 ...",
    )
    add("--s", type=int, help="number of these bands")
    add(
        "--strict",
        action=argparse.BooleanOptionalAction,
        help="asynchronous: compare the value at the band, not the best one so far",
    )
    add("--keep", type=int, help="one_cut: number of trials promoted at --min-iter")
    add("--metric", help="metric compared at the bands (the one that ranks the sweep)")
    add("--goal", choices=("minimize", "maximize"), help="direction of that metric (its own)")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    add("--csv", type=file_path, help="file for the decisions, with the columns of decisions.csv")
    a = parser.parse_args()
    layout = Layout(a.results)
    sweep = read_sweep(study_of_results(a.study, layout), a.phase, layout, a.metric)
    names = ("rule", "eta", "min_iter", "max_iter", "s", "strict", "keep")
    choice = choose_rule(sweep, {name: getattr(a, name) for name in names}, a.goal)
    redecision = redecide(sweep, choice)
    print(describe_redecision(sweep, choice, redecision), end="")
    if a.csv is not None:
        write_decisions(a.csv, [row for rung in redecision.decided for row in rung.rows])


if __name__ == "__main__":
    run_command(main)
