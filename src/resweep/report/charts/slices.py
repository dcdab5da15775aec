"""Slices through the search space: each swept hyperparameter against the final value."""

from resweep.plurals import setting_span_text
from resweep.report.charts.spec import CROSS, DOT, Drawn, chart, kept, layer, selectable
from resweep.report.charts.trial_rows import (
    HAS_FINAL,
    HAS_NO_FINAL,
    TrialRows,
    group_colour,
    group_shape,
)


def slice_chart(rows: TrialRows, path: str) -> Drawn | None:
    """Draw a swept hyperparameter against the final metric, one mark per trial.

    Trials without a final value are crosses at the upper edge. None if all values are equal, or if
    there are too many categories.
    """
    phase = rows.phase
    if not rows.can_be_drawn(path):
        return None
    x, y, tooltip = rows.axis(path), rows.value_axis(), rows.tooltip()
    has_value = f"datum.{rows.key(path)} !== null"
    look = {"x": x, "y": y, "color": group_colour(), "shape": group_shape(), "tooltip": tooltip}
    mark = DOT | {"type": "point", "filled": True}
    layers = []
    if phase.finals:
        layers.append(layer("trials", mark, look, **kept(f"{has_value} && {HAS_FINAL}")))
    if len(phase.finals) < len(phase.scores):
        lost = {"x": x, "y": {"value": 6}, "tooltip": tooltip}
        layers.append(layer("trials", CROSS, lost, **kept(f"{has_value} && {HAS_NO_FINAL}")))
    rings = [("trials", look)] if phase.finals else []
    return Drawn(
        title=f"Final {phase.metric} by {phase.label(path)}",
        spec=selectable(chart(layers, {}), phase.name, rings, trials=True, marks=len(phase.scores)),
        says=_says(rows, path),
    )


def _says(rows: TrialRows, path: str) -> str:
    """Say which values the best trials have, and which all have."""
    phase, label = rows.phase, rows.phase.label(path)
    done = [row for row in phase.scores if row.trial in phase.finals]
    known = [value for row in done if (value := row.hyperparameters.get(path)) is not None]
    lost = len(phase.scores) - len(phase.finals)
    crosses = f" Crosses: {lost} without a final value." if lost else ""
    if not known:
        return f"No trial has a final value.{crosses}"
    best = known[: max(1, round(len(known) / 4))]
    which = "best trial has" if len(best) == 1 else f"best {len(best)} trials have"
    if rows.is_numeric(path):
        has, all_have = setting_span_text(best), setting_span_text(known)
        text = f"The {which} {label} {has}; all {len(known)} with a value have {all_have}."
    else:
        first: dict[str, int] = {}
        for value in map(str, best):
            first[value] = first.get(value, 0) + 1
        common = max(first, key=lambda one: first[one])
        text = f"Of the best {len(best)}, {first[common]} have {label} {common}."
    return text + crosses + rows.beyond_line()
