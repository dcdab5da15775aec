"""Charts of the figures that a system adds to the report."""

from typing import Any

import altair as alt

from resweep.report.charts.trials import finish, rounded
from resweep.systems.values import Figure


def figure_chart(figure: Figure) -> dict[str, Any] | None:
    """Draw a figure: one line or group of bars per series; None without any point."""
    rows = [
        {"s": name, "x": rounded(x) if isinstance(x, float) else x, "y": rounded(y)}
        for name, points in figure.series.items()
        for x, y in points
    ]
    if not rows:
        return None
    numbers = all(not isinstance(row["x"], str) for row in rows)
    x = alt.X("x:Q" if numbers and figure.kind == "lines" else "x:N", title=figure.x, sort=None)
    y = alt.Y("y:Q", title=figure.y).scale(zero=figure.kind == "bars")
    several = len(figure.series) > 1
    colour = alt.Color("s:N", title=None) if several else alt.Undefined
    tooltip = [
        *([alt.Tooltip("s:N", title=" ")] if several else []),
        alt.Tooltip("x", type="quantitative" if numbers else "nominal", title=figure.x),
        alt.Tooltip("y:Q", title=figure.y),
    ]
    base = alt.Chart(alt.NamedData("points"))
    if figure.kind == "lines":
        drawn = base.mark_line(point=True).encode(x=x, y=y, color=colour, tooltip=tooltip)
    elif several:
        offset = alt.XOffset("s:N", sort=None)
        drawn = base.mark_bar().encode(x=x, y=y, color=colour, xOffset=offset, tooltip=tooltip)
    else:
        drawn = base.mark_bar().encode(x=x, y=y, tooltip=tooltip)
    return finish(alt.layer(drawn), {"points": rows})
