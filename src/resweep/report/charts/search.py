"""Charts of an adaptive sweep: decisions at its rungs, progress over its rounds."""

from typing import Any

from resweep.config.metric import sign_of
from resweep.report.charts.spec import CROSS, DOT, Spec, chart, field, layer, rounded
from resweep.report.charts.trials import rank_colour, trial_data, trial_tooltip
from resweep.report.results import PhaseResults
from resweep.search.rungs import STOP
from resweep.search.stages import round_of

END = "end"


def rungs_chart(phase: PhaseResults) -> Spec | None:
    """Ranks at each rung, over all rounds, and at the end; None without any value at a rung.

    One line per trial: where lines cross, the order changed after a rung. Crosses were stopped.
    """
    columns: dict[str, list[dict[str, Any]]] = {}
    names = {rung.rung: f"{rung.rung} (step {rung.steps_text})" for rung in phase.rung_summaries}
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
    axis = {"tickMinStep": 1, "format": "d"}
    place = {
        "x": field("x:O", title="rung", sort=list(columns), axis={"labelAngle": 0}),
        "y": field("y:Q", title="rank", axis=axis, scale={"reverse": True, "zero": False}),
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
    return chart(layers, data)


def rounds_chart(phase: PhaseResults) -> Spec | None:
    """Final values by round, and the best so far; None for a sweep without rounds."""
    if phase.rounds is None or not phase.finals:
        return None
    done = [
        row | {"round": round_of(row["t"])} for row in trial_data(phase) if row["t"] in phase.finals
    ]
    best = max if phase.goal == "maximize" else min
    so_far = [
        {"round": number, "y": best(row["final"] for row in done if row["round"] <= number)}
        for number in range(min(row["round"] for row in done), phase.rounds + 1)
    ]
    x = field("round:O", title="round", axis={"labelAngle": 0})
    look = {"title": f"final {phase.metric}", "scale": {"zero": False, "padding": 10}}
    step = {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "style": "mean"}
    dots = {
        "x": x,
        "y": field("final:Q", **look),
        "color": rank_colour(phase, None),
        "tooltip": trial_tooltip(phase)[1],
    }
    layers = [layer("best", step, {"x": x, "y": field("y:Q", **look)}), layer("done", DOT, dots)]
    return chart(layers, {"best": so_far, "done": done[::-1]})
