"""What a study took, and what it is compared with: the figures at the top of its report."""

import math
from collections import Counter
from pathlib import Path

from resweep.csv_files import read_columns
from resweep.paths import Layout
from resweep.report.page import escape, tiles
from resweep.report.results import StudyResults
from resweep.trials.decisions import MADE_AGAIN


def totals(results: StudyResults, layout: Layout) -> str:
    """Return the figures at the top of the report, as HTML."""
    statuses = Counter(row.status for phase in results.phases for row in phase.scores)
    figures = {"trials": f"{statuses.total():,}"}
    figures |= {status: f"{statuses[status]:,}" for status in sorted(statuses)}
    file = layout.study(results.name).table
    if file.exists():
        steps, seconds, gpu_seconds = _sums(file)
        figures |= {
            "steps": f"{steps:,.0f}",
            "training time": duration(seconds),
            "GPU time": duration(gpu_seconds),
        }
    figures |= {one.name: f"{one.value:.3f}" for one in results.references}
    meanings = (f"<p>{escape(f'{one.name}: {one.meaning}')}</p>\n" for one in results.references)
    return tiles(figures) + "".join(meanings)


def duration(seconds: float) -> str:
    """Format a duration by its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _sums(table: Path) -> list[float]:
    """Return the sums of steps, seconds and GPU seconds of a table of runs."""
    names = ("total_steps", "seconds", "gpu_seconds")
    columns = read_columns(
        table, MADE_AGAIN, text=["run_id"], numbers=names, only=["run_id", *names]
    )
    runs = {run_id: row for row, run_id in reversed(list(enumerate(columns["run_id"])))}
    runs.pop(None, None)  # phases may share a run
    return [math.fsum(columns[name][row] or 0 for row in runs.values()) for name in names]
