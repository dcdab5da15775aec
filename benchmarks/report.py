"""The report of many trials: the size of its page, and how long a browser takes to open it.

    made-up curves  ->  records and runs of a sweep  ->  report.html  ->  headless Chromium

Each trial has three hyperparameters and a curve of 100 lines; one in five was stopped half-way. Of
more than 1,000 trials, the first 1,000 have runs of their own; the others share these runs, with
names, hyperparameters and values of their own.
"""

import argparse
import math
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from resweep.report.report import render_report
from resweep.report.results import PhaseResults, read_study
from tests.support.browser import Browser
from tests.support.study import RATE, Made, make_study

TRIALS = (10, 1000, 10_000)
STEPS = 1000
ROUNDS = 3
MOST_RUNS = 1000


class Took(NamedTuple):
    """Seconds that something took, by the clock and of CPU time."""

    wall: float
    cpu: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row for each number of trials."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=arguments is None)
    parser.add_argument("--trials", type=int, nargs="+", default=TRIALS)
    counts = parser.parse_args(arguments).trials
    print("| trials | page | CPU to write it | open it | CPU | draw all charts | CPU |")
    print("|---|---|---|---|---|---|---|")
    for count in counts:
        # Chromium may still be writing into its profile when it has been told to end.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            page, took = write_report(Path(folder), count)
            size = page.stat().st_size
            opened, drawn = open_report(page, Path(folder) / "browser")
        seconds = (took, opened.wall, opened.cpu, drawn.wall, drawn.cpu)
        listed = " | ".join(f"{one:.1f} s" for one in seconds)
        print(f"| {count:,} | {size / 1e6:.1f} MB | {listed} |", flush=True)


def write_report(folder: Path, count: int) -> tuple[Path, float]:
    """Return the report of a study of so many trials, and the CPU seconds to write it."""
    own = min(count, MOST_RUNS)
    layout = make_study(folder, sweep=list(map(made_trial, range(own))), rerun=[])
    start = time.process_time()
    results = read_study("made", layout)
    if count > own:
        results = replace(results, phases=(repeated(results.phases[0], count),))
    page = layout.study("made").report
    page.write_text(render_report(results, layout))
    return page, time.process_time() - start


def repeated(phase: PhaseResults, count: int) -> PhaseResults:
    """Return a phase with its trials over and over, each with a name and values of its own."""
    by_name = {outcome.trial.trial: outcome for outcome in phase.outcomes}
    outcomes = dict(by_name)
    rows = list(phase.scores)
    names = sorted(by_name)
    for number in range(len(rows), count):
        made, name = made_trial(number), names[number % len(names)]
        first = next(row for row in phase.scores if row.trial == name)
        outcome = by_name[name]
        outcomes[made.name] = replace(outcome, trial=replace(outcome.trial, trial=made.name))
        rows.append(
            replace(
                first,
                trial=made.name,
                hyperparameters=made.assignments,
                final=made.final,
                final_mean=made.final,
                score=None if made.final is None else -made.final,
            )
        )
    rows.sort(key=lambda row: row.final or math.inf)
    ranked = tuple(replace(row, rank=rank) for rank, row in enumerate(rows, 1))
    return replace(phase, scores=ranked, outcomes=tuple(outcomes[row.trial] for row in ranked))


def made_trial(number: int) -> Made:
    """Return a trial whose result follows from its hyperparameters, with some noise."""
    chance = random.Random(number)
    rate, warmup = 10 ** chance.uniform(-5, -1), chance.uniform(0, 0.5)
    assigned = {
        RATE: rate,
        "training.pct_warmup": warmup,
        "training.beta2": chance.choice([0.95, 0.98, 0.99]),
        "training.max_steps": STEPS,
    }
    final = 2.0 + 0.3 * abs(math.log10(rate) + 2.5) + 0.2 * warmup + chance.gauss(0, 0.02)
    stopped = number % 5 == 4
    return Made(
        f"t{number:05}",
        assigned,
        final + 0.4 * stopped,
        status="stopped" if stopped else "finished",
        reason="flat for 4 log lines" if stopped else None,
        rule="loss" if stopped else None,
        steps=STEPS // 2 if stopped else STEPS,
    )


def open_report(page: Path, profile: Path) -> tuple[Took, Took]:
    """Return the time until the charts in view are drawn, and until all are: the best of some.

    The best, since other work on the machine only ever adds to them.
    """
    opened, drawn = [], []
    for number in range(ROUNDS):
        with Browser(profile / str(number)) as browser:
            start, before = time.perf_counter(), browser.cpu_seconds()
            browser.open(page)
            opened.append(Took(time.perf_counter() - start, browser.cpu_seconds() - before))
            browser.run("window.resweepDrawAll()")
            drawn.append(Took(time.perf_counter() - start, browser.cpu_seconds() - before))
            if browser.complaints:
                raise RuntimeError("\n".join(browser.complaints))
    return min(opened), min(drawn)
