r"""Decide which trials continue from a rung, and fill the slots of the next one.

    ls results/STUDY/PHASE/records/b1/*.json | python workflow/scripts/promote.py --records - \
        --plan '{"rule": ..., "rung": ...}' --trials results/STUDY/PHASE/trials/b2/01.yaml ... \
        --decisions results/STUDY/PHASE/decisions/b1.csv
"""

import argparse
import logging
import sys
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, file_path
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.ranking.release import release_stopped
from resweep.search.promote import RungPlan, promote, rung_plan_from
from resweep.search.rungs import PROMOTE
from resweep.store.outcome import OutcomeReader
from resweep.trials.decisions import write_decisions
from resweep.trials.record import record_paths
from resweep.trials.trial import write_trial

log = logging.getLogger("resweep.promote")


def main() -> None:
    """Write the next rung's trial files and the decisions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--records", nargs="+", required=True, help="records of the rung; - reads their names")
    add(
        "--plan",
        type=JsonArgument(RungPlan, rung_plan_from),
        required=True,
        help="the rung's settings as JSON, or @FILE",
    )
    add("--trials", type=file_path, nargs="+", required=True, help="trial files of the next rung")
    add("--decisions", type=file_path, required=True, help="table to write")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    plan = arguments.plan
    if len(arguments.trials) != len(plan.slots):
        parser.error(f"--trials should be {len(plan.slots)} files, one for each slot of the plan")
    layout = Layout(arguments.results)
    outcomes = OutcomeReader(layout).read_all(record_paths(arguments.records))
    trials, decisions = promote(plan, outcomes)
    for path, trial in zip(arguments.trials, trials, strict=True):
        write_trial(path, trial)
    write_decisions(arguments.decisions, decisions)
    promoted = [row["trial"] for row in decisions if row["decision"] == PROMOTE]
    log.info("%d of %d continue: %s", len(promoted), len(decisions), ", ".join(promoted))
    release_stopped(plan.study, plan.phase, decisions, plan.keep, layout)


if __name__ == "__main__":
    run_command(main)
