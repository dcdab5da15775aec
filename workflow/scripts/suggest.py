r"""Fill a round of a Bayesian sweep, or of a resample, from the results of all before it.

    ls results/STUDY/PHASE/records/r01-*.json | python workflow/scripts/suggest.py --records - \
        --plan '{"study": ..., "phase": ..., "round": 2, ...}' \
        --trials results/STUDY/PHASE/trials/r02-01.yaml ...
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # sums over several threads differ in their last bits

import argparse
import logging
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, file_path
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.ranking.fine_tuning import read_starts, start_round
from resweep.search.rounds import RoundPlan, plan_from, propose_round
from resweep.store.outcome import OutcomeReader
from resweep.store.progress import progress_for
from resweep.trials.record import record_paths
from resweep.trials.trial import write_trial


def main() -> None:
    """Write the trial files of the round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--records", nargs="*", default=[], help="records of earlier rounds; - reads their names")
    add("--warm-start", type=file_path, nargs="*", default=[], help="tables to start from")
    add(
        "--plan",
        type=JsonArgument(RoundPlan, plan_from),
        required=True,
        help="the round's settings as JSON, or @FILE",
    )
    add("--starts", type=file_path, help="of a fine-tuning: what it starts from")
    add("--trials", type=file_path, nargs="+", required=True, help="trial files to write")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    plan = arguments.plan
    if len(arguments.trials) != len(plan.slots):
        parser.error(f"--trials should be {len(plan.slots)} files, one for each slot of the plan")
    layout = Layout(arguments.results)
    reader = OutcomeReader(layout)
    outcomes = reader.read_all(record_paths(arguments.records))
    if arguments.starts is not None:
        plan = start_round(plan, read_starts(arguments.starts))
    if isinstance(plan, RoundPlan):
        progress = progress_for(plan, layout)
        tables = arguments.warm_start
        trials = propose_round(plan, outcomes, tables, layout, reader.read, progress)
    else:
        trials = plan
    for path, trial in zip(arguments.trials, trials, strict=True):
        write_trial(path, trial)


if __name__ == "__main__":
    run_command(main)
