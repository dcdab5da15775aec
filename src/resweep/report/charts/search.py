"""Charts of an adaptive sweep: decisions at its rungs, progress over its rounds."""

from typing import Any

import altair as alt

from resweep.config.metric import sign_of
from resweep.report.charts.trials import finish, rank_colour, rounded, trial_data, trial_tooltip
from resweep.report.results import PhaseResults
from resweep.search.rungs import STOP
from resweep.search.stages import round_of

END = "end"


def rungs_chart(phase: PhaseResults) -> dict[str, Any] | None:
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
    x = alt.X("x:O", title="rung", sort=list(columns), axis=alt.Axis(labelAngle=0))
    axis = alt.Axis(tickMinStep=1, format="d")
    y = alt.Y("y:Q", title="rank", axis=axis, scale=alt.Scale(reverse=True, zero=False))
    tooltip = [
        alt.Tooltip("t:N", title="trial"),
        alt.Tooltip("x:N", title="rung"),
        alt.Tooltip("y:Q", title="rank"),
        alt.Tooltip("value:Q", title=phase.metric, format=".4f"),
        alt.Tooltip("decision:N"),
        alt.Tooltip("reason:N"),
    ]
    lines = alt.Chart(alt.NamedData("lines")).mark_line(strokeWidth=1.5, opacity=0.5)
    stayed = alt.Chart(alt.NamedData("stayed")).mark_circle(size=60, opacity=1, style="dot")
    stopped = alt.Chart(alt.NamedData("stopped")).mark_point(
        shape="cross", angle=45, size=60, filled=True, style="lost"
    )
    layers = alt.layer(
        lines.encode(x=x, y=y, detail="t:N"),
        stayed.encode(x=x, y=y, tooltip=tooltip),
        stopped.encode(x=x, y=y, tooltip=tooltip),
    )
    data = {
        "lines": [{name: dot[name] for name in ("t", "x", "y")} for dot in dots],
        "stayed": [dot for dot in dots if dot["decision"] != STOP],
        "stopped": [dot for dot in dots if dot["decision"] == STOP],
    }
    return finish(layers, data)


def rounds_chart(phase: PhaseResults) -> dict[str, Any] | None:
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
    x = alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0))
    title = f"final {phase.metric}"
    dots = (
        alt.Chart(alt.NamedData("done"))
        .mark_circle(size=85, opacity=1, style="dot")
        .encode(
            x=x,
            y=alt.Y("final:Q", title=title).scale(zero=False, padding=10),
            color=rank_colour(phase, None),
            tooltip=trial_tooltip(phase)[1],
        )
    )
    line = (
        alt.Chart(alt.NamedData("best"))
        .mark_line(interpolate="step-after", strokeWidth=2, style="mean")
        .encode(x=x, y=alt.Y("y:Q", title=title).scale(zero=False, padding=10))
    )
    return finish(alt.layer(line, dots), {"best": so_far, "done": done[::-1]})
