"""Look at the runs of the store: filter, sort, choose columns.

    python workflow/scripts/view_runs.py --filter_sweep quickstart/sweep --sort_by final_valid_loss
    python workflow/scripts/view_runs.py --filter "learning_rate<=6e-4" "status=finished" --limit 10
    python workflow/scripts/view_runs.py --list_columns

A column is named by its path, or by the end of it. Conditions: = != < <= > >=, several values with
commas between, and /regular expressions/; an empty cell is none. Columns that are empty, or the
same in all runs, are left out unless asked for: --show all.
"""

import argparse
import sys
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import count, file_path, plain_text
from resweep.errors import run_command
from resweep.files import write_atomically
from resweep.paths import Layout
from resweep.report.run_filters import read_condition
from resweep.report.run_view import (
    as_csv,
    as_json,
    as_markdown,
    as_text,
    column_lines,
    default_columns,
    read_table,
    statistics_lines,
)

FORMATS = {"csv": as_csv, "json": as_json, "markdown": as_markdown}


def main() -> None:
    """Print the runs that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--list_columns", "--list-columns", action="store_true", help="name all columns, and exit")
    add("--filter_sweep", "--filter-sweep", metavar="NAME", help="STUDY/PHASE, or a study")
    add("--filter", nargs="+", action="extend", default=[], metavar="CONDITION", help="all hold")
    add("--sort_by", "--sort-by", type=plain_text, metavar="COLUMN", help="empty cells last")
    add("--descending", action="store_true", help="the largest first")
    add("--show", nargs="+", action="extend", default=[], metavar="COLUMN", help="these; or: all")
    add("--hide", nargs="+", action="extend", default=[], metavar="COLUMN", help="all but these")
    add("--limit", type=count, metavar="N", help="the first N rows")
    add("--format", choices=["text", *FORMATS], default="text", help="(text)")
    add("--output", type=file_path, help="file to write instead")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    table = read_table(Layout(arguments.results))
    if arguments.filter_sweep is not None:
        table = table.of_sweep(arguments.filter_sweep)
    table = table.where(map(read_condition, arguments.filter))
    if arguments.list_columns:
        print("\n".join(column_lines(table)))
        return
    if arguments.sort_by is not None:
        table = table.sorted_by(arguments.sort_by, arguments.descending)
    hidden = {table.column(name, "--hide") for name in arguments.hide}
    if arguments.show == ["all"]:
        names = table.filled
    elif arguments.show:
        names = [table.column(name, "--show") for name in arguments.show]
    else:
        names = default_columns(table)
    shown = table if arguments.limit is None else table.first(arguments.limit)
    chosen = shown.only(dict.fromkeys(name for name in names if name not in hidden))
    if arguments.format == "text":
        below = statistics_lines(table.only(chosen.names))
        text = "\n".join([*as_text(chosen, shown), *below]) + "\n"
    else:
        text = FORMATS[arguments.format](chosen)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        write_atomically(arguments.output, text)


if __name__ == "__main__":
    run_command(main)
