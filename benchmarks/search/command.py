"""Measure searches: `python -m benchmarks.search [functions] [curves] [resample] ...`.

    --table FILE --goal minimize   curves from a table of your own (`benchmarks.search.table`)

Measurements are cached in benchmarks/search/.cache; running the same command again continues.
"""

import argparse
import functools
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.search import cost, report
from benchmarks.search.catalog import (
    ALONE,
    FUNCTIONS,
    RESAMPLED,
    ROUND_SIZES,
    TABLE,
    WITH_RUNGS,
    named,
)
from benchmarks.search.interpolate import Accuracy, interpolation, objective_from
from benchmarks.search.measure import Method, Repetition, measure
from benchmarks.search.objective import Objective
from benchmarks.search.verify import verify

PARTS = ("functions", "curves", "resample", "rungs", "real", "cost")
CACHE = Path(__file__).with_name(".cache")
DOCS = Path(__file__).resolve().parents[2] / "docs"


def run(given: argparse.Namespace) -> None:
    """Measure the parts that are named, print Markdown and draw pictures."""
    parts = given.parts or PARTS
    if "functions" in parts:
        _section("functions")
        found = _measure(FUNCTIONS, ALONE, given)
        for function in FUNCTIONS:
            print(report.regret_table(found, function.name, 1, given.budget), end="\n\n")
        _draw(found, FUNCTIONS, "search-functions.svg", "trainings", given)
    for part, methods in (
        ("curves", (*ALONE, *ROUND_SIZES)),
        ("resample", (*ALONE[:3], *RESAMPLED)),
        ("rungs", (*ALONE[:3], *WITH_RUNGS)),
    ):
        if part not in parts:
            continue
        _section(part)
        curves = objective_from(given.table, given.goal)
        print(describe(interpolation(given.table, given.goal).accuracy(), curves), end="\n\n")
        found = _measure([curves], methods, given)
        print(report.regret_table(found, curves.name, len(curves.steps), given.budget), end="\n\n")
        if part == "resample":
            continue
        unit = "trainings" if part == "curves" else "trained steps, in full trainings"
        _draw(found, [curves], f"search-{part}.svg", unit, given)
    if "real" in parts:
        _section("real")
        if given.table != TABLE:
            print("Only the configurations of our own table can be trained here.")
        else:
            curves = objective_from(given.table, given.goal)
            found = _measure([curves], ALONE, given)
            marks = [at for at in (32, 64) if at <= given.budget]
            print(verify(found, marks, len(curves.steps), given.cache, given.processes))
    if "cost" in parts:
        _section("cost")
        cost.measure()


def describe(accuracy: Accuracy, objective: Objective) -> str:
    """Say how far the interpolation can be trusted."""
    return (
        f"{objective.name}: optimum {objective.optimum:.4f}. Leave-one-out error of the last value "
        f"{accuracy.error:.4f} (spread {accuracy.spread:.4f}), rank correlation "
        f"{accuracy.rank:.3f}; in the better half {accuracy.best_error:.4f} and "
        f"{accuracy.best_rank:.3f}. Between seeds: {accuracy.noise:.4f}."
    )


def _section(name: str) -> None:
    print(f"\n### {name}\n", flush=True)


def _measure(
    objectives: Sequence[Objective], methods: Sequence[Method], given: argparse.Namespace
) -> list[Repetition]:
    return measure(
        objectives,
        methods,
        range(given.seeds),
        budget=given.budget,
        cache=given.cache / "repetitions.jsonl",
        make=functools.partial(named, given.table, given.goal),
        processes=given.processes,
    )


def _draw(
    found: Sequence[Repetition],
    objectives: Sequence[Objective],
    name: str,
    unit: str,
    given: argparse.Namespace,
) -> None:
    panels = [(objective.name, len(objective.steps)) for objective in objectives]
    report.draw(found, panels, given.pictures / name, budget=given.budget, title=unit)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.search", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--table", type=Path, default=TABLE, help="curves to interpolate")
    parser.add_argument("--goal", choices=("minimize", "maximize"), default="minimize")
    parser.add_argument("--seeds", type=int, default=20, help="repetitions of each search")
    parser.add_argument("--budget", type=int, default=64, help="full trainings per search")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for measurements")
    parser.add_argument("--pictures", type=Path, default=DOCS, help="folder for SVG files")
    given = parser.parse_args(arguments)
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    run(given)
