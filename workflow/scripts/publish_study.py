r"""Publish what belongs to a whole study as a versioned artifact, and write its stamp.

    python workflow/scripts/publish_study.py scores STUDY --artifact-name NAME --project PROJECT

scores: the ranking of each phase, runs.csv and study.yaml. report: report.html. code: the code of
the workflow, its commit and the versions of libraries. Publishing the same content again makes no
new version.
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import command_again, plain_text
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.publish.arguments import add_place_arguments, place_of
from resweep.publish.artifacts import check_name, publish
from resweep.publish.code_files import code_files
from resweep.publish.leaving import Machine
from resweep.publish.study_files import report_files, score_files
from resweep.publish.versions import Content
from resweep.study.find_results import study_of_results

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("scores", "report", "code")


def main() -> None:
    """Publish one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("kind", choices=KINDS, help="what to publish")
    parser.add_argument("study", type=plain_text, metavar="STUDY", help="name of a study")
    add_place_arguments(parser)
    a = parser.parse_args()
    name, layout = check_name(a.artifact_name), Layout(a.results)
    study = study_of_results(a.study, layout)
    if a.kind == "code":
        files = code_files(ROOT, Machine.of(layout))
    else:
        files = {"scores": score_files, "report": report_files}[a.kind](study, layout)
    stamp = publish(
        Content(name=name, type=a.kind, files=files, metadata={"study": study, **a.metadata}),
        place_of(a),
        a.stamp or layout.artifact(name),
        layout,
        again=command_again(__file__),
    )
    print(f"{name}: {stamp['version']}, {counted(len(files), 'file')}, {stamp['status']}")


if __name__ == "__main__":
    run_command(main)
