"""Draw the jobs of studies: which stages there are, and what is done, stale and to do.

    python workflow/scripts/draw_dag.py quickstart
    python workflow/scripts/draw_dag.py adaptive production --set '{training.max_steps: 50}'
    python workflow/scripts/draw_dag.py quickstart --text

Writes results/STUDY/dag.svg, and prints the same as text. What is stale, and what is to do, is what
Snakemake itself would run; nothing is built.
"""

import argparse
import sys
from subprocess import PIPE, Popen

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text
from resweep.errors import ResweepError, run_command
from resweep.files import write_atomically
from resweep.paths import Layout
from resweep.report.dag.boxes import Graph, fold, read_summary
from resweep.report.dag.svg import draw
from resweep.report.dag.text import lines
from resweep.study.find import load_studies


def main() -> None:
    """Draw each study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("studies", type=plain_text, nargs="+", metavar="STUDY", help="names or files of studies")
    add("--set", type=plain_text, metavar="YAML", help="overrides: {path: value}")
    add("--output", type=file_path, metavar="FILE", help="the picture (results/STUDY/dag.svg)")
    add("--text", action="store_true", help="only print it")
    arguments = parser.parse_args()
    if arguments.output is not None and len(arguments.studies) > 1:
        parser.error("--output is for one study")
    layout = Layout()
    for name in arguments.studies:
        graph = graph_of(name, arguments.set, layout)
        print("\n".join(lines(graph)), flush=True)
        if not arguments.text:
            picture = arguments.output or layout.study(graph.study).dag
            write_atomically(picture, draw(graph))
            print(f"picture: {picture}")


def graph_of(name: str, overrides: str | None, layout: Layout) -> Graph:
    """Return the graph of a study, as it is now."""
    given = {"study": name, **({"set": overrides} if overrides else {})}
    (study,) = load_studies(given, where="command line")
    config = [f"{key}={value}" for key, value in given.items()]
    # Side by side: both read the whole workflow, which takes most of their time.
    asked = [start_snakemake(words, config) for words in (["--rulegraph", "dot"], ["--summary"])]
    rules, files = [output_of(process) for process in asked]
    return fold(study, layout, rules, read_summary(files))


def start_snakemake(words: list[str], config: list[str]) -> "Popen[str]":
    """Start Snakemake in this folder."""
    command = [sys.executable, "-m", "snakemake", *words, "--config", *config]
    return Popen(command, stdout=PIPE, stderr=PIPE, text=True)


def output_of(process: "Popen[str]") -> str:
    """Return what Snakemake prints; raises ResweepError with its last words if it fails."""
    out, errors = process.communicate()
    if process.returncode:
        raise ResweepError(errors.strip() or f"Snakemake ended with {process.returncode}")
    return out


if __name__ == "__main__":
    run_command(main)
