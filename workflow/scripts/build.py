"""Build studies with Snakemake, on this machine or on a cluster.

    python workflow/scripts/build.py quickstart
    python workflow/scripts/build.py quickstart adaptive --set '{training.max_steps: 50}'
    python workflow/scripts/build.py quickstart --targets ranked_sweep -- --profile profiles/slurm

What follows `--` is for Snakemake. Without a study, those of config/config.yaml are built. Run the
same command again to continue.
"""

import argparse
import os
import shlex
import sys

from resweep.command_help import HelpFormatter
from resweep.command_line import plain_text, split_words
from resweep.errors import run_command


def main() -> None:
    """Become Snakemake."""
    own, rest = split_words(sys.argv[1:])
    given = parse_arguments(own)
    words = ["snakemake", *(["--dry-run"] if given.plan else []), *given.targets]
    config = [f"study={name}" for name in given.studies]
    if len(config) > 1:
        config = [f"studies=[{','.join(given.studies)}]"]
    config += [f"set={given.set}"] if given.set else []
    words += [*rest, *(["--config", *config] if config else [])]
    print(shlex.join(words), file=sys.stderr, flush=True)
    # Replaces this process, so that signals and exit codes are those of Snakemake.
    os.execv(sys.executable, [sys.executable, "-m", *words])


def parse_arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("studies", type=plain_text, nargs="*", metavar="STUDY", help="names or files of studies")
    add("--set", type=plain_text, metavar="YAML", help="overrides: {path: value}")
    add(
        "--targets",
        type=plain_text,
        nargs="+",
        default=[],
        metavar="TARGET",
        help="stages or files to build, instead of all (targets.py lists them)",
    )
    add("--plan", action="store_true", help="only show what would be done, and why")
    return parser.parse_args(words)


if __name__ == "__main__":
    run_command(main)
