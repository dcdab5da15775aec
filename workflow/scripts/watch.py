"""Watch a study while it is built: one screen, from any terminal that sees its files.

    python workflow/scripts/watch.py quickstart
    python workflow/scripts/watch.py quickstart --once

It only reads files: run it beside the command that builds, wherever that runs. It ends with the
study, and shows the best, the report and the line that loads the model. Ctrl-C ends it earlier;
the build continues. Without a terminal it prints a line when something changed, at most one a
minute. Without a study, it shows the one that was built last.
"""

import argparse

from resweep.command_help import HelpFormatter
from resweep.command_line import plain_text
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.watch.watching import find_watched, print_once, watch


def main() -> int:
    """Watch it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument(
        "study",
        type=plain_text,
        nargs="?",
        metavar="STUDY",
        help="name or file of a study, or a sweep's name or id",
    )
    parser.add_argument("--once", action="store_true", help="print one screen, and end")
    arguments = parser.parse_args()
    layout = Layout()
    study = find_watched(arguments.study, layout)
    if arguments.once:
        print_once(study, layout)
        return 0
    return watch(study, layout)


if __name__ == "__main__":
    run_command(main)
