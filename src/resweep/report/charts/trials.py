"""The charts of a study's report, as Vega-Lite specifications.

The page sets the colours, one set for light and one for dark: a trial's rank is on the `ramp`
range, best first. All names are fixed, so that equal results give equal text.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from resweep.ranking.held import Held
from resweep.report.charts.spec import CROSS, DOT, Spec, chart, field, layer, rounded
from resweep.report.results import PhaseResults
from resweep.systems.values import Reference

MOST_POINTS = 40_000  # of all lines in one chart: a few megabytes of text
MOST_POINTS_A_LINE = 240
FEWEST_POINTS_A_LINE = 24
LOG_RATIO = 30.0  # positive hyperparameters that span more than this get a log axis
MOST_CATEGORIES = 20
CROWD = 40  # more lines than this are drawn translucent


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
) -> Spec | None:
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
    domain = [bottom - margin, ceiling + margin]
    place = {
        "x": field("x:Q", title="step", axis={"tickCount": 6}),
        "y": field("y:Q", title=None, scale={"domain": domain, "nice": False, "zero": False}),
        "detail": field("t:N"),
    }
    joined = {"data": {"name": "trials"}, "key": "t", "fields": fields}
    with_trials = {"transform": [{"lookup": "t", "from": joined}]}
    look = {
        "color": rank_colour(phase, _legend(phase)),
        "strokeWidth": {
            "condition": {"param": "hover", "empty": False, "value": 3.5},
            "value": 1.5,
        },
    }
    line = {"type": "line", "clip": True}
    drawn = line | {"opacity": 0.6 if len(known) > CROWD else 1.0}
    # Lines are thin: wider, invisible ones catch the pointer.
    target = line | {"strokeWidth": 10, "opacity": 0}
    on = {"on": "pointerover", "clear": "pointerout"}
    hover = {"name": "hover", "views": ["target"]}
    layers = [
        layer("lines", drawn, place | look, **with_trials),
        *(_reference_layers() if references else []),
        layer("lines", target, place | {"tooltip": tooltip}, name="target", **with_trials),
    ]
    data = {"lines": lines, "trials": trial_data(phase)}
    if references:
        data["references"] = [
            {"y": one.value, "label": f"{one.name} {one.value:.3f}"} for one in references
        ]
    select = {"type": "point", "fields": ["t"], **on}
    return chart(layers, data, params=[hover | {"select": select}])


def _reference_layers() -> list[Spec]:
    rule = {"type": "rule", "strokeDash": [5, 4], "style": "note"}
    words = {"type": "text", "align": "left", "baseline": "bottom", "dx": 4, "dy": -4}
    text = {"x": {"value": 0}, "y": field("y:Q"), "text": field("label:N")}
    # A rim in the page colour keeps labels readable over curves.
    return [
        layer("references", rule, {"y": field("y:Q")}),
        *(layer("references", words | {"style": s}, text) for s in ("note-rim", "note-text")),
    ]


def hyperparameter_chart(phase: PhaseResults, path: str) -> Spec | None:
    """Draw a swept hyperparameter against the final metric, one mark per trial.

    Trials without a final value are crosses at the upper edge. None if all values are equal, or if
    there are too many categories.
    """
    values = [row.hyperparameters.get(path) for row in phase.scores]
    present = [value for value in values if value is not None]
    numeric = not any(isinstance(value, str | bool) for value in present)
    if len(set(present)) < 2 or (not numeric and len(set(present)) > MOST_CATEGORIES):
        return None
    key = _key(phase, path)
    rows = [row for row in trial_data(phase) if row[key] is not None]
    title = phase.label(path)
    if numeric:
        scale = {"type": _axis_type(path, present), "zero": False, "nice": False, "padding": 14}
        axis = {"format": "~g", "tickCount": 5, "labelOverlap": True}
        x = field(f"{key}:Q", title=title, scale=scale, axis=axis)
    else:
        rows = [{**row, key: str(row[key])} for row in rows]
        x = field(f"{key}:N", title=title, axis={"labelAngle": 0})
    _, tooltip = trial_tooltip(phase)
    # The best come last, so that they are drawn on top.
    done = [row for row in rows[::-1] if row["final"] is not None]
    lost = [row for row in rows if row["final"] is None]
    layers = []
    if done:
        scale = {"zero": False, "padding": 10}
        y = field("final:Q", title=f"final {phase.metric}", scale=scale)
        colour = rank_colour(phase, None)
        layers.append(layer("done", DOT, {"x": x, "y": y, "color": colour, "tooltip": tooltip}))
    if lost:
        layers.append(layer("lost", CROSS, {"x": x, "y": {"value": 6}, "tooltip": tooltip}))
    return chart(layers, {"done": done, "lost": lost})


def rerun_chart(held: Held, rerun: PhaseResults) -> Spec | None:
    """Draw final values of a rerun over those of its sources.

    A dot for each seed, a bar at the mean, and a line over its standard error.
    """
    finals = {row.trial: row.final for row in rerun.scores}
    dots, means = [], []
    for pair in held.compared:
        about = {
            "x": rounded(pair.source_value),
            "source": f"{pair.source} trial {pair.source_trial}",
            "config": rerun.settings_text(pair.hyperparameters),
        }
        dots += [{**about, "t": trial, "y": rounded(finals[trial])} for trial in pair.trials]
        if pair.value is not None:
            error = pair.error or 0.0
            ends = {"low": rounded(pair.value - error), "high": rounded(pair.value + error)}
            means.append({**about, "y": rounded(pair.value), **ends})
    if not dots:
        return None
    axis = {"tickCount": 4, "labelOverlap": True}
    scale = {"zero": False, "padding": 30}
    x = field("x:Q", title=f"final value in {', '.join(rerun.sources)}", scale=scale, axis=axis)
    title = f"final {rerun.metric} in {rerun.name}"
    y = field("y:Q", title=title, scale={"zero": False, "padding": 20})
    about_both = [
        field("source:N", title="source"),
        field("config:N", title="configuration"),
        field("x:Q", title="value in source", format=".4f"),
        field("y:Q", title=f"{rerun.metric} in {rerun.name}", format=".4f"),
    ]
    about_dot = [field("t:N", title="trial"), *about_both]
    bar = {"type": "rule", "strokeWidth": 2, "style": "mean"}
    tick = {
        "type": "tick",
        "orient": "horizontal",
        "size": 30,
        "thickness": 2,
        "style": "mean",
    }
    layers = [
        layer("means", bar, {"x": x, "y": field("low:Q", title=title), "y2": {"field": "high"}}),
        layer("means", tick, {"x": x, "y": y, "tooltip": about_both}),
        layer("dots", DOT, {"x": x, "y": y, "tooltip": about_dot}),
    ]
    return chart(layers, {"dots": dots, "means": means})


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


def trial_tooltip(phase: PhaseResults) -> tuple[list[str], list[Spec]]:
    """Return the fields of `trial_data` that a tooltip shows besides the name, and the tooltip."""
    keys = {_key(phase, path): phase.label(path) for path in phase.hyperparameters}
    tooltip = [
        field("t:N", title="trial"),
        field("rank:Q", title="rank"),
        field("status:N", title="status"),
        field("final:Q", title=f"final {phase.metric}", format=".4f"),
        *(field(f"{key}:N", title=name) for key, name in keys.items()),
    ]
    return ["rank", "status", "final", *keys], tooltip


def _legend(phase: PhaseResults) -> Spec:
    """Return a legend with the best rank on top, as in the table."""
    last = _last_rank(phase)
    values = sorted({1, (last + 1) // 2, last})
    return {"title": "rank", "format": "d", "values": values, "gradientLength": 120}


def rank_colour(phase: PhaseResults, legend: Spec | None) -> Spec:
    """Return the colour of a trial by its rank."""
    # Reversed, since the first value of a scale is at the bottom of its legend.
    scale = {"domain": [_last_rank(phase), 1], "range": "ramp"}
    return field("rank:Q", scale=scale, legend=legend)


def _last_rank(phase: PhaseResults) -> int:
    return max(2, max(row.rank for row in phase.scores))


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
