"""Show what a study already has and what it would train; nothing is trained.

    python workflow/scripts/audit.py quickstart
    python workflow/scripts/audit.py quickstart --set '{training.max_steps: 50}'

The second form shows what a changed study would cost. Where a job serves several trials, only those
that it lists are trained. What is counted is never exceeded, but for the columns that begin with ~:
these are estimates from runs in the store. Ends with 1 if a build would go beyond the study's
budget.
"""

import argparse
import sys
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text
from resweep.errors import ConfigError, Problem, run_command
from resweep.jobs.initial_weights import check_initial_weights
from resweep.paths import Layout
from resweep.report.audit import MOST_EXPLAINED, audit, audit_old_bests
from resweep.report.audit_json import audit_json
from resweep.report.audit_text import audit_table, job_lines, reason_lines
from resweep.report.budget import budget_lines, problems
from resweep.report.equal_trials import equal_trials_lines
from resweep.study.find import load_studies
from resweep.study.lost import find_lost


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("study", type=plain_text, metavar="STUDY", help="name or file of a study")
    parser.add_argument(
        "--set",
        type=plain_text,
        default="{}",
        metavar="YAML",
        help="overrides, as in snakemake --config set=...",
    )
    parser.add_argument(
        "--trials", action="store_true", help="name all trials that train, not only the first"
    )
    parser.add_argument(
        "--why",
        action="store_true",
        help="say of all trials that train why, with all fields that differ from the nearest run",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object for each study")
    parser.add_argument("--results", type=file_path, default=Path("results"), help="results folder")
    arguments = parser.parse_args()
    settings = {"study": arguments.study, "set": arguments.set}
    layout = Layout(arguments.results)
    studies = load_studies(settings, where="command line")
    check_initial_weights(studies, layout)
    beyond: list[Problem] = []
    for study in studies:
        lines = (*study.warnings, *equal_trials_lines(study), *find_lost(layout, study).lines())
        for warning in lines:
            print(f"warning: {warning}", file=sys.stderr)
        cost = audit(study, layout, None if arguments.why else MOST_EXPLAINED)
        if arguments.json:
            print(audit_json(cost, layout))
        else:
            print(audit_table(cost, audit_old_bests(study, layout)))
            for line in (
                *job_lines(cost.phases, shorten=not arguments.trials),
                *reason_lines(cost, shorten=not arguments.why),
                *budget_lines(cost, layout),
            ):
                print(line)
        beyond += problems(cost, layout)
    if beyond:
        raise ConfigError(beyond)


if __name__ == "__main__":
    run_command(main)
