"""Make a folder for a project of your own.

    python workflow/scripts/init.py ../my-project

It has copies of this checkout's config/ and profiles/, to be edited, and links to its workflow.
All commands of the documents run there; results/ and logs/ appear there. Call it again after an
update: what is there already stays as it is.
"""

import argparse
import os
import shutil
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path
from resweep.errors import run_command

COPIES = ("config", "profiles", ".vscode")
LINKS = ("Snakefile", "rules", "workflow", "envs", "schemas")
IGNORED = "/results/\n/logs/\n/.snakemake/\n/wandb/\n"


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("folder", type=file_path, metavar="FOLDER", help="the folder to make")
    folder = parser.parse_args().folder
    checkout = Path(__file__).resolve().parents[2]
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIES:
        if not (folder / name).exists():
            shutil.copytree(checkout / name, folder / name)
    for name in LINKS:
        if not os.path.lexists(folder / name):
            target = os.path.relpath(checkout / name, folder.resolve())
            (folder / name).symlink_to(target)
    if not (folder / ".gitignore").exists():
        (folder / ".gitignore").write_text(IGNORED)
    print(f"{folder}: a study to start from is config/studies/quickstart.yaml")


if __name__ == "__main__":
    run_command(main)
