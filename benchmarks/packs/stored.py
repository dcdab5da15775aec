"""What a trial costs that the store answers: in a job of its own, and in a pack."""

from pathlib import Path

from benchmarks.packs.process_tree import Usage
from benchmarks.packs.random_search import random_search
from benchmarks.packs.rounds import in_turn, spread

ALONE, TOGETHER = "a job a trial", "one pack"


def measure_stored(trials: int, rounds: int, folder: Path) -> str:
    """Link trials that are trained already; return a table.

    Args:
        trials: How many.
        rounds: How many times in each way.
        folder: For the trainings.
    """
    place = random_search(folder / "place", trials)
    place.prepare_data()
    place.snakemake(*place.records)
    packs = {ALONE: 1, TOGETHER: trials}
    figures: dict[str, list[Usage]] = {way: [] for way in packs}
    for number in range(rounds):
        for way in in_turn(list(packs), number):
            place.forget_study()
            place.ask_for({"pack": packs[way]})
            place.prepare_data()
            figures[way].append(place.snakemake(*place.records))
            place.losses()
            print(f"round {number + 1}: {way}: {figures[way][-1]}", flush=True)
    pairs = list(zip(figures[ALONE], figures[TOGETHER], strict=True))
    # The first trial of a pack costs what a job does.
    more = [(one.of_jobs - alone.of_jobs / trials) / (trials - 1) for alone, one in pairs]
    rows = {
        "in a job of its own": [alone.of_jobs / trials for alone, _ in pairs],
        f"in a pack of {trials}": [one.of_jobs / trials for _, one in pairs],
        "in a pack, after the first": more,
        "Snakemake's own, a job each": [alone.own / trials for alone, _ in pairs],
    }
    lines = [f"| {trials} trials that the store answers | CPU ms a trial |", "|---|---|"]
    for name, seconds in rows.items():
        lines.append(f"| {name} | {spread([1000 * one for one in seconds], 1)} |")
    return "\n".join(lines)
