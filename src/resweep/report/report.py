"""The report of a study: one page with curves, rankings, hyperparameters and decisions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from resweep.paths import Layout
from resweep.plurals import counted
from resweep.report.better import better_line
from resweep.report.charts.trial_rows import TrialRows
from resweep.report.compare import compare_rerun, copies_line
from resweep.report.first_screen import first_screen
from resweep.report.links import Links
from resweep.report.page import Charts, card, escape, fold, page
from resweep.report.phase_charts import (
    curve_cards,
    figure_cards,
    gradient_cards,
    rerun_cards,
    rung_cards,
    search_cards,
)
from resweep.report.phase_tables import (
    certainty_tables,
    comparison_table,
    decisions_table,
    ranking_table,
    rungs_table,
    setup_table,
)
from resweep.report.results import PhaseResults, StudyResults
from resweep.report.spent import Spent, spent_on
from resweep.report.stages import stages_card
from resweep.trials.record import Status


def render_report(results: StudyResults, layout: Layout, folder: Path | None = None) -> str:
    """Return the report as HTML.

    Args:
        results: Results of all phases.
        layout: Where the curves and the study's runs.csv are.
        folder: Where the page will be, for its links; None: the study's folder.
    """
    charts = Charts()
    links = Links(folder or layout.study(results.name).path)
    spent = spent_on(
        {phase.name: [one.record for one in phase.outcomes] for phase in results.phases}, layout
    )
    sections = [
        _header(results, spent, layout),
        *(_phase_section(phase, results, layout, charts, links) for phase in results.phases),
        f'<h2 id="stages">How it was built</h2>\n{stages_card(results, spent, layout)}',
    ]
    return page(f"{results.name}: report", "".join(sections), charts)


def _header(results: StudyResults, spent: Mapping[str, Spent], layout: Layout) -> str:
    """Return what is above the phases: name, links, warnings, and the first screen."""
    links = "".join(
        f'<a href="#phase-{phase.name}">{escape(phase.name)}'
        f" <small>{counted(len(phase.scores), 'trial')}</small></a>"
        for phase in results.phases
    )
    return (
        f"<header><h1>{escape(results.name)}</h1>\n{_state(results)}<nav>{links}</nav></header>\n"
        f"{_warnings(results, layout)}{first_screen(results, spent, layout)}"
    )


def _state(results: StudyResults) -> str:
    """Say how new the results are, and what is still to come.

    They are dated by their records: a build time would make equal reports differ.
    """
    times = [phase.newest for phase in results.phases if phase.newest is not None]
    said = []
    if times:
        said.append(f"last updated {datetime.fromtimestamp(max(times), UTC):%Y-%m-%d %H:%M} UTC")
    if results.unranked:
        said.append(f"not ranked yet: {', '.join(results.unranked)}")
    return f"<p>{escape('; '.join(said))}</p>\n" if said else ""


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
    rows = TrialRows(phase)
    parts = [
        f'<h2 id="phase-{escape(phase.name)}">{escape(phase.name)}</h2>\n<p>{escape(about)}</p>\n',
        *(
            f'<p class="warning">{escape(line)}</p>\n'
            for line in (phase.warning, copies_line(results, phase))
            if line
        ),
        curve_cards(rows, results, layout, charts),
        card("Training setup", setup_table(phase.trained_by)) if phase.trained_by else "",
        card("Ranking", ranking_table(phase, results, layout, links)),
        "".join(f"<p>{escape(line)}</p>\n" for line in results.system.remarks(phase.trained)),
        card("Rungs", rungs_table(phase)) if phase.rungs else "",
        rung_cards(phase, charts),
    ]
    held = compare_rerun(results, phase)
    if held.pairs:
        sources = ", ".join(phase.sources)
        title = f"{phase.kind.capitalize()} of {sources}"
        parts.append(card(title, comparison_table(held, phase, results, layout, links)))
        parts.append(rerun_cards(held, phase, charts))
    parts.append(search_cards(rows, results.name, layout, charts))
    parts.append(figure_cards(results.system.figures(phase.trained), charts))
    parts.append(gradient_cards(phase, results.name, layout, charts))
    parts.append(certainty_tables(phase, layout))
    if phase.decisions:
        drawn = decisions_table(phase, results, layout, links)
        parts.append(fold(f"Decisions ({len(phase.decisions):,})", drawn))
    return "".join(parts)
