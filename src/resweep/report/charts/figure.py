"""Charts of the figures that a system adds to the report."""

from resweep.report.charts.spec import Drawn, Spec, chart, field, layer, rounded
from resweep.systems.values import Figure


def figure_chart(figure: Figure) -> Drawn | None:
    """Draw a figure: one line or group of bars per series; None without any point."""
    rows = [
        {"s": name, "x": rounded(x) if isinstance(x, float) else x, "y": rounded(y)}
        for name, points in figure.series.items()
        for x, y in points
    ]
    if not rows:
        return None
    numbers = all(not isinstance(row["x"], str) for row in rows)
    bars = figure.kind == "bars"
    tooltip = [field("x:Q" if numbers else "x:N", title=figure.x), field("y:Q", title=figure.y)]
    encoding: Spec = {
        "x": field("x:Q" if numbers and not bars else "x:N", title=figure.x, sort=None),
        "y": field("y:Q", title=figure.y, scale={"zero": bars}),
        "tooltip": tooltip,
    }
    if len(figure.series) > 1:
        tooltip.insert(0, field("s:N", title=" "))
        encoding["color"] = field("s:N", title=None)
        if bars:
            encoding["xOffset"] = field("s:N", sort=None)
    mark = {"type": "bar"} if bars else {"type": "line", "point": True}
    spec = chart([layer("points", mark, encoding)], {"points": rows})
    spec["usermeta"] = {"marks": len(rows)}
    return Drawn(title=figure.title, spec=spec, says=figure.caption)
