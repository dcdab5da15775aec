"""Remove runs from the store, so that they are trained again; or weights of older bests.

    python workflow/scripts/forget.py runs RUN_ID ...
    python workflow/scripts/forget.py phase STUDY PHASE
    python workflow/scripts/forget.py failed --study STUDY      runs that failed
    python workflow/scripts/forget.py drifted --study STUDY     runs trained by other code
    python workflow/scripts/forget.py old-best --study STUDY    weights of what was the best before
    python workflow/scripts/forget.py orphans                   runs that no study has any more
    python workflow/scripts/forget.py checkpoints               weights that nothing keeps any more

Runs are moved to results/trash/, from where they can be moved back. Weights are deleted, unless
another study or phase keeps them; the runs stay. --dry-run only lists what would be removed.
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, folder_name, id_of_run, plain_text
from resweep.errors import run_command
from resweep.paths import BY_HAND, Layout
from resweep.plurals import counted, size_text
from resweep.ranking.keep_bests import drop_old_bests
from resweep.ranking.old_bests import deciding_scores, describe, find_old_bests
from resweep.store.forget import (
    describe_run,
    drifted_runs,
    failed_runs,
    forget_runs,
    phases_of_runs,
    runs_of_phase,
)
from resweep.store.unused import (
    drop_spare_checkpoints,
    find_orphans,
    find_spare_checkpoints,
)
from resweep.study.find_results import study_of_results


def main() -> None:
    """Forget what is named."""
    arguments = parse_arguments()
    layout = Layout(arguments.results)
    if arguments.what == "checkpoints":
        forget_checkpoints(arguments.dry_run, layout)
        return
    if arguments.what not in ("runs", "orphans"):
        arguments.study = study_of_results(arguments.study, layout)
    if arguments.what == "old-best":
        forget_old_bests(arguments.study, arguments.published, arguments.dry_run, layout)
        return
    if arguments.what == "runs":
        chosen = arguments.run_ids
    elif arguments.what == "orphans":
        chosen = [place.name for place in find_orphans(layout).places]
    elif arguments.what == "phase":
        chosen = runs_of_phase(arguments.study, arguments.phase, layout)
    else:
        choose = failed_runs if arguments.what == "failed" else drifted_runs
        chosen = choose(runs_of_phase(arguments.study, None, layout), layout)
    phases = phases_of_runs(chosen, layout)
    for run_id in chosen:
        print(describe_run(layout.run(run_id)) + shared_text(phases[run_id]))
    if arguments.dry_run:
        if not chosen:
            print("nothing to forget")
        return
    moved = forget_runs(chosen, layout)
    if moved:
        studies = {study for used in phases.values() for study, _ in used} - {BY_HAND}
        again = "; ".join(f"snakemake --config study={study}" for study in sorted(studies))
        hint = f"; to train them again: {again}" if again else ""
        runs = counted(len(moved), "run")
        print(f"{runs} moved to {moved[0].parent}{hint}")
    else:
        print("nothing to forget")


def shared_text(phases: list[tuple[str, str]]) -> str:
    """Return which phases a run is trained for, where there are several; of one, nothing."""
    if len(phases) < 2:
        return ""
    return ", shared by " + ", ".join(f"{study}/{phase}" for study, phase in phases)


def forget_old_bests(study: str, published: bool, dry_run: bool, layout: Layout) -> None:
    """Drop the weights of a study's older bests, and of those that it published if asked to."""
    old = find_old_bests(study, deciding_scores(study, layout), layout)
    intact = [one for one in old.claimed if one.standing is not None]
    chosen = [one for one in intact if published or not one.published]
    for one in chosen:
        print(f"{describe(one)}, {size_text(one.bytes)}")
    left = len(intact) - len(chosen)
    if left:
        print(f"{left} published: kept; to drop them too, add --published")
    if dry_run:
        if not chosen:
            print("nothing to forget")
        return
    sizes = {one.run.run_id: one.bytes for one in chosen}
    stay = drop_old_bests(study, chosen, layout)
    for run_id, reason in stay.items():
        print(f"run {run_id}: its weights stay: {reason}")
    gone = [size for run_id, size in sizes.items() if run_id not in stay and size]
    if gone:
        print(f"weights of {counted(len(gone), 'run')} deleted, {size_text(sum(gone))}")
    elif not stay:
        print("nothing to forget")


def forget_checkpoints(dry_run: bool, layout: Layout) -> None:
    """Delete the checkpoints that neither a claim, nor a policy, nor a record keeps."""
    found = find_spare_checkpoints(layout.all_runs(), layout)
    for place in found.places:
        print(place)
    if not found.places:
        print("nothing to forget")
    if dry_run or not found.places:
        return
    for line in drop_spare_checkpoints(found.places):
        print(line)
    gone = [place for place in found.places if not place.exists()]
    left = find_spare_checkpoints({place.parent for place in found.places}, layout)
    freed = size_text(found.bytes - left.bytes)
    print(f"{counted(len(gone), 'checkpoint')} deleted, {freed}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--results", type=file_path, default=Path("results"), help="results folder")
    parser.add_argument("--dry-run", action="store_true", help="only list the runs")
    commands = parser.add_subparsers(dest="what", required=True)
    runs = commands.add_parser("runs", help="runs by their ids")
    runs.add_argument("run_ids", type=id_of_run, nargs="+", metavar="RUN_ID")
    phase = commands.add_parser("phase", help="all runs of a phase")
    phase.add_argument("study", type=plain_text)
    phase.add_argument("phase", type=folder_name)
    for name, text in (("failed", "runs that failed"), ("drifted", "runs trained by other code")):
        commands.add_parser(name, help=text).add_argument("--study", type=plain_text, required=True)
    old = commands.add_parser("old-best", help="weights of what was the best before")
    old.add_argument("--study", type=plain_text, required=True)
    old.add_argument("--published", action="store_true", help="those that were published, too")
    commands.add_parser("orphans", help="runs that no record leads to")
    commands.add_parser("checkpoints", help="weights that nothing keeps")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
