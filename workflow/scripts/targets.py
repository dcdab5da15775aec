"""List the parts of studies that can be built alone: stages by name, and single files.

    python workflow/scripts/targets.py quickstart
    python workflow/scripts/targets.py quickstart adaptive

Each is a word for Snakemake, or for `--targets` of build.py. Several studies are listed as one call
that builds them all has them.
"""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text
from resweep.errors import run_command
from resweep.paths import Layout
from resweep.study.find import load_studies
from resweep.study.stage_targets import single_files, stage_targets


def main() -> None:
    """Print the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("studies", type=plain_text, nargs="+", metavar="STUDY", help="names or files of studies")
    add("--results", type=file_path, default=Path("results"), help="results folder")
    arguments = parser.parse_args()
    layout = Layout(arguments.results)
    studies = load_studies({"studies": arguments.studies}, where="command line")
    stages = {name: target.about for name, target in stage_targets(layout, studies).items()}
    single = {str(path): about for path, about in single_files(layout, studies[0]).items()}
    print_list("stages", stages)
    print_list("single files, such as", single)


def print_list(title: str, abouts: dict[str, str]) -> None:
    """Print names and what they are."""
    print(f"{title}:")
    width = max(map(len, abouts))
    for name, about in abouts.items():
        print(f"  {name:<{width}}  {about}")


if __name__ == "__main__":
    run_command(main)
