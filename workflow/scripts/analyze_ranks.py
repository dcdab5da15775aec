"""Show how sure the rankings of a study are.

    python workflow/scripts/analyze_ranks.py quickstart
    python workflow/scripts/analyze_ranks.py quickstart --phase sweep --factor 4 --format json

By its seeds: how probable it is that each configuration is the best. Early in training: from which
step on the best ones were those of the end. At a longer budget: where each curve would be by a
power law, with an error that is measured on held-back ends of the same curves.
"""

import argparse
import json
import sys
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text, positive
from resweep.errors import ConfigError, Problem, run_command
from resweep.paths import Layout
from resweep.report.certainty import (
    Certainty,
    certainty,
    certainty_lines,
    early_table,
    longer_table,
    rank_table,
)
from resweep.report.results import PhaseResults, read_study
from resweep.report.text_table import text_table
from resweep.study.find_results import study_of_results


def main() -> None:
    """Print tables for each phase."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("study", type=plain_text, metavar="STUDY", help="name of a study, or id of a sweep")
    add("--phase", type=plain_text, help="one of its phases (all)")
    add("--top", type=positive, default=3, metavar="K", help="how many count as the best (3)")
    add("--factor", type=float, default=2.0, help="to how many times their steps curves go (2)")
    add("--format", choices=["text", "json"], default="text", help="(text)")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    arguments = parser.parse_args()
    if not arguments.factor > 1:
        parser.error("--factor should be above 1")
    layout = Layout(arguments.results)
    results = read_study(study_of_results(arguments.study, layout), layout)
    phases = [one for one in results.phases if arguments.phase in (None, one.name)]
    if not phases:
        there = ", ".join(one.name for one in results.phases)
        hint = f"is not a ranked phase of {results.name}; there are: {there}"
        raise ConfigError(Problem("--phase", arguments.phase, None, hint))
    found = {
        one.name: certainty(one, layout, top=arguments.top, factor=arguments.factor)
        for one in phases
    }
    if arguments.format == "json":
        json.dump({name: sure.content() for name, sure in found.items()}, sys.stdout, indent=2)
        print()
        return
    for phase in phases:
        print(f"{phase.name} ({phase.metric}, {phase.goal})")
        _show(found[phase.name], phase)


def _show(sure: Certainty, phase: PhaseResults) -> None:
    tables = [rank_table(sure, phase), sure.early and early_table(sure.early)]
    for table in (*tables, longer_table(sure, phase)):
        if table:
            print("\n".join(text_table(*table)))
            print()
    for line in certainty_lines(sure):
        print(f"  {line}")
    print()


if __name__ == "__main__":
    run_command(main)
