r"""Publish a folder of configurations as a versioned W&B artifact, and write its stamp.

    python workflow/scripts/upload_rerun_configs.py --config-dir results/STUDY/rerun/trials \
        --artifact-name rerun-configs --project PROJECT

Offline by default: `wandb sync` uploads it later. Publishing the same files again makes no new
version.
"""

import argparse

from resweep.command_help import HelpFormatter
from resweep.command_line import command_again, file_path
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.publish.arguments import add_place_arguments, place_of
from resweep.publish.artifacts import check_name, publish
from resweep.publish.contents import config_files
from resweep.publish.versions import Content


def main() -> None:
    """Publish the YAML files of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--config-dir", type=file_path, required=True, help="folder with the YAML files")
    add(
        "--best-yaml",
        type=file_path,
        help="list of best configurations that they come from, to publish too",
    )
    add("--only", nargs="+", metavar="FILE", help="files to publish (all)")
    add_place_arguments(parser)
    a = parser.parse_args()
    name, layout = check_name(a.artifact_name), Layout(a.results)
    files = config_files(a.config_dir, a.best_yaml, a.only)
    stamp = publish(
        Content(name=name, type="configs", files=files, metadata=a.metadata),
        place_of(a),
        a.stamp or layout.artifact(name),
        layout,
        again=command_again(__file__),
    )
    print(f"{name}: {stamp['version']}, {counted(len(files), 'file')}, {stamp['status']}")


if __name__ == "__main__":
    run_command(main)
