r"""Rank the runs of a sweep by their curves, and write the best configurations.

    python workflow/scripts/sweep_analysis.py --wandb-csv export.csv \
        --output-yaml top5_best_configs.yaml --top-k 5 --early-max-step 2000
    python workflow/scripts/sweep_analysis.py --study quickstart --phase sweep

Of W&B's exports it reads a chart's data (a column for each run), files with a row for each logged
step, and the table of runs. A chart's data has no hyperparameters: give the table of runs as a
second file. The early slope is the least-squares slope of the metric over the steps up to
--early-max-step; the composite score is -slope-weight * slope - final-weight * final, raw and of
standardised values.
"""

import argparse
import logging
import sys
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text, positive
from resweep.config.metric import MetricGoal
from resweep.config.schema import Schema
from resweep.csv_files import write_columns
from resweep.errors import ConfigError, Problem, run_command
from resweep.files import write_atomically
from resweep.paths import Layout
from resweep.ranking.analysis import (
    AnalysedRun,
    Analysis,
    analyse,
    configs_text,
    leaders,
    spread_text,
    with_fields,
)
from resweep.ranking.exported_runs import Columns, ExportedRun, read_exports
from resweep.ranking.selection import short_name
from resweep.ranking.stored_runs import read_phase
from resweep.ranking.ties import Tie
from resweep.report.text_table import text_table
from resweep.systems.registry import find_system, system_names
from resweep.systems.system import DEFAULT

OF_RUN = ("rank", "name", "final", "best", "early_slope", "raw", "zscore", "seeds", "tie")


def main() -> None:
    """Analyse, print the ranking, and write what is asked for."""
    given = parse_arguments()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if given.wandb_csv:
        wanted = Columns(given.run_column, given.x_axis, given.metric, given.hyperparameters)
        exported = read_exports(given.wandb_csv, wanted)
        runs, metric = list(exported.runs), exported.metric
        goal: MetricGoal = given.goal or "minimize"
        schema = find_system(given.system or DEFAULT).schema
    else:
        stored = read_phase(Layout(given.results), given.study, given.phase, given.metric)
        runs, metric = list(stored.runs), stored.metric
        goal = given.goal or stored.goal
        schema = find_system(stored.system).schema
    renamed = [rename(run, dict(given.rename)) for run in runs]
    runs, lines = with_fields(renamed, schema)
    how = Analysis(
        metric=metric,
        goal=goal,
        early_steps=given.early_max_step,
        slope_weight=given.slope_weight,
        final_weight=given.final_weight,
        rank_by=given.rank_by,
    )
    without = [run.name for run in runs if not run.points]
    if without:
        lines.append(f"without a value of {metric}, and left out: {', '.join(without)}")
    rows = analyse(runs, how)
    if not rows:
        source = given.wandb_csv[0] if given.wandb_csv else given.study
        raise ConfigError(Problem(str(source), "--metric", metric, "no run has a value of it"))
    for line in (*lines, *leaders(rows, how)):
        print(f"note: {line}", file=sys.stderr)
    print(f"{metric}, {goal}: {spread_text(rows)}")
    if Tie.UNKNOWN in {row.tie for row in rows}:
        print(f"note: {Tie.UNKNOWN}: whether some differ from rank 1", file=sys.stderr)
    titles, cells = as_text(rows[: given.show], schema)
    for line in text_table(titles, cells, fixed=sum(name in OF_RUN for name in titles) - 2):
        print(line)
    if len(rows) > given.show:
        print(f"... {len(rows) - given.show} more; --show {len(rows)} shows all")
    if given.output_csv:
        write_columns(given.output_csv, as_columns(rows))
        print(f"ranking: {given.output_csv}")
    if given.output_yaml:
        given.output_yaml.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(given.output_yaml, configs_text(rows, given.top_k, how, schema))
        print(f"best configurations: {given.output_yaml}")


def rename(run: ExportedRun, names: dict[str, str]) -> ExportedRun:
    """Give settings the names that --rename gives them."""
    settings = {names.get(name, name): value for name, value in run.settings.items()}
    return ExportedRun(name=run.name, points=run.points, settings=settings)


def as_columns(rows: list[AnalysedRun]) -> dict[str, list[object]]:
    """Return the ranking by column."""
    columns: dict[str, list[object]] = {n: [getattr(row, n) for row in rows] for n in OF_RUN}
    for path in dict.fromkeys(path for row in rows for path in row.settings):
        columns[path] = [row.settings.get(path) for row in rows]
    return columns


def as_text(rows: list[AnalysedRun], schema: Schema) -> tuple[list[str], list[list[str]]]:
    """Return the titles and cells of the ranking that is printed, without empty columns."""
    columns = as_columns(rows)
    swept = [name for name in columns if name not in OF_RUN]
    of_run = ["final", "early_slope", "raw", "zscore", "tie"]
    of_run[-1:-1] = ["seeds"] if any(row.seeds != 1 for row in rows) else []
    shown = ["rank", *swept, *of_run, "name"]
    shown = [name for name in shown if any(value is not None for value in columns[name])]
    if not {Tie.YES, Tie.NO} & {row.tie for row in rows}:  # the names need the width
        shown = [name for name in shown if name != "tie"]
    titles = [short_name(name, schema) if name in swept else name for name in shown]
    return titles, [[cell(columns[name][row]) for name in shown] for row in range(len(rows))]


def cell(value: object) -> str:
    """Return a value as it is printed."""
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def pair(text: str) -> tuple[str, str]:
    """Read NAME=FIELD."""
    name, equals, field = text.partition("=")
    if not (name and equals and field):
        raise argparse.ArgumentTypeError(f"{text!r} should be NAME=FIELD")
    return name, field


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--wandb-csv", "--wandb_csv", type=file_path, nargs="+", metavar="FILE", help="exports"
    )
    source.add_argument("--study", type=plain_text, help="a study of the results folder")
    add = parser.add_argument
    add("--phase", type=plain_text, help="of the study (its first)")
    add("--output-yaml", "--output_yaml", type=file_path, metavar="FILE", help="best configs")
    add("--output-csv", "--output_csv", type=file_path, metavar="FILE", help="the whole ranking")
    add("--top-k", "--top_k", type=positive, default=5, help="configurations to write (5)")
    add("--early-max-step", "--early_max_step", type=float, default=2000.0, help="(2000)")
    add("--slope-weight", type=float, default=1.0, help="of the composite scores (1)")
    add("--final-weight", type=float, default=1.0, help="of the composite scores (1)")
    add("--rank-by", choices=("final", "raw", "zscore"), default="final", help="(final)")
    add("--metric", type=plain_text, help="column, or last part of the columns, of the metric")
    add("--goal", choices=("minimize", "maximize"), help="(minimize, or the study's)")
    add("--x-axis", type=plain_text, help="column of the step")
    add("--run-column", type=plain_text, help="column of the runs' names")
    add("--hyperparameters", type=plain_text, nargs="+", metavar="COLUMN", help="(found)")
    add("--rename", type=pair, nargs="+", default=[], metavar="NAME=FIELD", help="of settings")
    add("--system", choices=system_names(), help=f"whose fields settings are ({DEFAULT})")
    add("--show", type=positive, default=20, metavar="N", help="rows to print (20)")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    given = parser.parse_args()
    if given.hyperparameters is not None:
        given.hyperparameters = tuple(given.hyperparameters)
    return given


if __name__ == "__main__":
    run_command(main)
