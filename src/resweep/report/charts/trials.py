"""The charts of a study's report, as Vega-Lite specifications.

The page sets the colours, one set for light and one for dark: a trial's rank is on the `ramp`
range, best first. All names are fixed, so that equal results give equal text.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from resweep.report.compare import Comparison
from resweep.report.results import PhaseResults
from resweep.systems.values import Reference

MOST_POINTS = 40_000  # of all lines in one chart: a few megabytes of text
MOST_POINTS_A_LINE = 240
FEWEST_POINTS_A_LINE = 24
LOG_RATIO = 30.0  # positive hyperparameters that span more than this get a log axis
MOST_CATEGORIES = 20
CROWD = 40  # more lines than this are drawn translucent
HEIGHT = 260


@dataclass(frozen=True)
class Curve:
    """A trial's values of one metric: (step, value), sorted by step."""

    trial: str
    points: list[tuple[int, float]]


def thin(points: Sequence[tuple[int, float]], limit: int) -> list[tuple[int, float]]:
    """Thin out a curve to about `limit` points.

    Keeps both ends, and the minimum and maximum of each stretch between them, so that spikes stay
    visible.
    """
    if len(points) <= limit:
        return list(points)
    inner = range(1, len(points) - 1)
    stretches = max(1, (limit - 2) // 2)
    kept = {0, len(points) - 1}
    for part in range(stretches):
        start = part * len(inner) // stretches
        stretch = inner[start : (part + 1) * len(inner) // stretches]
        kept |= {min(stretch, key=lambda i: points[i][1]), max(stretch, key=lambda i: points[i][1])}
    return [points[i] for i in sorted(kept)]


def curves_chart(
    phase: PhaseResults, curves: Iterable[Curve], references: Sequence[Reference] = ()
) -> dict[str, Any] | None:
    """Draw one line per trial over the steps; None without any point.

    Args:
        phase: For ranks and hyperparameters.
        curves: Of one metric.
        references: Values to draw a line at.
    """
    known = [(c.trial, [p for p in c.points if math.isfinite(p[1])]) for c in curves]
    known = [(trial, points) for trial, points in known if points]
    if not known:
        return None
    limit = max(FEWEST_POINTS_A_LINE, min(MOST_POINTS_A_LINE, MOST_POINTS // len(known)))
    lines: list[dict[str, Any]] = [
        {"t": trial, "x": step, "y": rounded(value)}
        for trial, points in known
        for step, value in thin(points, limit)
    ]
    top = [v for trial, points in known if trial in phase.finals for _, v in points]
    # Diverged trials would squash all others into one line.
    ceiling = max(top) if top else max(row["y"] for row in lines)
    bottom = min(row["y"] for row in lines)
    bottom = min([bottom, *(reference.value for reference in references)])
    ceiling = max([ceiling, *(reference.value for reference in references)])
    margin = 0.04 * (ceiling - bottom) or 0.1
    fields, tooltip = trial_tooltip(phase)
    hover = alt.selection_point(
        name="hover", fields=["t"], on="pointerover", clear="pointerout", empty=False
    )
    base = (
        alt.Chart(alt.NamedData("lines"))
        .transform_lookup(lookup="t", from_=alt.LookupData(alt.NamedData("trials"), "t", fields))
        .encode(
            x=alt.X("x:Q", title="step", axis=alt.Axis(tickCount=6)),
            y=alt.Y("y:Q", title=None).scale(
                domain=[bottom - margin, ceiling + margin], nice=False, zero=False
            ),
            detail="t:N",
        )
    )
    crowded = len(known) > CROWD
    drawn = base.mark_line(clip=True, opacity=0.6 if crowded else 1.0).encode(
        color=rank_colour(phase, _legend(phase)),
        strokeWidth=alt.condition(hover, alt.value(3.5), alt.value(1.5)),
    )
    # Lines are thin: wider, invisible ones catch the pointer.
    target = (
        base.mark_line(clip=True, strokeWidth=10, opacity=0)
        .encode(tooltip=tooltip)
        .properties(name="target")
        .add_params(hover)
    )
    layers: list[Any] = [drawn]
    data = {"lines": lines, "trials": trial_data(phase)}
    if references:
        layers += _reference_layers()
        data["references"] = [
            {"y": one.value, "label": f"{one.name} {one.value:.3f}"} for one in references
        ]
    return finish(alt.layer(*layers, target), data)


def _reference_layers() -> list[Any]:
    data = alt.NamedData("references")
    rule = alt.Chart(data).mark_rule(strokeDash=[5, 4], style="note").encode(y="y:Q")
    # A rim in the page colour keeps labels readable over curves.
    words = [
        alt.Chart(data)
        .mark_text(align="left", baseline="bottom", dx=4, dy=-4, style=style)
        .encode(y="y:Q", x=alt.value(0), text="label:N")
        for style in ("note-rim", "note-text")
    ]
    return [rule, *words]


def hyperparameter_chart(phase: PhaseResults, path: str) -> dict[str, Any] | None:
    """Draw a swept hyperparameter against the final metric, one mark per trial.

    Trials without a final value are crosses at the upper edge. None if all values are equal, or if
    there are too many categories.
    """
    values = [row.hyperparameters.get(path) for row in phase.scores]
    present = [value for value in values if value is not None]
    numeric = not any(isinstance(value, str | bool) for value in present)
    if len(set(present)) < 2 or (not numeric and len(set(present)) > MOST_CATEGORIES):
        return None
    field = _key(phase, path)
    rows = [row for row in trial_data(phase) if row[field] is not None]
    if numeric:
        scale = alt.Scale(type=_axis_type(path, present), zero=False, nice=False, padding=14)
        axis = alt.Axis(format="~g", tickCount=5, labelOverlap=True)
        x = alt.X(f"{field}:Q", title=phase.label(path), scale=scale, axis=axis)
    else:
        rows = [{**row, field: str(row[field])} for row in rows]
        x = alt.X(f"{field}:N", title=phase.label(path), axis=alt.Axis(labelAngle=0))
    _, tooltip = trial_tooltip(phase)
    # The best come last, so that they are drawn on top.
    done = [row for row in rows[::-1] if row["final"] is not None]
    lost = [row for row in rows if row["final"] is None]
    layers = []
    if done:
        y = alt.Y("final:Q", title=f"final {phase.metric}").scale(zero=False, padding=10)
        layers.append(
            alt.Chart(alt.NamedData("done"))
            .mark_circle(size=85, opacity=1, style="dot")
            .encode(x=x, y=y, color=rank_colour(phase, None), tooltip=tooltip)
        )
    if lost:
        layers.append(
            alt.Chart(alt.NamedData("lost"))
            .mark_point(shape="cross", angle=45, size=60, filled=True, style="lost")
            .encode(x=x, y=alt.value(6), tooltip=tooltip)
        )
    return finish(alt.layer(*layers), {"done": done, "lost": lost})


def rerun_chart(
    source: PhaseResults, rerun: PhaseResults, compared: Sequence[Comparison]
) -> dict[str, Any] | None:
    """Draw final values of the rerun over those of the sweep.

    A dot for each seed, a bar at the mean, and a line over its standard error.
    """
    finals = {row.trial: row.final for row in rerun.scores}
    dots, means = [], []
    for pair in compared:
        about = {
            "x": rounded(pair.source_final),
            "source": pair.source_trial,
            "config": source.settings_text(pair.hyperparameters),
        }
        dots += [
            {**about, "t": trial, "y": rounded(finals[trial])}
            for trial in pair.trials
            if rounded(finals[trial]) is not None
        ]
        if pair.final is not None:
            error = pair.error or 0.0
            ends = {"low": rounded(pair.final - error), "high": rounded(pair.final + error)}
            means.append({**about, "y": rounded(pair.final), **ends})
    if not dots:
        return None
    x = alt.X("x:Q", title=f"final {source.metric} in {source.name}").scale(zero=False, padding=30)
    x = x.axis(tickCount=4, labelOverlap=True)
    title = f"final {rerun.metric} in {rerun.name}"
    y = alt.Y("y:Q", title=title).scale(zero=False, padding=20)
    about_both = [
        alt.Tooltip("source:N", title=f"{source.name} trial"),
        alt.Tooltip("config:N", title="configuration"),
        alt.Tooltip("x:Q", title=f"{source.metric} in {source.name}", format=".4f"),
        alt.Tooltip("y:Q", title=f"{rerun.metric} in {rerun.name}", format=".4f"),
    ]
    points = (
        alt.Chart(alt.NamedData("dots"))
        .mark_circle(size=85, opacity=1, style="dot")
        .encode(x=x, y=y, tooltip=[alt.Tooltip("t:N", title="trial"), *about_both])
    )
    ticks = (
        alt.Chart(alt.NamedData("means"))
        .mark_tick(orient="horizontal", size=30, thickness=2, style="mean")
        .encode(x=x, y=y, tooltip=about_both)
    )
    errors = (
        alt.Chart(alt.NamedData("means"))
        .mark_rule(strokeWidth=2, style="mean")
        .encode(x=x, y=alt.Y("low:Q", title=title), y2="high:Q")
    )
    return finish(alt.layer(errors, ticks, points), {"dots": dots, "means": means})


def _axis_type(path: str, values: Sequence[float]) -> Literal["log", "linear"]:
    positive = min(values) > 0
    wide = positive and max(values) / min(values) >= LOG_RATIO
    return "log" if positive and (wide or path.endswith("learning_rate")) else "linear"


def _key(phase: PhaseResults, path: str) -> str:
    """Return a field name for a hyperparameter: Vega reads dots as paths."""
    return f"h{phase.hyperparameters.index(path)}"


def trial_data(phase: PhaseResults) -> list[dict[str, Any]]:
    """Return the data of each trial that charts show."""
    keys = [_key(phase, path) for path in phase.hyperparameters]
    return [
        {
            "t": row.trial,
            "rank": row.rank,
            "status": row.status,
            "final": rounded(row.final),
            **{
                key: _finite(row.hyperparameters.get(path))
                for key, path in zip(keys, phase.hyperparameters, strict=True)
            },
        }
        for row in phase.scores
    ]


def trial_tooltip(phase: PhaseResults) -> tuple[list[str], list[alt.Tooltip]]:
    """Return the fields of `trial_data` that a tooltip shows besides the name, and the tooltip."""
    keys = {_key(phase, path): phase.label(path) for path in phase.hyperparameters}
    tooltip = [
        alt.Tooltip("t:N", title="trial"),
        alt.Tooltip("rank:Q", title="rank"),
        alt.Tooltip("status:N", title="status"),
        alt.Tooltip("final:Q", title=f"final {phase.metric}", format=".4f"),
        *(alt.Tooltip(f"{key}:N", title=name) for key, name in keys.items()),
    ]
    return ["rank", "status", "final", *keys], tooltip


def _legend(phase: PhaseResults) -> alt.Legend:
    """Return a legend with the best rank on top, as in the table."""
    last = _last_rank(phase)
    values = sorted({1, (last + 1) // 2, last})
    return alt.Legend(title="rank", format="d", values=values, gradientLength=120)


def rank_colour(phase: PhaseResults, legend: alt.Legend | None) -> alt.Color:
    """Return the colour of a trial by its rank."""
    # Reversed, since the first value of a scale is at the bottom of its legend.
    scale = alt.Scale(domain=[_last_rank(phase), 1], range="ramp")
    return alt.Color("rank:Q", scale=scale, legend=legend)


def _last_rank(phase: PhaseResults) -> int:
    return max(2, max(row.rank for row in phase.scores))


def finish(chart: Any, data: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return a chart's specification, with its data by name.

    Adding the data afterwards saves Altair's check of each value: half a minute for a few hundred
    trials.
    """
    content: dict[str, Any] = chart.properties(width="container", height=HEIGHT).to_dict()
    content.pop("config")  # the page has its own
    return content | {"datasets": data}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rounded(value: float | None) -> float | None:
    """Round a value to six digits; None if it is not a finite number."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
