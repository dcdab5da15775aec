"""The learning curves of a phase.

    Curve of each trial  ->  thinned points  ->  a chart to explore

The points are in the chart's `usermeta`; the page's script draws them, since smoothing, zooming and
axes are the reader's choice:

    curves  a list, worst trial first: name t, steps x, values y; `drawn` where its line is shown
            before it is selected
    ends    where trials ended early, and why
    whole   the range of all values; the first one shown is the scale's
    thinned whether a curve has fewer points here than were logged

With many trials only some are drawn at first, the best and others evenly spaced in the ranking.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from resweep.config.metric import sign_of
from resweep.plurals import alike, counted
from resweep.report.charts.curve_points import Curve, thin
from resweep.report.charts.spec import Drawn, Spec, chart, field, kept, layer, rounded
from resweep.report.charts.trial_rows import OTHERS, TOP, TrialRows
from resweep.report.results import PhaseResults
from resweep.systems.values import Reference
from resweep.trials.record import Status

MOST_DRAWN = 240  # lines
BEST_DRAWN = 20  # of them are the best
MOST_POINTS = 24_000  # of all drawn lines together
MOST_POINTS_A_LINE = 240
FEWEST_POINTS_A_LINE = 12  # also of lines that are only drawn when they are selected
HEIGHT = 300
SHOWN = 0.75  # of the ends are in the first view
FEW = 4  # ends are all in it
STEEP = 0.15  # of the steps: what the best trial had by then is at the edge of the first view
SQUASHED = 1.5  # the first view is the whole range unless that is this much larger
MOST_REASON = 200  # letters
SHAPES = {"stopped": "square", "diverged": "cross", "failed": "triangle-down"}


def curves_chart(
    rows: TrialRows, metric: str, curves: Sequence[Curve], references: Sequence[Reference] = ()
) -> Drawn | None:
    """Draw one line per trial over the steps; None without any point.

    Args:
        rows: The trials.
        metric: Which metric the curves are of.
        curves: Worst trial first, as `read_curves` returns them.
        references: Values to draw a line at.
    """
    phase = rows.phase
    known = [(c.trial, [p for p in c.points if math.isfinite(p[1])]) for c in curves]
    known = [(trial, points) for trial, points in known if points]
    if not known:
        return None
    drawn = _chosen([trial for trial, _ in known])
    limit = min(MOST_POINTS_A_LINE, MOST_POINTS // min(len(known), MOST_DRAWN))
    lines: list[dict[str, Any]] = []
    for trial, points in known:
        few = thin(points, limit if trial in drawn else FEWEST_POINTS_A_LINE)
        line = {"t": trial, "x": [x for x, _ in few], "y": [rounded(y) for _, y in few]}
        lines.append(line | ({"drawn": 1} if trial in drawn else {}))
    whole = _whole(known, phase, references)
    first = _first_view(known, phase, metric, whole, references)
    steps = [x for _, points in known for x, _ in (points[0], points[-1])]
    ends = list(_ends(dict(known), phase))
    return Drawn(
        title=metric,
        spec=_spec(
            metric,
            references,
            (min(steps), max(steps)),
            first,
            {end["how"] for end in ends},
            any(len(points) == 1 for _, points in known),
        )
        | {
            "usermeta": {
                "kind": "curves",
                "phase": phase.name,
                "metric": metric,
                "marks": sum(len(line["x"]) for line in lines if "drawn" in line),
                "curves": lines,
                "ends": ends,
                "steps": [min(steps), max(steps)],
                "whole": list(whole),
                "first": list(first),
                "thinned": any(
                    len(line["x"]) < len(points)
                    for line, (_, points) in zip(lines, known, strict=True)
                ),
                "positive": min(y for _, points in known for _, y in points) > 0,
            }
        },
        says=_says(rows, metric, curves, drawn, limit, len(ends), first != whole),
        wide=True,
    )


def _chosen(trials: Sequence[str]) -> set[str]:
    """Return the trials that are drawn at first; they come worst first."""
    if len(trials) <= MOST_DRAWN:
        return set(trials)
    others = trials[:-BEST_DRAWN]
    every = len(others) / (MOST_DRAWN - BEST_DRAWN)
    spread = (others[int(at * every)] for at in range(MOST_DRAWN - BEST_DRAWN))
    return {*trials[-BEST_DRAWN:], *spread}


def _whole(
    known: Sequence[tuple[str, list[tuple[int, float]]]],
    phase: PhaseResults,
    references: Iterable[Reference],
) -> tuple[float, float]:
    """Return the range of all values; a diverged trial would squash all others into one line."""
    finished = [v for trial, points in known if trial in phase.finals for _, v in points]
    values = finished or [v for _, points in known for _, v in points]
    values += [reference.value for reference in references]
    margin = 0.04 * (max(values) - min(values)) or 0.1
    return min(values) - margin, max(values) + margin


def _first_view(
    known: Sequence[tuple[str, list[tuple[int, float]]]],
    phase: PhaseResults,
    metric: str,
    whole: tuple[float, float],
    references: Iterable[Reference],
) -> tuple[float, float]:
    """Return the range in which the trials are told apart, without the first steep part.

    It holds the ends of three quarters of the trials, or of all if they are few; what the best had
    after STEEP of its steps; and references that are not far away.
    """
    goal = phase.goal if metric == phase.metric else phase.score.early_goal
    sign = sign_of(goal)
    finished = [points for trial, points in known if trial in phase.finals]
    if len(finished) < 2:
        return whole
    ends = sorted(sign * points[-1][1] for points in finished)
    best = finished[-1]
    late = [sign * y for x, y in best if x >= best[0][0] + STEEP * (best[-1][0] - best[0][0])]
    values = [
        min(sign * y for points in finished for _, y in points),
        ends[max(min(FEW, len(ends)), math.ceil(SHOWN * len(ends))) - 1],
        late[0],
    ]
    length = max(values) - min(values)
    near = min(values) - length, max(values) + length
    values += [v for one in references if near[0] <= (v := sign * one.value) <= near[1]]
    margin = 0.06 * (max(values) - min(values)) or 0.1
    low, high = sorted((sign * (min(values) - margin), sign * (max(values) + margin)))
    low, high = max(low, whole[0]), min(high, whole[1])
    return whole if whole[1] - whole[0] < SQUASHED * (high - low) else (low, high)


def _ends(
    known: dict[str, list[tuple[int, float]]], phase: PhaseResults
) -> Iterator[dict[str, Any]]:
    """Yield where the trials that did not finish ended."""
    for row in phase.scores:
        if row.status != Status.FINISHED and row.trial in known:
            step, value = known[row.trial][-1]
            reason = f": {row.stop_reason}" if row.stop_reason else ""
            yield {
                "t": row.trial,
                "x": step,
                "y": rounded(value),
                "how": str(row.status),
                "why": f"{row.status} at step {row.step:,}{reason}"[:MOST_REASON],
            }


def _spec(
    metric: str,
    references: Sequence[Reference],
    steps: tuple[int, int],
    first: tuple[float, float],
    ended: Collection[str],
    has_dots: bool,
) -> Spec:
    """Return the chart without its lines, which the page's script adds."""

    def domain(axis: str) -> list[Spec]:
        return [{"expr": f"{axis}0"}, {"expr": f"{axis}1"}]

    flat = {"nice": False, "zero": False}
    place = {
        "x": field(
            "x:Q", title="step", axis={"tickCount": 6}, scale=flat | {"domain": domain("x")}
        ),
        "y": field("y:Q", title=metric, scale=flat | {"domain": domain("y")}),
    }
    groups = [*TOP, OTHERS]
    legend = {
        "title": "rank", "symbolType": "stroke", "symbolOpacity": 1, "symbolStrokeWidth": 2.5
    }  # fmt: skip
    colour = field("g:N", scale={"domain": groups, "range": "category"}, legend=legend)
    dashes: list[list[int]] = [[1, 0], [7, 3], [2, 2], [1, 0]]
    dash = field("g:N", scale={"domain": groups, "range": dashes}, legend=legend)
    look = {**place, "detail": field("t:N"), "color": colour, "strokeDash": dash}
    line = {"type": "line", "clip": True}
    present = [how for how in SHAPES if how in ended]
    shapes = {"domain": present, "range": [SHAPES[how] for how in present]}
    how = field("how:N", scale=shapes, legend={"title": "ended early"} if ended else None)
    thin_or_not = {"condition": {"test": "datum.g === 'others'", "value": 1}, "value": 2.2}
    dot = {"type": "circle", "size": 45, "opacity": 1}
    end = {"type": "point", "filled": True, "size": 45, "opacity": 1, "style": "lost"}
    why = [field("t:N", title="trial"), field("why:N", title="ended")]
    return chart(
        [
            layer("raw", line | {"opacity": 0.25, "strokeWidth": 1}, look),
            layer("lines", line, look | {"strokeWidth": thin_or_not}),
            # A curve with one value has no line.
            *([layer("dots", dot, {**place, "color": colour})] if has_dots else []),
            *(_reference_layers(place["y"]["scale"]) if references else []),
            layer(
                "chosen",
                line | {"strokeWidth": 3, "style": "chosen"},
                {**place, "detail": field("t:N")},
            ),
            layer("ends", end, {**place, "shape": how, "tooltip": why}),
            layer("cursor", {"type": "rule", "style": "note"}, {"x": place["x"]}),
            layer("cursor", {"type": "circle", "size": 60, "style": "chosen"}, place),
        ],
        {
            "references": [
                {"y": one.value, "label": f"{one.name} {one.value:.3f}"} for one in references
            ]
        }
        if references
        else {},
        height=HEIGHT,
        params=[
            {"name": "x0", "value": steps[0]},
            {"name": "x1", "value": steps[1]},
            {"name": "y0", "value": first[0]},
            {"name": "y1", "value": first[1]},
        ],
    )


