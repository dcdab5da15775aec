r"""Write a resolved study: all defaults filled in, all modules merged.

    python workflow/scripts/write_study.py --content JSON \
        --output results/STUDY/study.yaml
"""

import argparse

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, file_path
from resweep.errors import run_command
from resweep.study.described import write_described


def main() -> None:
    """Write study.yaml."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument(
        "--content", type=JsonArgument(), required=True, help="the resolved study as JSON, or @FILE"
    )
    parser.add_argument("--output", type=file_path, required=True, help="file to write")
    arguments = parser.parse_args()
    write_described(arguments.output, arguments.content)


if __name__ == "__main__":
    run_command(main)
