"""Draw the rule graph of a study: reads the dot language, writes PREFIX.dot and PREFIX.svg.

All rounds and rungs of a sweep are drawn as one node per rule. Without graphviz, the rules are
listed as text.

    snakemake --rulegraph dot | python workflow/scripts/draw_rules.py results/dag
"""

import argparse
import shutil
import subprocess
import sys
from subprocess import PIPE

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path
from resweep.errors import ResweepError, run_command
from resweep.files import write_atomically
from resweep.report.fold_rules import fold_rules, outline


def main() -> None:
    """Write the graph, and a picture if graphviz is installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument(
        "prefix", metavar="PREFIX", type=file_path, help="output path without extension"
    )
    prefix = parser.parse_args().prefix
    graph = sys.stdin.read()
    if "digraph" not in graph:
        raise ResweepError(
            "no graph on standard input; pipe the output of `snakemake --rulegraph dot` into this"
        )
    graph = fold_rules(graph[graph.index("digraph") :])
    write_atomically(prefix.with_suffix(".dot"), graph)
    if shutil.which("dot") is None:
        print(outline(graph))
        print(f"for a picture, install graphviz and run this again; the graph: {prefix}.dot")
        return
    picture = prefix.with_suffix(".svg")
    drawn = subprocess.run(["dot", "-Tsvg"], input=graph.encode(), stdout=PIPE, check=True)
    write_atomically(picture, drawn.stdout)
    print(picture)


if __name__ == "__main__":
    run_command(main)
