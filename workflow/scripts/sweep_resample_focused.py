r"""Train more configurations near the best ones of a list.

    python workflow/scripts/sweep_resample_focused.py --best-yaml top5_best_configs.yaml \
        --n-points-per-best 4

Around each configuration, learning rates are drawn from half of it to twice as much, evenly in the
logarithm, and other real numbers from half of it to 1.5 times as much; fractional warmups stay
within 0.02 and 0.3. Whole numbers, as sizes and steps, are kept. The points are written as a list
beside the given one, and trained like a rerun of it. In a study, a phase of `kind: resample` does
the same, and more.
"""

import argparse
import logging
import os
import shlex
import sys

from resweep.agents.focused_list import focused_list, list_text
from resweep.agents.rerun_options import add_rerun_options, changes_of
from resweep.agents.rerun_study import create_rerun
from resweep.command_help import HelpFormatter
from resweep.command_line import count, file_path, positive, split_words
from resweep.errors import run_command
from resweep.files import write_atomically
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.study.find import find_named_study
from resweep.study.study_file import read_study_file
from resweep.systems.registry import find_system
from resweep.systems.system import DEFAULT

CLIP = {"pct_warmup": (0.02, 0.3)}

log = logging.getLogger("resweep.resample")


def main() -> int:
    """Write the points, and train them; returns the exit code."""
    given, for_snakemake = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    base = find_named_study(given.study, given.config_dir)
    study = read_study_file(base).content
    schema = find_system(study.system or DEFAULT, str(base)).schema
    clip = {**CLIP, **dict(given.clip)}
    points = focused_list(
        given.best_yaml,
        given.n_points_per_best,
        schema,
        seed=given.seed,
        factors=dict(given.factors),
        clip={name: pair for name, pair in clip.items() if name in schema.fields},
        own=study.own,
    )
    listed = given.output_yaml or given.best_yaml.with_name("focused_configs.yaml")
    what = f"{counted(given.n_points_per_best, 'point')} near each of {given.best_yaml}"
    write_atomically(listed, list_text(points, schema, what))
    log.info("%s: %s", listed, counted(len(points), "configuration"))
    folder, layout, changes = listed.with_suffix(""), Layout(given.results), changes_of(given)
    made = create_rerun(
        listed, base, given.config_dir, folder, layout, top=None, seeds=(), changes=changes
    )
    command = ["snakemake", "--config", f"study={made.file}", *for_snakemake]
    log.info("%s", shlex.join(command))
    if given.create_only:
        return 0
    log.info("afterwards: resweep summary %s", made.study.name)
    # Replaces this process, so that signals and exit codes are those of Snakemake.
    os.execv(sys.executable, [sys.executable, "-m", *command])


def pair(text: str) -> tuple[str, tuple[float, float]]:
    """Read NAME=LOW,HIGH."""
    name, _, ends = text.partition("=")
    try:
        low, high = (float(end) for end in ends.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} should be NAME=LOW,HIGH") from None
    if not name or low > high:
        raise argparse.ArgumentTypeError(f"{text!r} should be NAME=LOW,HIGH, the lower one first")
    return name, (low, high)


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what follows `--` is for Snakemake."""
    own, rest = split_words(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--best-yaml", "--best_yaml", type=file_path, required=True, help="the list")
    add("--n-points-per-best", "--n_points_per_best", type=positive, default=4, help="(4)")
    add("--output-yaml", type=file_path, help="the new list (focused_configs.yaml beside it)")
    add("--factors", type=pair, nargs="+", default=[], metavar="NAME=LOW,HIGH", help="of regions")
    add("--clip", type=pair, nargs="+", default=[], metavar="NAME=LOW,HIGH", help="hard bounds")
    add("--seed", type=count, default=0, help="of random draws (0)")
    add_rerun_options(parser)
    return parser.parse_args(own), rest


if __name__ == "__main__":
    run_command(main)
