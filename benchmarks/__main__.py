"""Run all benchmarks, or those named: `python -m benchmarks [throughput] [start] [gpu] ...`."""

import argparse

from benchmarks import loop_transformer, mup, pathstar, predictive_coding, report, saves, throughput
from benchmarks.gpu import command as gpu
from benchmarks.packs import command as packs
from benchmarks.search import command as search

BENCHMARKS = {
    "throughput": throughput.measure_throughput,
    "start": throughput.measure_start,
    "saves": saves.measure,
    "packs": lambda: packs.main([]),
    "mup": mup.main,
    "pathstar": pathstar.measure,
    "loop_transformer": loop_transformer.measure,
    "predictive_coding": predictive_coding.measure,
    "gpu": gpu.measure,
    "report": lambda: report.main([]),
    "search": lambda: search.main([]),
}


def main() -> None:
    """Run the named benchmarks and print Markdown rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run benchmarks.")
    known = ", ".join(BENCHMARKS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {known}; default: all")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {known}")
    for name in names:
        print(f"\n## {name}\n", flush=True)
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
