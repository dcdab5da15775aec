"""Show how straight the hidden states of a language model run, by layer and checkpoint.

    python workflow/scripts/analyze_curvature.py RUN_ID
    python workflow/scripts/analyze_curvature.py RUN_ID --checkpoints 100 800 --output-dir pictures
    python workflow/scripts/analyze_curvature.py FOLDER --text sentences.txt

RUN_OR_FOLDER is a run's id, the record of a trial, a folder of checkpoints, or the folder of any
causal model of transformers. Sentences come from the validation split of the run's data, or from
--text. --output-dir writes curvature.png and curvature.json.
"""

import argparse
import json
from pathlib import Path

from resweep.analysis.charts import curvature_chart
from resweep.analysis.checkpoints import find_checkpoints
from resweep.analysis.curvature_text import curvature_csv, curvature_text
from resweep.analysis.trajectories import analyze_curvature, to_json
from resweep.command_help import HelpFormatter
from resweep.command_line import count, file_path, plain_text, positive
from resweep.errors import run_command
from resweep.files import write_atomically
from resweep.json_files import write_json
from resweep.paths import Layout
from resweep.report.charts.picture import picture
from resweep.training.device import pick_device


def main() -> None:
    """Print the analysis, and write its files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("run", type=plain_text, metavar="RUN_OR_FOLDER", help="what to analyze")
    add("--checkpoints", nargs="+", type=count, default=[], help="steps of checkpoints (all)")
    add("--text", type=file_path, help="file of text to take sentences from")
    add("--sentences", type=positive, default=100, help="number of sentences (100)")
    add("--output-dir", type=file_path, help="folder for curvature.png and curvature.json")
    add("--format", choices=("text", "json", "csv"), default="text", help="what is printed")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    pick_device("cpu")  # with one thread, as trainings
    layout = Layout(arguments.results)
    found = find_checkpoints(arguments.run, layout).only(arguments.checkpoints)
    analysis = analyze_curvature(found, layout, text=arguments.text, sentences=arguments.sentences)
    if arguments.output_dir:
        write_json(arguments.output_dir / "curvature.json", to_json(analysis))
        drawn = picture(curvature_chart(analysis))
        write_atomically(arguments.output_dir / "curvature.png", drawn)
    if arguments.format == "json":
        print(json.dumps(to_json(analysis), indent=2))
    else:
        print({"text": curvature_text, "csv": curvature_csv}[arguments.format](analysis), end="")


if __name__ == "__main__":
    run_command(main)