def _reference_layers(scale: Spec) -> list[Spec]:
    rule = {"type": "rule", "strokeDash": [5, 4], "style": "note"}
    words = {"type": "text", "align": "left", "baseline": "bottom", "dx": 4, "dy": -4}
    y = field("y:Q", scale=scale)
    text = {"x": {"value": 0}, "y": y, "text": field("label:N")}
    # One out of range would be drawn far below the axis, and make the chart as tall.
    inside = kept("datum.y >= y0 && datum.y <= y1")
    # A rim in the page colour keeps labels readable over curves.
    return [
        layer("references", rule, {"y": y}, **inside),
        *(
            layer("references", words | {"style": style}, text, **inside)
            for style in ("note-rim", "note-text")
        ),
    ]


def _says(
    rows: TrialRows,
    metric: str,
    curves: Sequence[Curve],
    drawn: set[str],
    limit: int,
    ended: int,
    is_cut: bool,
) -> str:
    phase = rows.phase
    best = phase.best[0] if phase.best else None
    of = {curve.trial: curve.points for curve in curves}
    said = []
    if best is not None and best.trial in of:
        (first, start), (last, end) = of[best.trial][0], of[best.trial][-1]
        values = alike((start, end))
        said.append(
            f"Rank 1, trial {best.trial}, went from {values[0]} at step {first:,} to {values[1]} "
            f"at step {last:,}"
            if first < last
            else f"Rank 1, trial {best.trial}, has one value, {values[0]} at step {first:,}"
        )
    if ended:
        said.append(f"{counted(ended, 'trial')} ended early, at the marks")
    text = "; ".join(said) or f"{counted(len(of), 'curve')} of {metric}"
    if is_cut:
        text += ". The axis covers the values where trials can be told apart"
        text += ", and marks beyond it are drawn at its edge" if ended else ""
        text += "; Whole range shows the rest"
    if len(drawn) < len(of):
        text += (
            f". {len(drawn)} of {len(of):,} curves are drawn, the best {BEST_DRAWN} and others "
            "evenly spaced in the ranking; selected ones are added"
        )
    if any(len(points) > limit for points in of.values()):
        text += f". Curves are thinned to {limit} points, which keep the extremes"
    return f"{text}."
