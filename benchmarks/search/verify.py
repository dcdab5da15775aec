"""The winners of searches over the interpolated curves, trained for real.

An interpolation might favour methods whose model is like its own. What counts is what the
configuration that a search names gives in a training.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.search.make_table import learning_curve, prepare_text
from benchmarks.search.measure import Repetition
from benchmarks.search.report import mean_of
from resweep.canonical import canonical_json

SEED = 10_000  # of the first repetition's training: none of the table's


def verify(
    repetitions: Sequence[Repetition],
    marks: Sequence[int],
    per_training: int,
    folder: Path,
    processes: int,
) -> str:
    """Return a Markdown table: the last value of the winners' trainings, a row a method.

    Args:
        repetitions: On the table that `make_table` made.
        marks: Full trainings spent, at which the winner is taken.
        per_training: Evaluations of a full training.
        folder: For the text, and for what was trained before.
        processes: How many trainings at once.
    """
    jobs: dict[str, tuple[Mapping[str, Any], int]] = {}
    names: dict[str, dict[int, list[str]]] = {}
    for known in repetitions:
        for mark in marks:
            point, seed = known.incumbent(mark * per_training).point, SEED + known.seed
            name = canonical_json([point, seed])
            jobs[name] = point, seed
            names.setdefault(known.method, {}).setdefault(mark, []).append(name)
    ends = _train(jobs, folder, processes)
    lines = [f"| trained for real | {' | '.join(map(str, marks))} |", f"|---|{'---|' * len(marks)}"]
    for method, by_mark in names.items():
        cells = [str(mean_of([ends[name] for name in found])) for found in by_mark.values()]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _train(
    jobs: Mapping[str, tuple[Mapping[str, Any], int]], folder: Path, processes: int
) -> dict[str, float]:
    cache = folder / "trained.jsonl"
    ends: dict[str, float] = {}
    if cache.exists():
        ends = dict(json.loads(line) for line in cache.read_text().splitlines())
    todo = [name for name in jobs if name not in ends]
    prepare_text(folder)
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        cache.open("a") as file,
    ):
        waiting = {pool.submit(_last_value, *jobs[name], folder): name for name in todo}
        for done, job in enumerate(as_completed(waiting), 1):
            name = waiting[job]
            ends[name] = job.result()
            file.write(json.dumps([name, ends[name]]) + "\n")
            file.flush()
            print(f"{done} of {len(todo)} winners: {ends[name]:.4f}", flush=True)
    return ends


def _last_value(point: Mapping[str, Any], seed: int, folder: Path) -> float:
    return learning_curve(dict(point), seed, prepare_text(folder))[-1]
