"""Measure sweeps of small trainings: `python -m benchmarks.packs [PART ...]`.

    grid       16 trainings in nine ways, two at a time
    many       10,000 trainings of two steps, and a call that has nothing to do
    planning   dry runs of 10,000 trials, beside bare Snakefiles
    stored     trials that the store answers

The figures are CPU seconds of all processes, and wall seconds; ratios are of one round. Ray Tune is
measured if `make ray` has built its environment.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.packs import grid
from benchmarks.packs.many import measure_many
from benchmarks.packs.planning import measure_planning
from benchmarks.packs.stored import measure_stored

PARTS = ("grid", "many", "planning", "stored")


def main(words: Sequence[str]) -> None:
    """Measure the parts that are named and print Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.packs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    add("--rounds", type=int, default=5, help="of grid, planning and stored (5)")
    add("--trials", type=int, default=10_000, help="of many and planning (10000)")
    add("--stored", type=int, default=64, help="trials of stored (64)")
    add("--steps", type=int, default=grid.STEPS, help=f"of a training of grid ({grid.STEPS})")
    add("--rates", type=int, default=4, help="learning rates of grid (4)")
    add("--only", nargs="+", metavar="NAME", help="contenders of grid, besides Optuna")
    given = parser.parse_args(words)
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    names = grid.available()
    if given.only:
        names = [name for name in names if name == grid.BASE or name in given.only]
    for part in given.parts or PARTS:
        print(f"\n### {part}\n", flush=True)
        with tempfile.TemporaryDirectory(prefix="packs-") as place:
            folder = Path(place)
            if part == "grid":
                sweep = grid.sweep_of(given.steps, grid.RATES[: given.rates], grid.WARMUPS)
                table = grid.measure_grid(sweep, names, given.rounds, folder)
            elif part == "many":
                table = measure_many(given.trials, given.rounds, folder)
            elif part == "planning":
                table = measure_planning(given.trials, given.rounds, folder)
            else:
                table = measure_stored(given.stored, given.rounds, folder)
            print(f"\n{table}", flush=True)
