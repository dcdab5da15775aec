r"""Publish the best model of a ranked phase as a versioned W&B artifact, and write its stamp.

    python workflow/scripts/publish_model.py --scores results/STUDY/rerun/scores.csv \
        --artifact-name rerun-model --project PROJECT

Publishes weights and model configuration only, after checking their digests. Publishing the same
weights again makes no new version. With --run RUN_ID, publishes a run that was the best before
instead; summarize.py names it if it is better than the best now.
"""

import argparse
import sys

from resweep.command_help import HelpFormatter
from resweep.command_line import command_again, file_path, id_of_run
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.publish.arguments import add_place_arguments, place_of
from resweep.publish.artifacts import check_name, publish
from resweep.publish.contents import (
    best_model,
    claim_published,
    note_better,
    old_best_model,
    published_configs,
)
from resweep.publish.model_card import hub_files
from resweep.publish.versions import Content


def main() -> None:
    """Publish the weights of the best trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--scores", type=file_path, required=True, help="the phase's scores.csv")
    parser.add_argument(
        "--run", type=id_of_run, metavar="RUN_ID", help="a run that was the best, or published"
    )
    parser.add_argument(
        "--configs", type=file_path, help="stamp of the configurations that the phase trained"
    )
    add_place_arguments(parser)
    a = parser.parse_args()
    name, layout = check_name(a.artifact_name), Layout(a.results)
    command = command_again(__file__)
    if a.run is None:
        files, metadata = best_model(a.scores, layout)
        notes = note_better(a.scores, command, layout)
    else:
        files, metadata = old_best_model(a.scores, a.run, layout)
        notes = {}
    if notes:
        print(f"warning: {name}: {notes['better']['text']}", file=sys.stderr)
    place, configs = place_of(a), None if a.configs is None else published_configs(a.configs)
    if files and configs is not None:
        metadata |= {"configs": configs.named}
    stamp = publish(
        Content(
            name=name,
            type="model",
            files=files,
            metadata=a.metadata | metadata,
            notes=notes,
            link=True,
            hub=hub_files(a.scores, metadata, layout) if files and place.has_hub else {},
            run=layout.run(metadata["run_id"]) if files else None,
            uses=() if configs is None else configs.in_wandb,
        ),
        place,
        a.stamp or layout.artifact(name),
        layout,
        again=command,
    )
    if "version" in stamp:
        claim_published(a.scores, metadata, layout)
        print(f"{name}: {stamp['version']}, trial {metadata['trial']}, {stamp['status']}")
    elif stamp["status"] == "pruned":
        print(f"{name}: not published: the weights of trial {metadata['trial']} were deleted")
    else:
        print(f"{name}: not published: no trial has a result")


if __name__ == "__main__":
    run_command(main)
