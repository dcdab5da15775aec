"""The report of a study: one page with curves, rankings, hyperparameters and decisions."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from resweep.errors import DamagedFile
from resweep.paths import Layout, RunFolder
from resweep.plurals import counted
from resweep.ranking.held import Held
from resweep.ranking.score_row import spread_text
from resweep.ranking.ties import Tie
from resweep.ranking.trial_result import SEED
from resweep.replay.rung_summary import rung_table
from resweep.report.better import better_line
from resweep.report.certainty import (
    certainty,
    certainty_lines,
    early_table,
    longer_table,
    rank_table,
)
from resweep.report.charts.figure import figure_chart
from resweep.report.charts.search import rounds_chart, rungs_chart
from resweep.report.charts.trials import (
    Curve,
    curves_chart,
    hyperparameter_chart,
    rerun_chart,
)
from resweep.report.compare import compare_rerun, copies_line, held_lines
from resweep.report.first import first_lines
from resweep.report.page import Cell, Charts, Column, card, escape, fold, page, table
from resweep.report.pictures import pictures_html
from resweep.report.results import PhaseResults, StudyResults, shown
from resweep.report.totals import totals
from resweep.report.trained_by import TrainedBy
from resweep.store.curve import record_curve
from resweep.systems.values import Figure, Pictures
from resweep.trials.record import Status

log = logging.getLogger(__name__)


def render_report(results: StudyResults, layout: Layout) -> str:
    """Return the report as HTML.

    Args:
        results: Results of all phases.
        layout: Where the curves and the study's runs.csv are.
    """
    charts = Charts()
    sections = [_phase_section(phase, results, layout, charts) for phase in results.phases]
    links = "".join(f'<a href="#phase-{p.name}">{escape(p.name)}</a>' for p in results.phases)
    header = (
        f"<h1>{escape(results.name)}</h1>\n{_newest(results)}{totals(results, layout)}"
        f"{_warnings(results, layout)}<nav>{links}</nav>\n"
    )
    return page(f"{results.name}: report", header + "".join(sections), charts)


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
    phase: PhaseResults, results: StudyResults, layout: Layout, charts: Charts
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
        card("Training setup", _setup(phase.trained_by)) if phase.trained_by else "",
        card("Ranking", _ranking(phase)),
        "".join(f"<p>{escape(line)}</p>\n" for line in results.system.remarks(phase.trained)),
        card("Rungs", _rungs(phase)) if phase.rungs else "",
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
        parts.append(card(title, _comparison(held, phase)))
        title = f"{phase.name} vs. {sources} (bars: mean over seeds ± its standard error)"
        scatter.insert(0, charts.place(title, rerun_chart(held, phase)))
    parts.append(_grid(*scatter))
    parts.append(_figures(results.system.figures(phase.trained), charts))
    parts.append(_certainty(phase, layout))
    if phase.decisions:
        parts.append(fold(f"Decisions ({len(phase.decisions)})", _decisions(phase.decisions)))
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


def _certainty(phase: PhaseResults, layout: Layout) -> str:
    """Return how sure the ranking is: by seeds, early in training, at a longer budget."""
    sure = certainty(phase, layout, top=3, factor=2.0)
    tables = [rank_table(sure, phase), sure.early and early_table(sure.early)]
    shown_tables = [one for one in (*tables, longer_table(sure, phase)) if one]
    if not shown_tables:
        return ""
    said = "".join(f"<p>{escape(line)}</p>\n" for line in certainty_lines(sure))
    drawn = "".join(
        table(
            [Column(title) for title in titles],
            [("", [Cell(cell) for cell in row]) for row in rows],
        )
        for titles, rows in shown_tables
    )
    return fold("How sure is this ranking?", said + drawn)


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


def _number(value: float | None, spec: str | None = None) -> Cell:
    """Return the cell of a number, by a format specification or to a few digits."""
    if value is None or math.isnan(value):
        return Cell("")
    return Cell(shown(value) if spec is None else f"{value:{spec}}", float(value))


def _are_numbers(values: Iterable[Any]) -> bool:
    kinds = {type(value) for value in values} - {type(None)}
    return kinds <= {int, float} or kinds == {bool}


def _spread(mean: float | None, spread: float | None) -> Cell:
    return Cell(spread_text(mean, spread), mean)


def _setting(value: Any) -> Cell:
    return _number(value) if isinstance(value, int | float) else Cell(shown(value))


def _setup(by: TrainedBy) -> str:
    return table(
        [Column(title) for title in by.facts],
        [("", [Cell(text) for text in by.facts.values()])],
    )


def _ranking(phase: PhaseResults) -> str:
    swept = phase.hyperparameters
    numeric = [_are_numbers(row.hyperparameters.get(p) for row in phase.scores) for p in swept]
    repeated = any(row.seeds and row.seeds > 1 for row in phase.scores)
    errors = any(row.standard_error is not None for row in phase.scores)
    columns = [
        Column("rank", number=True),
        Column("trial"),
        *(Column(phase.label(path), number=n) for path, n in zip(swept, numeric, strict=True)),
        Column(f"final {phase.metric}", number=True),
        *([Column("mean ± std over seeds", number=True)] if repeated else []),
        *([Column("standard error", number=True)] if errors else []),
        Column("tie"),
        Column("early slope", number=True),
        *([] if phase.score.by_final else [Column("score", number=True)]),
        Column("steps", number=True),
        Column("status", name="status"),
        Column("run"),
    ]

    def rows() -> Iterator[tuple[str, list[Cell]]]:
        for row in phase.scores:
            reason = f": {row.stop_reason}" if row.stop_reason is not None else ""
            first = row.rank == 1 or row.tie == Tie.YES
            yield (
                ("first" if first and row.has_result else "" if row.has_result else "lost"),
                [
                    _number(row.rank),
                    Cell(row.trial),
                    *(_setting(row.hyperparameters.get(path)) for path in swept),
                    _number(row.final, ".4f"),
                    *([_spread(row.final_mean, row.final_std)] if repeated else []),
                    *([_number(row.standard_error)] if errors else []),
                    Cell(row.tie or ""),
                    _number(row.early_slope),
                    *([] if phase.score.by_final else [_number(row.score)]),
                    _number(row.step, ","),
                    Cell(f"{row.status}{reason}"),
                    Cell(row.run_id or ""),
                ],
            )

    said = "".join(f"<p>{escape(line)}</p>" for line in first_lines(phase))
    return f"{table(columns, rows())}{said}"


def _rungs(phase: PhaseResults) -> str:
    titles, rows = rung_table(phase.rung_summaries)
    body = table(
        [Column(title, number=True) for title in titles],
        [("", list(map(Cell, row))) for row in rows],
    )
    return (
        f"{body}<p>Rank correlation compares the values at a rung with the final values: 1 means "
        "the same order, 0 no relation. It covers survivors only, since the final values of "
        "stopped trials are unknown. To replay the decisions under other rules, use decide.py.</p>"
    )


def _comparison(held: Held, rerun: PhaseResults) -> str:
    errors = any(pair.error is not None for pair in held.pairs)
    columns = [
        Column("configuration", name="wide"),
        Column("source"),
        Column("trial"),
        Column("rank in source", number=True),
        Column("value in source", number=True),
        Column(f"rank in {rerun.name}", number=True),
        Column(f"{rerun.metric} in {rerun.name}", number=True),
        *([Column("standard error", number=True)] if errors else []),
        Column("change", number=True),
    ]
    rows = [
        (
            "" if pair.value is not None else "lost",
            [
                Cell(rerun.settings_text(pair.hyperparameters)),
                Cell(pair.source),
                Cell(pair.source_trial),
                _number(pair.source_rank),
                _number(pair.source_value, ".4f"),
                _number(pair.rank),
                Cell(pair.lost) if pair.lost else _spread(pair.value, pair.spread),
                *([_number(pair.error)] if errors else []),
                _number(None if pair.value is None else pair.value - pair.source_value, "+.4f"),
            ],
        )
        for pair in held.pairs
    ]
    said = "".join(f"<p>{escape(line)}</p>" for line in held_lines(held, rerun))
    return f"{table(columns, rows)}{said}"


def _decisions(decisions: Sequence[Mapping[str, Any]]) -> str:
    names = list(decisions[0])
    columns = [
        Column(
            name.replace("_", " "),
            number=_are_numbers(row[name] for row in decisions if row[name] != ""),
            name="wide" if name == "reason" else "",
        )
        for name in names
    ]
    return table(columns, [("", [_setting(row[name]) for name in names]) for row in decisions])
