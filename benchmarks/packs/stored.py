"""What a trial costs that the store answers: in a job of its own, and in a pack."""

from pathlib import Path

from benchmarks.packs.process_tree import Usage
from benchmarks.packs.random_search import random_search
from benchmarks.packs.rounds import in_turn, spread

ALONE, HALVES, TOGETHER = "a job a trial", "two packs", "one pack"


def measure_stored(trials: int, rounds: int, folder: Path) -> str:
    """Link trials that are trained already; return a table.

    Args:
        trials: How many; even.
        rounds: How many times in each way.
        folder: For the trainings.
    """
    place = random_search(folder / "place", trials)
    place.prepare_data()
    place.snakemake(*place.records)
    packs = {ALONE: 1, HALVES: trials // 2, TOGETHER: trials}
    figures: dict[str, list[Usage]] = {way: [] for way in packs}
    for number in range(rounds):
        for way in in_turn(list(packs), number):
            place.forget_study()
            place.ask_for({"pack": packs[way]})
            place.prepare_data()
            figures[way].append(place.snakemake(*place.records))
            place.losses()
            print(f"round {number + 1}: {way}: {figures[way][-1]}", flush=True)
    used = list(zip(*(figures[way] for way in packs), strict=True))
    # Two packs cost one start of a job more than one.
    starts = [halves.of_jobs - together.of_jobs for _, halves, together in used]
    rows = {
        "in a job of its own": [alone.of_jobs / trials for alone, _, _ in used],
        f"in a pack of {trials}": [together.of_jobs / trials for _, _, together in used],
        "in a pack, beside the start of its job": [
            (together.of_jobs - start) / trials
            for (_, _, together), start in zip(used, starts, strict=True)
        ],
        "Snakemake's own, a job each": [alone.own / trials for alone, _, _ in used],
    }
    lines = [f"| {trials} trials that the store answers | CPU ms a trial |", "|---|---|"]
    for name, seconds in rows.items():
        lines.append(f"| {name} | {spread([1000 * one for one in seconds], 1)} |")
    return "\n".join(lines)
