"""Show what a study already has and what it would train; nothing is trained.

    python workflow/scripts/audit.py quickstart
    python workflow/scripts/audit.py quickstart --set '{training.max_steps: 50}'
    python workflow/scripts/audit.py quickstart --after
    python workflow/scripts/audit.py quickstart --replay

The second form shows what a changed study would cost. Where a job serves several trials, only those
that it lists are trained. What is counted is never exceeded, but for the columns that begin with ~:
these are estimates from runs in the store. --after shows what a built study spent and what changed
since, and verifies the digest of every file; --replay decides everything again from the records.
All of them change nothing. Ends with exit code 1 if a build would go beyond the study's budget, or
where a file is damaged or does not follow.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # as where rounds are proposed: sums differ in their last bits

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text
from resweep.errors import ConfigError, Problem, run_command
from resweep.jobs.initial_weights import check_initial_weights
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.publish.verify import verify_artifacts
from resweep.report.after import damage_lines, drift_lines, spent_lines, unused_lines
from resweep.report.audit import MOST_EXPLAINED, audit, audit_old_bests
from resweep.report.audit_json import audit_json
from resweep.report.audit_text import audit_table, job_lines, reason_lines
from resweep.report.budget import budget_lines, problems
from resweep.report.drift import study_drift
from resweep.report.equal_trials import equal_trials_lines
from resweep.report.follows import replay_study
from resweep.study.find import load_studies
from resweep.study.lost import find_lost
from resweep.study.study import Study

SECONDS_BETWEEN = 2.0  # lines of progress


def main() -> int:
    """Print what was asked for; returns the exit code."""
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
    parser.add_argument(
        "--after", action="store_true", help="what it spent, what changed, every digest verified"
    )
    parser.add_argument(
        "--replay", action="store_true", help="whether its selection follows from its records"
    )
    parser.add_argument("--results", type=file_path, default=Path("results"), help="results folder")
    arguments = parser.parse_args()
    settings = {"study": arguments.study, "set": arguments.set}
    layout = Layout(arguments.results, read_only=True)
    studies = load_studies(settings, where="command line")
    if arguments.after or arguments.replay:
        logging.getLogger("resweep").setLevel(logging.ERROR)  # what is wrong is printed
        shown = [(show_after, arguments.after), (show_replay, arguments.replay)]
        sound = [show(study, layout) for study in studies for show, wanted in shown if wanted]
        return 0 if all(sound) else 1
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
    return 0


def show_after(study: Study, layout: Layout) -> bool:
    """Print the audit of a built study; returns whether no file is damaged."""
    for lines in (spent_lines(study, layout), drift_lines(study, layout), unused_lines(layout)):
        for line in lines:
            print(line, flush=True)
    artifacts = verify_artifacts(layout.study(study.name).path)
    damaged = damage_lines(study, layout, artifacts, progress_of("verifying"))
    print(f"damaged: {counted(len(damaged), 'file') if damaged else 'no file; all digests fit'}")
    for line in damaged:
        print(f"  {line}")
    return not damaged


def show_replay(study: Study, layout: Layout) -> bool:
    """Print whether each phase follows from its records; returns whether all do."""
    follows, changed = True, study_drift(study, layout)
    if changed is not None:
        print(f"note: decided again by other settings than it was built with: {changed}")
    for phase in replay_study(study, layout, progress_of("deciding again")):
        follows = follows and not phase.differs
        for line in phase.lines:
            print(line, flush=True)
    return follows


def progress_of(what: str) -> Callable[[str], None]:
    """Return what prints a line on stderr now and then."""
    last = time.monotonic()

    def say(now: str) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN:
            last = time.monotonic()
            print(f"{what}: {now}", file=sys.stderr)

    return say


if __name__ == "__main__":
    run_command(main)
