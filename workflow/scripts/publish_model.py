r"""Publish the best model of a ranked phase as a versioned W&B artifact, and write its stamp.

    python workflow/scripts/publish_model.py --scores results/STUDY/rerun/scores.csv \
        --artifact-name rerun-model --project PROJECT

Publishes weights and model configuration only, after checking their digests. Publishing the same
weights again makes no new version.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from resweep.errors import run_command
from resweep.paths import Layout
from resweep.publish.arguments import add_place_arguments, place_of
from resweep.publish.artifacts import Content, check_name, publish
from resweep.publish.contents import best_model


def main() -> None:
    """Publish the weights of the best trial."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=Path, required=True, help="the phase's scores.csv")
    add_place_arguments(parser)
    a = parser.parse_args()
    name, layout = check_name(a.artifact_name), Layout(a.results)
    files, metadata = best_model(a.scores, layout)
    stamp = publish(
        Content(
            name=name,
            type="model",
            files=files,
            metadata=json.loads(a.metadata) | metadata,
            link=True,
        ),
        place_of(a),
        a.stamp or layout.artifact(name),
        layout,
        again=shlex.join(["python", *sys.argv]),
    )
    if "version" in stamp:
        print(f"{name}: {stamp['version']}, trial {metadata['trial']}, {stamp['status']}")
    elif stamp["status"] == "pruned":
        print(f"{name}: not published: the weights of trial {metadata['trial']} were deleted")
    else:
        print(f"{name}: not published: no trial has a result")


if __name__ == "__main__":
    run_command(main)
