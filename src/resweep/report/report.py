"""The report of a study: one page with curves, rankings, hyperparameters and decisions."""

import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resweep.errors import DamagedFile
from resweep.paths import Layout, RunFolder
from resweep.plurals import counted
from resweep.ranking.trial_result import SEED
from resweep.report.better import better_line
from resweep.report.charts.figure import figure_chart
from resweep.report.charts.search import rounds_chart, rungs_chart
from resweep.report.charts.trials import (
    Curve,
    curves_chart,
    hyperparameter_chart,
    rerun_chart,
)
from resweep.report.compare import compare_rerun, copies_line
from resweep.report.first_screen import first_screen
from resweep.report.links import Links
from resweep.report.page import Charts, card, escape, fold, page
from resweep.report.phase_tables import (
    certainty_tables,
    comparison_table,
    decisions_table,
    ranking_table,
    rungs_table,
    setup_table,
)
from resweep.report.pictures import pictures_html
from resweep.report.results import PhaseResults, StudyResults
from resweep.store.curve import record_curve
from resweep.systems.values import Figure, Pictures
from resweep.trials.record import Status

log = logging.getLogger(__name__)


def render_report(results: StudyResults, layout: Layout, folder: Path | None = None) -> str:
    """Return the report as HTML.

    Args:
        results: Results of all phases.
        layout: Where the curves and the study's runs.csv are.
        folder: Where the page will be, for its links; None: the study's folder.
    """
    charts = Charts()
    links = Links(folder or layout.study(results.name).path)
    sections = [_phase_section(phase, results, layout, charts, links) for phase in results.phases]
    return page(f"{results.name}: report", _header(results, layout) + "".join(sections), charts)


def _header(results: StudyResults, layout: Layout) -> str:
    """Return what is above the phases: name, links, warnings, and the first screen."""
    links = "".join(
        f'<a href="#phase-{phase.name}">{escape(phase.name)}'
        f" <small>{counted(len(phase.scores), 'trial')}</small></a>"
        for phase in results.phases
    )
    return (
        f"<header><h1>{escape(results.name)}</h1>\n{_newest(results)}<nav>{links}</nav></header>\n"
        f"{_warnings(results, layout)}{first_screen(results, layout)}"
    )


def _newest(results: StudyResults) -> str:
    """Date the results by their records: a build time would make equal reports differ."""
    times = [phase.newest for phase in results.phases if phase.newest is not None]
    if not times:
        return ""
    moment = datetime.fromtimestamp(max(times), UTC)
    return f"<p>last updated {moment:%Y-%m-%d %H:%M} UTC</p>\n"


def _warnings(results: StudyResults, layout: Layout) -> str:
    lines = [better_line(results, layout), *(one.line for one in results.unlinked)]
    return "".join(f'<p class="warning">{escape(line)}</p>\n' for line in lines if line)


def _phase_section(
    phase: PhaseResults, results: StudyResults, layout: Layout, charts: Charts, links: Links
) -> str:
    finished = sum(row.status == Status.FINISHED for row in phase.scores)
    stopped = sum(row.has_result for row in phase.scores) - finished
    early = f", {stopped} stopped early" if stopped else ""
    origin = f" of {', '.join(phase.sources)}" if phase.sources else ""
    about = (
        f"{phase.kind}{origin}: {counted(len(phase.scores), 'trial')}, {finished} finished{early}; "
        f"ranked by {phase.score.rule}"
    )
    early_metric = phase.score.early_metric
    train, final = _curves(phase, layout)
    references = results.references_of(phase.metric)
    parts = [
        f'<h2 id="phase-{escape(phase.name)}">{escape(phase.name)}</h2>\n<p>{escape(about)}</p>\n',
        *(
            f'<p class="warning">{escape(line)}</p>\n'
            for line in (phase.warning, copies_line(results, phase))
            if line
        ),
        _grid(
            charts.place(phase.metric, curves_chart(phase, final, references)),
            charts.place(early_metric, curves_chart(phase, train))
            if early_metric != phase.metric
            else "",
        ),
        card("Training setup", setup_table(phase.trained_by)) if phase.trained_by else "",
        card("Ranking", ranking_table(phase, results, layout, links)),
        "".join(f"<p>{escape(line)}</p>\n" for line in results.system.remarks(phase.trained)),
        card("Rungs", rungs_table(phase)) if phase.rungs else "",
        _grid(
            charts.place("Rank at each rung", rungs_chart(phase)),
            charts.place("Best value so far", rounds_chart(phase)),
        ),
    ]
    scatter = [
        charts.place(
            f"Final {phase.metric} by {phase.label(path)}", hyperparameter_chart(phase, path)
        )
        for path in phase.hyperparameters
        if path != SEED
    ]
    held = compare_rerun(results, phase)
    if held.pairs:
        sources = ", ".join(phase.sources)
        title = f"{phase.kind.capitalize()} of {sources}"
        parts.append(card(title, comparison_table(held, phase)))
        title = f"{phase.name} vs. {sources} (bars: mean over seeds ± its standard error)"
        scatter.insert(0, charts.place(title, rerun_chart(held, phase)))
    parts.append(_grid(*scatter))
    parts.append(_figures(results.system.figures(phase.trained), charts))
    parts.append(certainty_tables(phase, layout))
    if phase.decisions:
        drawn = decisions_table(phase, results, layout, links)
        parts.append(fold(f"Decisions ({len(phase.decisions):,})", drawn))
    return "".join(parts)


def _figures(figures: Sequence[Figure | Pictures], charts: Charts) -> str:
    """Return the figures of a system: charts side by side, then rows of pictures."""
    drawn = [f for f in figures if isinstance(f, Figure)]
    pictures = [f for f in figures if isinstance(f, Pictures)]
    shown_pictures = [
        card(f.title, f"{pictures_html(f)}<p>{escape(f.caption)}</p>") for f in pictures
    ]
    return _grid(*(charts.place(f.title, figure_chart(f), f.caption) for f in drawn)) + "".join(
        shown_pictures
    )


def _grid(*cards: str) -> str:
    inner = "".join(cards)
    return f'<div class="grid">{inner}</div>\n' if inner else ""


def _curves(phase: PhaseResults, layout: Layout) -> tuple[list[Curve], list[Curve]]:
    """Read each trial's curves of the early metric and of the ranking metric.

    The worst trials come first, so that the best are drawn on top.
    """
    early: list[Curve] = []
    final: list[Curve] = []
    for outcome in reversed(phase.outcomes):
        record, trial = outcome.record, outcome.trial
        if record.run_id is None:
            continue
        try:
            folder = RunFolder(layout.run(record.run_id))
            lines = record_curve(folder, record, trial.config["training"])
        except DamagedFile as error:
            log.warning("%s; it is not drawn", error)
            continue
        for name, curves in ((phase.score.early_metric, early), (phase.metric, final)):
            points = [(line["step"], line[name]) for line in lines if _known(line.get(name))]
            curves.append(Curve(trial.trial, points))
    return early, final


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
