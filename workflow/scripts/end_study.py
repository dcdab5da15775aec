"""Say what a study came to, and notify who should know: Snakemake calls it when a study ends.

    python workflow/scripts/end_study.py quickstart
    python workflow/scripts/end_study.py quickstart --failed --notify @notify.json

It notes the end for those who watch the study. A failure to notify is a line, and fails nothing.
"""

import argparse

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, plain_text
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.study.notify import Notify
from resweep.watch.ending import end_study


def main() -> None:
    """Say it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("study", type=plain_text, metavar="STUDY", help="name of the study")
    parser.add_argument("--failed", action="store_true", help="a job failed")
    parser.add_argument(
        "--notify",
        type=JsonArgument(make=Notify.model_validate),
        default=Notify(),
        help="`notify` of the study as JSON, or @FILE",
    )
    parser.add_argument("--log", type=plain_text, help="where the messages of the build are")
    parser.add_argument("--quiet", action="store_true", help="print nothing but warnings")
    arguments = parser.parse_args()
    end_study(
        arguments.study,
        Layout(),
        failed=arguments.failed,
        to=arguments.notify,
        log=arguments.log,
        quiet=arguments.quiet,
    )


if __name__ == "__main__":
    run_command(main)
