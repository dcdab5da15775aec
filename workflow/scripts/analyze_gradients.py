"""Show what the saved gradients of a run say: norms, directions, noise, what vanishes or explodes.

    python workflow/scripts/analyze_gradients.py RUN_ID
    python workflow/scripts/analyze_gradients.py results/STUDY/PHASE/records/TRIAL.json
    python workflow/scripts/analyze_gradients.py FOLDER --layer h.0.mlp.c_fc.weight
    python workflow/scripts/analyze_gradients.py --study STUDY --phase PHASE

RUN_OR_FOLDER is a run's id, the record of a trial, a folder of checkpoints, or one checkpoint. The
last form correlates the gradients of a phase's trials with their results. Pictures are written with
--output-dir: gradient_norms.png, gradient_evolution.png, gradient_cosines.png, and gradients.json.
"""

import argparse
import json
from pathlib import Path

from resweep.analysis.charts import cosines_chart, evolution_chart, norms_chart, stacked
from resweep.analysis.checkpoints import find_checkpoints
from resweep.analysis.gradient_analysis import GradientAnalysis, analyze_gradients, to_json
from resweep.analysis.gradient_text import gradients_csv, gradients_text
from resweep.analysis.performance import correlate_with_performance, performance_text
from resweep.analysis.performance import to_json as performance_json
from resweep.command_help import HelpFormatter
from resweep.command_line import count, file_path, plain_text
from resweep.errors import run_command
from resweep.files import write_atomically
from resweep.json_files import write_json
from resweep.paths import Layout
from resweep.report.charts.picture import picture
from resweep.study.find_results import study_of_results
from resweep.training.device import pick_device


def main() -> None:
    """Print the analysis, and write its files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("run", nargs="?", type=plain_text, metavar="RUN_OR_FOLDER", help="what to analyze")
    add("--checkpoints", nargs="+", type=count, default=[], help="steps of checkpoints (all)")
    add("--layer", type=plain_text, help="layer or parameter to follow: h.0, h.0.mlp.c_fc.weight")
    add("--study", type=plain_text, help="a study, for correlations with results")
    add("--phase", type=plain_text, help="its phase")
    add("--output-dir", type=file_path, help="folder for pictures and gradients.json")
    add("--json", type=file_path, help="file for the numbers alone")
    add("--picture", type=file_path, help="file for all pictures in one, a PNG")
    add("--format", choices=("text", "json", "csv"), default="text", help="what is printed")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    of_phase = (arguments.study is not None, arguments.phase is not None)
    if of_phase[0] != of_phase[1] or of_phase[0] == (arguments.run is not None):
        parser.error("give RUN_OR_FOLDER, or --study and --phase")
    pick_device("cpu")  # with one thread, as trainings
    layout = Layout(arguments.results)
    if of_phase[0]:
        study = study_of_results(arguments.study, layout)
        found = correlate_with_performance(study, arguments.phase, layout)
        as_json = arguments.format == "json"
        print(
            json.dumps(performance_json(found), indent=2) + "\n"
            if as_json
            else performance_text(found),
            end="",
        )
        return
    checkpoints = find_checkpoints(arguments.run, layout).only(arguments.checkpoints)
    analysis = analyze_gradients(checkpoints, arguments.layer)
    write_files(analysis, arguments)
    if arguments.format == "json":
        print(json.dumps(to_json(analysis), indent=2))
    else:
        print({"text": gradients_text, "csv": gradients_csv}[arguments.format](analysis), end="")


def write_files(analysis: GradientAnalysis, arguments: argparse.Namespace) -> None:
    """Write the files that were asked for."""
    charts = {
        "gradient_norms.png": norms_chart(analysis.last),
        "gradient_evolution.png": evolution_chart(analysis),
        "gradient_cosines.png": cosines_chart(analysis),
    }
    if arguments.json:
        write_json(arguments.json, to_json(analysis))
    if arguments.picture:
        write_atomically(arguments.picture, picture(stacked(*charts.values())))
    if arguments.output_dir:
        for name, chart in charts.items():
            if chart is not None:
                write_atomically(arguments.output_dir / name, picture(stacked(chart)))
        write_json(arguments.output_dir / "gradients.json", to_json(analysis))


if __name__ == "__main__":
    run_command(main)
