"""Very many trainings of two steps: CPU milliseconds that a trial costs beside them."""

import shutil
from pathlib import Path

from benchmarks.packs.planning import measure_finished
from benchmarks.packs.process_tree import Usage, measure
from benchmarks.packs.random_search import random_search
from benchmarks.packs.rounds import spread
from benchmarks.packs.workplace import ENVIRONMENT

WAYS = ("bare loop", "training", "rest of the study")


def measure_many(trials: int, rounds: int, folder: Path) -> str:
    """Train a random search in each round, and then call again for nothing; return tables.

    Args:
        trials: How many.
        rounds: How many times.
        folder: For the trainings.
    """
    figures: dict[str, list[Usage]] = {way: [] for way in WAYS}
    for number in range(rounds):
        place = random_search(folder / f"round-{number}", trials)
        file = place.workload().write(place.path / "workload.json")
        loop = ["python", "-m", "benchmarks.packs.bare_loop", str(file)]
        used = (
            measure(loop, place.path, ENVIRONMENT),
            place.snakemake(*place.records),
            place.snakemake(),
        )
        for way, usage in zip(WAYS, used, strict=True):
            print(f"round {number + 1}: {way}: {usage}", flush=True)
            figures[way].append(usage)
        place.losses()
        if number < rounds - 1:
            shutil.rmtree(place.path)
    return f"{cost_table(trials, figures)}\n\n{measure_finished(place, rounds, folder)}"


def cost_table(trials: int, figures: dict[str, list[Usage]]) -> str:
    """Return a table of CPU milliseconds a trial."""
    bare, training, rest = (figures[way] for way in WAYS)
    pairs = list(zip(training, bare, strict=True))
    rows = {
        "its steps, in a bare loop of one process": [usage.cpu for usage in bare],
        "training jobs": [usage.of_jobs for usage in training],
        "training jobs beside the bare loop": [one.of_jobs - loop.cpu for one, loop in pairs],
        "Snakemake, while it trains": [usage.own for usage in training],
        "the rest of the study: ranking, tables, report": [usage.cpu for usage in rest],
        "the whole study beside the bare loop": [
            one.cpu + last.cpu - loop.cpu for (one, loop), last in zip(pairs, rest, strict=True)
        ],
    }
    lines = [f"| {trials:,} trainings of two steps | CPU ms a trial |", "|---|---|"]
    for name, seconds in rows.items():
        lines.append(f"| {name} | {spread([1000 * one / trials for one in seconds], 1)} |")
    wall = spread([one.wall for one in training], 0)
    return "\n".join([*lines, f"\nThe training takes {wall} seconds of wall time on two cores."])
