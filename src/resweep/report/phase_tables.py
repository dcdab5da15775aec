"""The tables of a phase: its ranking, rungs, reruns, decisions, and how sure they are."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from resweep.paths import Layout
from resweep.ranking.held import Held
from resweep.ranking.score_row import spread_text, value_text
from resweep.ranking.ties import Tie
from resweep.replay.rung_summary import rung_table
from resweep.report.certainty import (
    certainty,
    certainty_lines,
    early_table,
    longer_table,
    rank_table,
)
from resweep.report.compare import held_lines
from resweep.report.first import first_lines
from resweep.report.html_table import RUN, TRIAL, Cell, Column, Row, Tools, table
from resweep.report.links import Links
from resweep.report.page import escape, fold
from resweep.report.results import PhaseResults, StudyResults, shown
from resweep.report.trained_by import TrainedBy
from resweep.trials.record import Status

TIED, STOPPED, ESTIMATE = "tie", "stopped", "estimate"
MARKS = {
    TIED: "tie: cannot be told apart from rank 1, or rank 1 itself",
    STOPPED: "stopped: the value where the training was stopped, before its end",
    ESTIMATE: "estimate: from the noise along one curve, since there is one seed",
}


def setup_table(by: TrainedBy) -> str:
    """Return what trained a phase."""
    return table(
        [Column(title) for title in by.facts], [Row([Cell(text) for text in by.facts.values()])]
    )


def ranking_table(phase: PhaseResults, results: StudyResults, layout: Layout, links: Links) -> str:
    """Return all trials of a phase, best first, and what there is to say of the first."""
    swept = phase.hyperparameters
    numeric = [_are_numbers(row.hyperparameters.get(p) for row in phase.scores) for p in swept]
    repeated = any(row.seeds and row.seeds > 1 for row in phase.scores)
    errors = any(row.standard_error is not None for row in phase.scores)
    ties = any(row.tie == Tie.YES for row in phase.scores)
    columns = [
        Column("rank", number=True),
        Column("trial", name=TRIAL),
        *(Column(phase.label(path), number=n) for path, n in zip(swept, numeric, strict=True)),
        Column(f"final {phase.metric}", number=True),
        *([Column("mean ± std over seeds", number=True)] if repeated else []),
        *([Column("standard error", number=True)] if errors else []),
        Column("tie"),
        *(
            []
            if phase.score.by_final
            else [Column("early slope", number=True), Column("score", number=True)]
        ),
        Column("steps", number=True),
        Column("status", name="status"),
        Column("run", name=RUN),
    ]

    def rows() -> Iterator[Row]:
        for row in phase.scores:
            reason = f": {row.stop_reason}" if row.stop_reason is not None else ""
            first = row.rank == 1 or row.tie == Tie.YES
            tied = row.has_result and (row.tie == Tie.YES or (ties and row.rank == 1))
            stopped = row.status == Status.STOPPED and row.final is not None
            by_curve = row.standard_error is not None and (row.seeds or 1) == 1
            yield Row(
                [
                    _number(row.rank, mark=TIED if tied else ""),
                    Cell(row.trial),
                    *(_setting(row.hyperparameters.get(path)) for path in swept),
                    _value(row.final, STOPPED if stopped else ""),
                    *([_spread(row.final_mean, row.final_std)] if repeated else []),
                    *(
                        [_number(row.standard_error, mark=ESTIMATE if by_curve else "")]
                        if errors
                        else []
                    ),
                    Cell(row.tie or ""),
                    *(
                        []
                        if phase.score.by_final
                        else [_number(row.early_slope), _number(row.score)]
                    ),
                    _number(row.step, ","),
                    Cell(f"{row.status}{reason}"),
                    Cell(row.run_id or ""),
                ],
                kind=("first" if first else "") if row.has_result else "lost",
                trial=row.trial,
            )

    folder = layout.phase(results.name, phase.name)
    tools = _tools(phase, results, "ranking", layout, links.to(folder.scores), links)
    drawn = list(rows())
    used = {cell.mark for row in drawn for cell in row.cells}
    said = [*first_lines(phase), "; ".join(text for mark, text in MARKS.items() if mark in used)]
    return f"{table(columns, drawn, tools)}{_paragraphs(filter(None, said))}"


def _tools(
    phase: PhaseResults,
    results: StudyResults,
    what: str,
    layout: Layout,
    source: str,
    links: Links,
) -> Tools:
    return Tools(
        name=f"{results.name}-{phase.name}-{what}",
        phase=phase.name,
        runs=links.to(layout.runs),
        source=source,
    )


def rungs_table(phase: PhaseResults) -> str:
    """Return what each rung kept, and how well its order held."""
    titles, rows = rung_table(phase.rung_summaries)
    body = table(
        [Column(title, number=True) for title in titles],
        [Row(list(map(Cell, row))) for row in rows],
    )
    return (
        f"{body}<p>Rank correlation compares the values at a rung with the final values: 1 means "
        "the same order, 0 no relation. It covers survivors only, since the final values of "
        "stopped trials are unknown. To replay the decisions under other rules, use "
        "<code>resweep decide</code>.</p>"
    )


def comparison_table(
    held: Held, rerun: PhaseResults, results: StudyResults, layout: Layout, links: Links
) -> str:
    """Return the configurations of a rerun beside those of its sources.

    A row stands for the best trial of its configuration in the rerun.
    """
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
        Row(
            [
                Cell(rerun.settings_text(pair.hyperparameters)),
                Cell(pair.source),
                Cell(pair.source_trial),
                _number(pair.source_rank),
                _value(pair.source_value),
                _number(pair.rank),
                Cell(pair.lost) if pair.lost else _spread(pair.value, pair.spread),
                *([_number(pair.error)] if errors else []),
                _number(None if pair.value is None else pair.value - pair.source_value, "+.4f"),
            ],
            kind="" if pair.value is not None else "lost",
            trial=pair.trials[0] if pair.trials else None,
        )
        for pair in held.pairs
    ]
    source = links.to(layout.phase(results.name, rerun.name).scores)
    tools = _tools(rerun, results, "comparison", layout, source, links)
    return f"{table(columns, rows, tools)}{_paragraphs(held_lines(held, rerun))}"


def decisions_table(
    phase: PhaseResults, results: StudyResults, layout: Layout, links: Links
) -> str:
    """Return what was kept, stopped and promoted, and why."""
    names = list(phase.decisions[0])
    columns = [
        Column(
            name.replace("_", " "),
            number=_are_numbers(row[name] for row in phase.decisions if row[name] != ""),
            name={"reason": "wide", "trial": TRIAL}.get(name, ""),
        )
        for name in names
    ]
    rows = [
        Row([_setting(row[name]) for name in names], trial=_text(row.get("trial")))
        for row in phase.decisions
    ]
    source = links.to(layout.phase(results.name, phase.name).decisions)
    return table(columns, rows, _tools(phase, results, "decisions", layout, source, links))


def certainty_tables(phase: PhaseResults, layout: Layout) -> str:
    """Return how sure the ranking is: by seeds, early in training, at a longer budget."""
    sure = certainty(phase, layout, top=3, factor=2.0)
    tables = [rank_table(sure, phase), sure.early and early_table(sure.early)]
    shown_tables = [one for one in (*tables, longer_table(sure, phase)) if one]
    if not shown_tables:
        return ""
    drawn = "".join(
        table(
            [Column(title) for title in titles],
            [Row([Cell(cell) for cell in row]) for row in rows],
        )
        for titles, rows in shown_tables
    )
    return fold("How sure is this ranking?", _paragraphs(certainty_lines(sure)) + drawn)


def _paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{escape(_sentence(line))}</p>" for line in lines)


def _sentence(line: str) -> str:
    return f"{line[:1].upper()}{line[1:]}."


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: float | None, spec: str | None = None, mark: str = "") -> Cell:
    """Return the cell of a number, by a format specification or to a few digits."""
    if value is None or math.isnan(value):
        return Cell("")
    text = shown(value) if spec is None else f"{value:{spec}}"
    return Cell(text, float(value) if math.isfinite(value) else None, mark)


def _value(value: float | None, mark: str = "") -> Cell:
    """Return the cell of a value of the metric."""
    if value is None or math.isnan(value):
        return Cell("")
    return Cell(value_text(value), value if math.isfinite(value) else None, mark)


def _are_numbers(values: Iterable[Any]) -> bool:
    kinds = {type(value) for value in values} - {type(None)}
    return kinds <= {int, float} or kinds == {bool}


def _spread(mean: float | None, spread: float | None) -> Cell:
    return Cell(spread_text(mean, spread), mean)


def _setting(value: Any) -> Cell:
    return _number(value) if isinstance(value, int | float) else Cell(shown(value))
