"""Run all benchmarks, or those named: `python -m benchmarks [throughput] [start] [gpu] ...`."""

import sys

from benchmarks import mup, saves, scale, throughput
from benchmarks.gpu import command as gpu
from benchmarks.search import command as search

BENCHMARKS = {
    "throughput": throughput.measure_throughput,
    "start": throughput.measure_start,
    "saves": saves.measure,
    "scale": scale.measure,
    "mup": mup.main,
    "gpu": gpu.measure,
    "search": lambda: search.main([]),
}


def main() -> None:
    """Run what is named and print Markdown rows."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        print(f"\n## {name}\n", flush=True)
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
