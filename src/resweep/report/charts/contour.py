"""The final value over the two hyperparameters that matter most, as filled bands.

    trials  ->  their place on both axes, 0 to 1  ->  a smoothed value for each cell near trials

Each cell has the mean of the trials' values, weighted by a Gaussian of their distance (E. A.
Nadaraya, "On estimating regression", 1964), and a little of the mean of all; cells far from any
trial stay empty.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resweep.ranking.score_row import ScoreRow
from resweep.report.charts.spec import DOT, Drawn, chart, field, kept, layer, rounded, selectable
from resweep.report.charts.trial_rows import HAS_FINAL, TrialRows
from resweep.report.results import shown

if TYPE_CHECKING:
    import numpy as np

FEWEST = 6  # trials with a final value
CELLS = 24  # along each axis
OWN_WEIGHT = 0.5  # trials: how much the mean of all counts, so that no lucky trial decides alone
NEAR = 1.5  # bandwidths: cells further from all trials are empty
MOST_TRIALS = 2000  # of more, evenly spaced ones in the ranking make the bands


def contour_chart(rows: TrialRows, paths: Sequence[str]) -> Drawn | None:
    """Draw bands of the final value over two numeric hyperparameters, and the trials.

    Args:
        rows: The trials.
        paths: Hyperparameters, most important first: the first two that are numbers are drawn.

    Returns:
        None without two, or for too few trials.
    """
    phase = rows.phase
    numeric = [path for path in paths if rows.is_numeric(path) and rows.can_be_drawn(path)]
    if len(numeric) < 2 or len(phase.finals) < FEWEST:
        return None
    first, second = numeric[:2]
    done = [
        row
        for row in phase.scores
        if row.trial in phase.finals
        and all(row.hyperparameters.get(path) is not None for path in (first, second))
    ]
    done = done[:: math.ceil(len(done) / MOST_TRIALS) or 1]
    if len(done) < FEWEST:
        return None
    import numpy as np

    sides = [_Side(rows, path, done) for path in (first, second)]
    values = np.array([phase.finals[row.trial] for row in done])
    if rows.reach is not None:
        values = np.clip(values, *rows.reach)
    cells = _cells(sides, values)
    low, high = float(values.min()), float(values.max())
    better_low = phase.goal == "minimize"
    scale = {
        "type": "quantize",
        "domain": [low, high],
        "range": "heatmap",
        "nice": False,
        "reverse": better_low,  # the strongest colour for the best values
    }
    value = {"title": f"final {phase.metric}", "scale": scale, "legend": {"format": ".3~g"}}
    x, y = rows.axis(first), rows.axis(second)
    for side, channel in zip(sides, (x, y), strict=True):
        channel["scale"] = channel["scale"] | {"domain": [side.low, side.high], "padding": 0}
    corner = {"x": x | {"field": "x0"}, "x2": {"field": "x1"},
              "y": y | {"field": "y0"}, "y2": {"field": "y1"}}  # fmt: skip
    about = [field("v:Q", title=f"smoothed final {phase.metric}", format=".4g")]
    band = {"type": "rect", "strokeWidth": 1}
    colour = field("v:Q", **value)  # also of the rim: the page would show through between cells
    has_both = (
        f"{HAS_FINAL} && datum.{rows.key(first)} !== null && datum.{rows.key(second)} !== null"
    )
    dots = {"x": x, "y": y, "tooltip": rows.tooltip()}
    layers = [
        layer("cells", band, {**corner, "color": colour, "stroke": colour, "tooltip": about}),
        layer("trials", DOT | {"size": 45, "style": "over"}, dots, **kept(has_both)),
    ]
    spec = chart(layers, {"cells": cells}, height=320)
    best = _best(cells, better_low)
    return Drawn(
        title=f"Final {phase.metric} over {phase.label(first)} and {phase.label(second)}",
        spec=selectable(
            spec, phase.name, [("trials", dots)], trials=True, marks=len(cells) + len(phase.finals)
        ),
        says=(
            f"Smoothed over {len(done)} trials, {phase.metric} is best "
            f"near {phase.label(first)} {shown(sides[0].tried(best['x']), 3)} and "
            f"{phase.label(second)} {shown(sides[1].tried(best['y']), 3)}; dots are trials, and "
            "empty cells have none nearby."
        ),
    )


class _Side:
    """One axis: places of trials and borders of cells, on its scale."""

    def __init__(self, rows: TrialRows, path: str, done: Sequence[ScoreRow]):
        import numpy as np

        self.log = rows.scale_type(path) == "log"
        raw = np.array([float(row.hyperparameters[path]) for row in done])
        self.least, self.most = float(raw.min()), float(raw.max())
        inner = np.log(raw) if self.log else raw
        low, high = float(inner.min()), float(inner.max())
        margin = 0.04 * (high - low) or 0.5
        self.start, self.length = low - margin, high - low + 2 * margin
        self.places = (inner - self.start) / self.length
        self.low, self.high = self.value(0.0), self.value(1.0)
        # Scott's rule in two dimensions, but wide enough for the cells to touch.
        self.width = max(1.5 / CELLS, float(self.places.std()) * len(done) ** (-1 / 6))

    def tried(self, value: float) -> float:
        """Return the nearest value within those of the trials: the cells reach beyond."""
        return min(max(value, self.least), self.most)

    def value(self, place: float) -> float:
        """Return the value at a place, 0 to 1, of the axis."""
        inner = self.start + place * self.length
        return float(f"{math.exp(inner) if self.log else inner:.6g}")


def _cells(sides: Sequence[_Side], values: "np.ndarray") -> list[dict[str, Any]]:
    import numpy as np

    middles = (np.arange(CELLS) + 0.5) / CELLS
    far = [((middles[:, None] - side.places[None, :]) / side.width) ** 2 for side in sides]
    mean = float(values.mean())
    found = []
    for i in range(CELLS):
        for j in range(CELLS):
            distance = far[0][i] + far[1][j]
            if distance.min() > NEAR**2:
                continue
            weights = np.exp(-0.5 * distance)
            support = weights.sum() + OWN_WEIGHT
            found.append(
                {
                    "x0": sides[0].value(i / CELLS),
                    "x1": sides[0].value((i + 1) / CELLS),
                    "y0": sides[1].value(j / CELLS),
                    "y1": sides[1].value((j + 1) / CELLS),
                    "x": sides[0].value((i + 0.5) / CELLS),
                    "y": sides[1].value((j + 0.5) / CELLS),
                    "v": rounded(float((weights @ values + OWN_WEIGHT * mean) / support)),
                }
            )
    return found


def _best(cells: Sequence[dict[str, Any]], better_low: bool) -> dict[str, Any]:
    return (min if better_low else max)(cells, key=lambda cell: cell["v"])
