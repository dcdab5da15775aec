"""Send what waits of a study: what W&B recorded offline, and artifacts that a place did not take.

    python workflow/scripts/send.py STUDY

Runs first, then artifacts. What is sent is marked and not sent again; a call after a kill, or
without a connection, sends the rest. Call it in the folder that the study was built in.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text
from resweep.errors import ConfigError, Problem, run_command
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.publish.waiting import failed_commands, recorded_folders
from resweep.study.find_results import study_of_results
from resweep.wandb.sync import send_recorded


def main() -> int:
    """Send it; 1 if something could not be sent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("study", type=plain_text, metavar="STUDY", help="name of a study")
    parser.add_argument(
        "--results", type=file_path, default=Path("results"), help="results folder (results)"
    )
    a = parser.parse_args()
    layout = Layout(a.results)
    folder = layout.study(study_of_results(a.study, layout))
    if not folder.path.is_dir():
        hint = f"has no results yet; build it with `snakemake --config study={folder.path.name}`"
        raise ConfigError(Problem("command line", "STUDY", a.study, hint))
    done = send_recorded(folder, layout, recorded_folders(folder, layout))
    again = failed_commands(folder)
    for command in again:
        subprocess.run([sys.executable, *command[1:]], check=False)
    failed = failed_commands(folder)
    print(
        f"{folder.path.name}: {counted(len(done.sent), 'folder')} of W&B and "
        f"{counted(len(again) - len(failed), 'artifact')} sent"
    )
    if done.busy:
        print(f"still being written, run the same command later: {', '.join(map(str, done.busy))}")
    if done.failed:
        print(
            f"error: {counted(len(done.failed), 'folder')} not sent: {done.reason}; details: "
            f"{folder.path}/wandb/send.log; the same command continues",
            file=sys.stderr,
        )
    return int(bool(done.failed or failed))


if __name__ == "__main__":
    run_command(main)
