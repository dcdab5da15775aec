"""Parallel coordinates: every swept hyperparameter and the final value as an upright axis.

The lines are drawn by the page's script from the rows of the phase, since the reader brushes the
axes: `usermeta.axes` says how each is scaled. What all brushes hold is selected in the whole page.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from resweep.ranking.score_row import value_text
from resweep.ranking.trial_result import SEED
from resweep.report.charts.spec import Drawn, Spec, chart, field, kept, layer
from resweep.report.charts.trial_rows import TrialRows
from resweep.report.results import shown

MOST_AXES = 12
MOST_LINES = 400
MOST_NAMED = 4  # hyperparameters of rank 1
HEIGHT = 320
TICKS = 5
WIDE_LABEL = 130  # points


def parallel_chart(rows: TrialRows) -> Drawn | None:
    """Draw one line per trial over its hyperparameters; None for fewer than two that differ."""
    phase = rows.phase
    paths = [path for path in phase.hyperparameters if path != SEED and rows.can_be_drawn(path)]
    if len(paths) < 2 or len(phase.finals) < 2:
        return None
    left_out = len(paths) - MOST_AXES
    axes = [_axis(rows, path) for path in paths[:MOST_AXES]]
    axes.append(_value_axis(rows))
    labels = [{"at": at, "label": axis["label"]} for at, axis in enumerate(axes)]
    ticks = [
        {"at": at, "y": tick["y"], "text": tick["text"]}
        for at, axis in enumerate(axes)
        for tick in axis["ticks"]
    ]
    x = field(
        "at:Q",
        axis=None,
        scale={"domain": [-0.35, len(axes) - 0.65], "nice": False, "zero": False},
    )
    y = field("y:Q", axis=None, scale={"domain": [-0.08, 1.14], "nice": False, "zero": False})
    colour = field("rank:Q", scale={"domain": [max(2, len(phase.finals)), 1], "range": "ramp"},
                   legend={"title": "rank", "format": "d", "gradientLength": 120})  # fmt: skip
    look = {"x": x, "y": y, "detail": field("t:N")}
    words = {"type": "text", "fontSize": 11, "limit": WIDE_LABEL}
    layers = [
        layer("labels", {"type": "rule", "style": "note"}, {
            "x": x, "y": {"value": HEIGHT * 0.115}, "y2": {"value": HEIGHT * 0.934}
        }),
        layer("lines", {"type": "line", "strokeWidth": 1.4, "opacity": 0.75}, {
            **look, "color": colour
        }),
        layer("chosen", {"type": "line", "strokeWidth": 2.4, "style": "chosen"}, look),
        layer("brushes", {"type": "bar", "size": 16, "opacity": 0.3}, {
            "x": x, "y": field("low:Q", axis=None), "y2": {"field": "high"}
        }),
        *(
            layer("ticks", words | {"align": "left", "dx": 5, "style": s}, {
                "x": x, "y": y, "text": field("text:N")
            })
            for s in ("note-rim", "note-text")
        ),
        *_names(x, len(axes)),
    ]  # fmt: skip
    spec = chart(layers, {"labels": labels, "ticks": ticks}, height=HEIGHT)
    spec["usermeta"] = {
        "kind": "parallel",
        "phase": phase.name,
        "axes": axes,
        "most": MOST_LINES,
        "marks": min(MOST_LINES, len(phase.scores)) * len(axes),
    }
    lines = len(phase.finals)
    which = (
        f"{MOST_LINES} of {lines:,} trials with a final value are drawn, the best and others "
        "evenly spaced in the ranking"
        if lines > MOST_LINES
        else f"All {lines} trials with a final value are drawn"
    )
    more = f" {left_out} more hyperparameters have no axis." if left_out > 0 else ""
    return Drawn(
        title="All hyperparameters together",
        spec=spec,
        says=f"{_best(rows, paths)}{which}; the stronger the colour, the better the rank. Drag "
        "along an axis to select the trials in a range; ranges on several axes select the trials "
        f"that are in all.{more}",
        wide=True,
    )


def _best(rows: TrialRows, paths: Sequence[str]) -> str:
    """Return a sentence about the values of rank 1; empty without any."""
    phase = rows.phase
    if not phase.best or phase.best[0].trial not in phase.finals:
        return ""
    row = phase.best[0]
    settings = phase.settings_text({p: row.hyperparameters.get(p) for p in paths[:MOST_NAMED]})
    more = len(paths) - MOST_NAMED
    rest = f" and {more} more" if more > 0 else ""
    return (
        f"Rank 1, trial {row.trial}, has {settings}{rest}, with a final {phase.metric} of "
        f"{value_text(phase.finals[row.trial])}. "
    )


def _names(x: Spec, axes: int) -> Iterator[Spec]:
    """Yield layers with the names of the axes; where these are close, on two lines."""
    limit = {"expr": f"max(1.9 * width / {axes}, 40)"}
    for odd, up in ((0, 0), (1, {"expr": f"width < {WIDE_LABEL * axes} ? -15 : 0"})):
        mark = {"type": "text", "fontSize": 12, "limit": limit, "dy": up, "style": "note-text"}
        place = {"x": x, "y": {"value": HEIGHT * 0.06}, "text": field("label:N")}
        yield layer("labels", mark, place, **kept(f"datum.at % 2 === {odd}"))


def _axis(rows: TrialRows, path: str) -> dict[str, Any]:
    axis: dict[str, Any] = {"key": rows.key(path), "label": rows.phase.label(path)}
    if not rows.is_numeric(path):
        names = list(dict.fromkeys(map(str, rows.values(path))))
        places = {name: (at + 0.5) / len(names) for at, name in enumerate(sorted(names))}
        ticks = [{"y": place, "text": name} for name, place in places.items()]
        return axis | {"places": places, "ticks": ticks}
    values = rows.values(path)
    low, high = min(values), max(values)
    return axis | _scaled(low, high, rows.scale_type(path) == "log", flip=False)


def _value_axis(rows: TrialRows) -> dict[str, Any]:
    """Return the axis of the final value, the better end on top."""
    phase = rows.phase
    low, high = rows.reach or (min(phase.finals.values()), max(phase.finals.values()))
    about = {"key": "final", "label": f"final {phase.metric}"}
    return about | _scaled(low, high, False, flip=phase.goal == "minimize")


def _scaled(low: float, high: float, log: bool, *, flip: bool) -> dict[str, Any]:
    ticks = []
    for at in range(TICKS):
        part = at / (TICKS - 1)
        value = low * (high / low) ** part if log else low + (high - low) * part
        ticks.append({"y": 1 - part if flip else part, "text": shown(value, 3)})
    return {"low": low, "high": high, "log": log, "flip": flip, "ticks": ticks}
