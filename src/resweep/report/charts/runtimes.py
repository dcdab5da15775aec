"""How long the trials took."""

import statistics

from resweep.plurals import counted, measured_duration
from resweep.report.charts.spec import CROSS, DOT, Drawn, chart, field, kept, layer, selectable
from resweep.report.charts.trial_rows import (
    HAS_FINAL,
    HAS_NO_FINAL,
    TrialRows,
    group_colour,
    number_scale,
)


def runtimes_chart(rows: TrialRows) -> Drawn | None:
    """Draw final values over training times; None for fewer than three times."""
    phase = rows.phase
    timed = [row for row in rows.rows if row["seconds"]]
    if len(timed) < 3:
        return None
    times = [row["seconds"] for row in timed]
    axis, scale = {"tickCount": 6, "format": "~g"}, number_scale([0, *times], 0)
    x = field("seconds:Q", title="seconds of training", axis=axis, scale=scale)
    tooltip = [*rows.tooltip(), field("seconds:Q", title="seconds"), field("step:Q", title="steps")]
    layers = []
    y = rows.value_axis()
    dots = {"x": x, "y": y, "color": group_colour(), "tooltip": tooltip}
    if phase.finals:
        layers.append(layer("trials", DOT, dots, **kept(f"datum.seconds && {HAS_FINAL}")))
    if any(row["final"] is None for row in timed):
        lost = {"x": x, "y": {"value": 6}, "tooltip": tooltip}
        layers.append(layer("trials", CROSS, lost, **kept(f"datum.seconds && {HAS_NO_FINAL}")))
    rings = [("trials", dots)] if phase.finals else []
    slowest = max(timed, key=lambda row: row["seconds"])
    speeds = [row["step"] / row["seconds"] for row in timed if row["step"]]
    pace = f", {statistics.median(speeds):.3g} steps a second" if speeds else ""
    return Drawn(
        title="Training time",
        spec=selectable(chart(layers, {}), phase.name, rings, trials=True, marks=len(timed)),
        says=(
            f"{counted(len(timed), 'trial')} trained for {measured_duration(sum(times))} together, "
            f"{measured_duration(statistics.median(times))} at the median{pace}; the longest, "
            f"trial {slowest['t']}, took {measured_duration(slowest['seconds'])}."
        ),
    )
