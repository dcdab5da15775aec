"""The charts of a phase, in the order of the page.

results of a phase, curves of its runs  ->  Drawn  ->  cards, wide ones alone, others in a grid
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from resweep.paths import Layout
from resweep.ranking.held import Held
from resweep.ranking.trial_result import SEED
from resweep.report.charts.contour import contour_chart
from resweep.report.charts.curve_points import read_curves
from resweep.report.charts.curves import curves_chart
from resweep.report.charts.figure import figure_chart
from resweep.report.charts.gradients import gradient_charts
from resweep.report.charts.influence import influence_chart
from resweep.report.charts.parallel import parallel_chart
from resweep.report.charts.progress import progress_charts
from resweep.report.charts.regions import regions_charts
from resweep.report.charts.rerun import rerun_charts
from resweep.report.charts.rounds import rounds_charts
from resweep.report.charts.rungs import rungs_charts
from resweep.report.charts.runtimes import runtimes_chart
from resweep.report.charts.slices import slice_chart
from resweep.report.charts.spec import Drawn
from resweep.report.charts.trial_rows import TrialRows
from resweep.report.importance import importance_note
from resweep.report.page import Charts, drawing, escape
from resweep.report.pictures import pictures_html
from resweep.report.results import PhaseResults, StudyResults
from resweep.systems.values import Figure, Pictures


def curve_cards(rows: TrialRows, results: StudyResults, layout: Layout, charts: Charts) -> str:
    """Return the learning curves of a phase, and the rows that all of its charts share."""
    phase = rows.phase
    references = results.references_of(phase.metric)
    drawn = [
        curves_chart(rows, metric, curves, references if metric == phase.metric else ())
        for metric, curves in read_curves(phase, layout).items()
    ]
    return f"{rows.element()}\n{_cards(drawn, charts)}"


def search_cards(rows: TrialRows, study: str, layout: Layout, charts: Charts) -> str:
    """Return what the trials of a phase say about its search space and its search."""
    phase = rows.phase
    over_all = phase.importances
    important = [one.path for one in over_all]
    paths = [path for path in phase.hyperparameters if path != SEED]
    ordered = [*important, *(path for path in paths if path not in important)]
    drawn = [
        parallel_chart(rows),
        influence_chart(phase, over_all),
        contour_chart(rows, ordered),
        *(slice_chart(rows, path) for path in ordered),
        *progress_charts(rows),
        *rounds_charts(rows, ordered),
        *regions_charts(rows, study, layout),
        runtimes_chart(rows),
    ]
    note = importance_note(phase)
    if note is None and not any(one.share for one in over_all):
        note = "no hyperparameter mattered more than random order would show"
    varied = [path for path in paths if rows.can_be_drawn(path)]
    said = f"<p>What mattered: {escape(note)}.</p>\n" if note and len(varied) > 1 else ""
    return _cards(drawn, charts) + said


def rung_cards(phase: PhaseResults, charts: Charts) -> str:
    """Return the decisions at each rung and how well they held."""
    return _cards(rungs_charts(phase), charts)


def rerun_cards(held: Held, phase: PhaseResults, charts: Charts) -> str:
    """Return what a rerun made of the ranking that it was chosen from."""
    return _cards(rerun_charts(held, phase), charts)


def gradient_cards(phase: PhaseResults, study: str, layout: Layout, charts: Charts) -> str:
    """Return the gradients of the trials that were analyzed."""
    return _cards(gradient_charts(phase, study, layout), charts)


def figure_cards(figures: Sequence[Figure | Pictures], charts: Charts) -> str:
    """Return the figures of a system: charts side by side, then rows of pictures."""
    drawn = [figure_chart(one) for one in figures if isinstance(one, Figure)]
    pictures = [one for one in figures if isinstance(one, Pictures)]
    return _cards(drawn, charts) + "".join(
        drawing(one.title, pictures_html(one), one.caption) for one in pictures
    )


def _cards(drawn: Iterable[Drawn | None], charts: Charts) -> str:
    present = [one for one in drawn if one is not None]
    parts = []
    for wide, group in groupby(present, key=lambda one: one.wide):
        cards = "".join(_card(one, charts) for one in group)
        parts.append(cards if wide else f'<div class="grid">{cards}</div>\n')
    return "".join(parts)


def _card(drawn: Drawn, charts: Charts) -> str:
    # Vega makes the description the label of the drawing, for those who cannot see it.
    spec = drawn.spec | {"description": f"{drawn.title}: {drawn.says}"}
    return charts.place(drawn.title, spec, drawn.says)
