"""What a rerun made of a ranking: values and ranks on both sides."""

from typing import Any

from resweep.ranking.held import Held
from resweep.report.charts.spec import DOT, Drawn, Spec, chart, field, layer, rounded, selectable
from resweep.report.charts.trial_rows import number_scale, rank_axis
from resweep.report.compare import held_lines
from resweep.report.results import PhaseResults

MOST_SAID = 2  # sentences below a chart


def rerun_charts(held: Held, rerun: PhaseResults) -> list[Drawn]:
    """Draw final values and ranks of a rerun over those of its sources; nothing without any."""
    found = [_values_chart(held, rerun), _ranks_chart(held, rerun)]
    return [one for one in found if one is not None]


def _values_chart(held: Held, rerun: PhaseResults) -> Drawn | None:
    """Draw a dot for each seed, a bar at the mean, and a line over its standard error."""
    finals = {row.trial: row.final for row in rerun.scores}
    dots: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
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
    scale = number_scale([dot["x"] for dot in dots], 30)
    heights = [dot["y"] for dot in dots] + [mean[end] for mean in means for end in ("low", "high")]
    if held.repeats:
        heights += [dot["x"] for dot in dots]
    sources = ", ".join(rerun.sources)
    x = field("x:Q", title=f"final value in {sources}", scale=scale, axis=axis)
    title = f"final {rerun.metric} in {rerun.name}"
    y = field("y:Q", title=title, scale=number_scale(heights, 20))
    about_both = [
        field("source:N", title="source"),
        field("config:N", title="configuration"),
        field("x:Q", title="value in source", format=".4f"),
        field("y:Q", title=f"{rerun.metric} in {rerun.name}", format=".4f"),
    ]
    about_dot = [field("t:N", title="trial"), *about_both]
    bar = {"type": "rule", "strokeWidth": 2, "style": "mean"}
    tick = {"type": "tick", "orient": "horizontal", "size": 30, "thickness": 2, "style": "mean"}
    place = {"x": x, "y": y}
    layers = [
        layer("means", bar, {"x": x, "y": field("low:Q", title=title), "y2": {"field": "high"}}),
        layer("means", tick, {**place, "tooltip": about_both}),
        layer("dots", DOT, {**place, "tooltip": about_dot}),
    ]
    data = {"dots": dots, "means": means}
    if held.repeats:  # equal settings: on the line, a rerun repeats its source
        before = [dot["x"] for dot in dots]
        data["equal"] = [{"x": value, "y": value} for value in (min(before), max(before))]
        line = {"type": "line", "strokeDash": [4, 4], "strokeWidth": 1, "style": "note"}
        layers.insert(0, layer("equal", line, place))
    said = [line for line in held_lines(held, rerun) if not line.startswith("order")]
    line_text = " On the dashed line, both values are equal." if held.repeats else ""
    return Drawn(
        title=f"{rerun.name} vs. {sources} (bars: mean over seeds ± its standard error)",
        spec=selectable(chart(layers, data), rerun.name, [("dots", place)], marks=2 * len(dots)),
        says=_sentences(said[:MOST_SAID]) + line_text,
    )


def _ranks_chart(held: Held, rerun: PhaseResults) -> Drawn | None:
    """Draw a line for each configuration from its rank in the source to that in the rerun."""
    known = [pair for pair in held.compared if pair.rank is not None]
    if len(known) < 2:
        return None
    before, after = ", ".join(rerun.sources), rerun.name
    rows = [
        {
            "c": pair.source_trial,
            "t": pair.trials[0] if pair.trials else None,
            "side": side,
            "rank": rank,
            "config": rerun.settings_text(pair.hyperparameters),
        }
        for at, pair in enumerate(known, 1)
        for side, rank in ((before, at), (after, pair.rank))
    ]
    place: Spec = {
        "x": field("side:N", title=None, sort=[before, after], axis={"labelAngle": 0}),
        "y": field("rank:Q", title="rank among these", **rank_axis(len(known))),
    }
    tooltip = [
        field("c:N", title="trial in source"),
        field("config:N", title="configuration"),
        field("rank:Q", title="rank"),
    ]
    lines = {"type": "line", "strokeWidth": 2, "opacity": 0.7}
    layers = [
        layer("ranks", lines, {**place, "detail": field("c:N")}),
        layer("ranks", DOT, {**place, "tooltip": tooltip}),
    ]
    order = [line for line in held_lines(held, rerun) if line.startswith("order")]
    return Drawn(
        title=f"Ranks in {before} and in {after}",
        spec=selectable(
            chart(layers, {"ranks": rows}), rerun.name, [("ranks", place)], marks=3 * len(known)
        ),
        says=f"{_sentences(order)} Lines that cross changed places.",
    )


def _sentences(lines: list[str]) -> str:
    return " ".join(f"{line[:1].upper()}{line[1:]}." for line in lines)
