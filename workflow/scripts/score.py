r"""Rank the trials of a phase by their final values, or by a score with their early slopes.

    ls results/STUDY/PHASE/records/*.json | python workflow/scripts/score.py --records - \
        --scores results/STUDY/PHASE/scores.csv --study STUDY
"""

import argparse
import logging
import sys
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, count, file_path, folder_name
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.ranking.score_table import write_scores
from resweep.ranking.scores import check_rankable, code_warning, leader_by_final, rank_trials
from resweep.ranking.trial_result import read_result
from resweep.store.outcome import OutcomeReader
from resweep.study.metric import read_score
from resweep.trials.record import record_paths


def main() -> None:
    """Write scores.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add(
        "--records",
        nargs="+",
        required=True,
        help="record files, or - to read their names from stdin",
    )
    add("--scores", type=file_path, required=True, help="scores.csv to write")
    add("--study", type=folder_name, required=True, help="name of the study, for messages")
    add("--score", type=JsonArgument(), default={}, help="the study's score settings as JSON")
    add(
        "--tolerate-failures", type=count, default=0, help="number of failed trials to tolerate (0)"
    )
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    layout = Layout(arguments.results)
    outcomes = OutcomeReader(layout).read_all(record_paths(arguments.records))
    configs = (outcome.trial.config for outcome in outcomes)
    config = next(filter(None, configs), {})  # an empty slot has none
    score = read_score({"score": arguments.score, "config": config})
    results = [read_result(outcome, score, layout) for outcome in outcomes]
    check_rankable(results, arguments.tolerate_failures, arguments.study)
    warning = code_warning(result.record for result in results)
    if warning:
        print(f"warning: {warning}", file=sys.stderr)
    ranking = rank_trials(results, score)
    leader = leader_by_final(ranking, score)
    if leader:
        print(f"note: {leader}", file=sys.stderr)
    write_scores(arguments.scores, ranking)


if __name__ == "__main__":
    run_command(main)
