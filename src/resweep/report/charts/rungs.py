"""Charts of the rungs of a sweep: who was stopped there, and how well that held."""

from typing import Any

from resweep.config.metric import sign_of
from resweep.report.charts.spec import (
    CROSS,
    DOT,
    Drawn,
    Spec,
    chart,
    field,
    layer,
    rounded,
    selectable,
)
from resweep.report.charts.trial_rows import number_scale, rank_axis
from resweep.report.results import PhaseResults
from resweep.search.rungs import STOP

END = "end"


def rungs_charts(phase: PhaseResults) -> list[Drawn]:
    """Draw ranks at each rung, and values at a rung against final values.

    Nothing without any value at a rung.
    """
    found = [_ranks_chart(phase), _held_chart(phase)]
    return [one for one in found if one is not None]


def _names(phase: PhaseResults) -> dict[int, str]:
    return {rung.rung: f"{rung.rung} (step {rung.steps_text})" for rung in phase.rung_summaries}


def _ranks_chart(phase: PhaseResults) -> Drawn | None:
    """Draw one line per trial: where lines cross, the order changed after a rung."""
    columns: dict[str, list[dict[str, Any]]] = {}
    names = _names(phase)
    for part in phase.rungs:
        columns.setdefault(names[part.rung], []).extend(
            {name: row[name] for name in ("trial", "value", "decision", "reason")}
            for row in part.rows
            if row["value"] is not None
        )
    if not any(columns.values()):
        return None
    columns[END] = [
        {"trial": trial, "value": final, "decision": END, "reason": ""}
        for trial, final in phase.finals.items()
    ]
    sign = sign_of(phase.goal)
    dots: list[dict[str, Any]] = [
        {
            "t": row["trial"],
            "x": name,
            "y": rank,
            "value": rounded(row["value"]),
            "decision": row["decision"],
            "reason": row["reason"],
        }
        for name, rows in columns.items()
        for rank, row in enumerate(sorted(rows, key=lambda r: (sign * r["value"], r["trial"])), 1)
    ]
    place = {
        "x": field("x:O", title="rung", sort=list(columns), axis={"labelAngle": 0}),
        "y": field("y:Q", title="rank", **rank_axis(max(dot["y"] for dot in dots))),
    }
    tooltip = [
        field("t:N", title="trial"),
        field("x:N", title="rung"),
        field("y:Q", title="rank"),
        field("value:Q", title=phase.metric, format=".4f"),
        field("decision:N"),
        field("reason:N"),
    ]
    line = {"type": "line", "strokeWidth": 1.5, "opacity": 0.5}
    layers = [
        layer("lines", line, {**place, "detail": field("t:N")}),
        layer("stayed", DOT | {"size": 60}, {**place, "tooltip": tooltip}),
        layer("stopped", CROSS, {**place, "tooltip": tooltip}),
    ]
    data = {
        "lines": [{name: dot[name] for name in ("t", "x", "y")} for dot in dots],
        "stayed": [dot for dot in dots if dot["decision"] != STOP],
        "stopped": [dot for dot in dots if dot["decision"] == STOP],
    }
    rings = [("stayed", place), ("stopped", place)]
    said = [
        f"rung {one.rung} (step {one.steps_text}) compared {one.compared} trials, promoted "
        f"{one.promoted} and stopped {one.stopped}"
        for one in phase.rung_summaries
    ]
    text = "; ".join(said)
    return Drawn(
        title="Rank at each rung",
        spec=selectable(chart(layers, data), phase.name, rings, marks=2 * len(dots)),
        says=f"{text[:1].upper()}{text[1:]}. Crosses were stopped, lines that cross changed "
        "places.",
    )


def _held_chart(phase: PhaseResults) -> Drawn | None:
    """Draw values at a rung against final values of the trials that have both."""
    names = _names(phase)
    dots: list[dict[str, Any]] = [
        {
            "t": row["trial"],
            "rung": names[part.rung],
            "x": rounded(row["value"]),
            "y": rounded(phase.finals[row["trial"]]),
        }
        for part in phase.rungs
        for row in part.rows
        if row["value"] is not None and row["trial"] in phase.finals
    ]
    if len(dots) < 3:
        return None
    about: Spec = {
        "x": field(
            "x:Q",
            title=f"{phase.metric} at the rung",
            scale=number_scale([dot["x"] for dot in dots], 10),
        ),
        "y": field(
            "y:Q",
            title=f"final {phase.metric}",
            scale=number_scale([dot["y"] for dot in dots], 10),
        ),
        "color": field("rung:N", title="rung", scale={"range": "category"}),
        "shape": field("rung:N", title="rung"),
        "tooltip": [
            field("t:N", title="trial"),
            field("rung:N", title="rung"),
            field("x:Q", title="value at the rung", format=".4f"),
            field("y:Q", title=f"final {phase.metric}", format=".4f"),
        ],
    }
    mark = {"type": "point", "filled": True, "size": 75, "opacity": 1, "style": "dot"}
    known = [one for one in phase.rung_summaries if one.correlation.correlation is not None]
    held = "; ".join(f"at rung {one.rung} it is {one.correlation}" for one in known)
    said = f"The rank correlation of values at the rung with final values: {held}. " if held else ""
    spec = chart([layer("dots", mark, about)], {"dots": dots})
    return Drawn(
        title="How well the rungs held",
        spec=selectable(spec, phase.name, [("dots", about)], marks=len(dots)),
        says=f"{said}Only survivors are here: what stopped trials would have reached is unknown.",
    )
