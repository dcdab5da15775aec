"""The trials of a phase, as the charts of the page show them.

    scores.csv, records  ->  one row a trial, the same for all charts of the phase

The page holds them once for each phase, by column. Each chart that says `trials` in its `usermeta`
gets them as its data set `trials`, the worst first, so that the best are drawn on top.
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from typing import Any, Literal

from resweep.ranking.score_row import column_of
from resweep.report.charts.spec import Spec, field, rounded
from resweep.report.results import PhaseResults
from resweep.search.focus import scale_of
from resweep.search.stages import round_of

LOG_RATIO = 30.0  # positive hyperparameters that span more than this get a log axis
MOST_CATEGORIES = 20
MOST_TICKS = 6  # different values that are all ticks of their axis
TOP = ("1", "2", "3")  # ranks with a colour of their own
OTHERS = "others"
HAS_FINAL = "datum.final !== null"
HAS_NO_FINAL = "datum.final === null"
LEGEND = {"title": "rank", "orient": "top", "titleOrient": "left"}


class TrialRows:
    """The trials of a phase.

    Args:
        phase: The phase.
    """

    def __init__(self, phase: PhaseResults):
        self.phase = phase
        self.keys = {path: f"h{at}" for at, path in enumerate(phase.hyperparameters)}
        self.order = _arrivals(phase)

    def key(self, path: str) -> str:
        """Return the field of a hyperparameter: Vega reads dots in names as paths."""
        return self.keys[path]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """One row a trial, worst first.

        `t`: its name; `g`: its rank if that is among the first three; `n`: which trial it was, in
        the order in which they ended; `spent`: steps of all trials up to and with it; `left`: why
        it ended early; `round`: None without rounds.
        """
        seconds = {one.trial.trial: one.record.seconds for one in self.phase.outcomes}
        spent = _spent(self.phase, self.order)
        numeric = {path: self.is_numeric(path) for path in self.keys}
        return [
            {
                "t": row.trial,
                "rank": row.rank,
                "g": self.group(row.rank),
                "status": str(row.status),
                "left": row.stop_reason or "",
                "final": rounded(row.final) if row.has_result else None,
                "step": row.step,
                "seconds": rounded(seconds.get(row.trial)),
                "n": self.order.get(row.trial),
                "round": round_of(row.trial) if self.phase.rounds else None,
                "spent": spent.get(row.trial),
                **{
                    key: _plain(row.hyperparameters.get(path), numeric[path])
                    for path, key in self.keys.items()
                },
            }
            for row in reversed(self.phase.scores)
        ]

    @staticmethod
    def group(rank: int) -> str:
        """Return the rank as text if it has a colour of its own."""
        return str(rank) if str(rank) in TOP else OTHERS

    def values(self, path: str) -> list[Any]:
        """Return the values of a hyperparameter, without gaps."""
        found = (row.hyperparameters.get(path) for row in self.phase.scores)
        return [value for value in found if _plain(value, True) is not None]

    def is_numeric(self, path: str) -> bool:
        """Whether all values of a hyperparameter are numbers."""
        return all(_is_number(row.hyperparameters.get(path)) for row in self.phase.scores)

    def can_be_drawn(self, path: str) -> bool:
        """Whether a hyperparameter has different values, and not too many categories."""
        different = {str(value) for value in self.values(path)}
        return len(different) > 1 and (self.is_numeric(path) or len(different) <= MOST_CATEGORIES)

    def scale_type(self, path: str) -> Literal["log", "linear"]:
        """Return the kind of axis for a numeric hyperparameter: as it was searched, if known."""
        values = self.values(path)
        for parameter in self.phase.space:
            if column_of(parameter.name) == path and parameter.swept and min(values) > 0:
                return "log" if scale_of(parameter) == "log" else "linear"
        positive = min(values) > 0
        wide = positive and max(values) / min(values) >= LOG_RATIO
        return "log" if positive and (wide or path.endswith("learning_rate")) else "linear"

    def axis(self, path: str, **settings: Any) -> Spec:
        """Return the channel of a hyperparameter."""
        title = self.phase.label(path)
        if not self.is_numeric(path):
            names = {"domain": sorted(set(map(str, self.values(path))))}
            key = f"{self.key(path)}:N"
            return field(key, title=title, axis={"labelAngle": 0}, scale=names, **settings)
        scale = number_scale(self.values(path), 14, self.scale_type(path))
        axis: Spec = {"format": "~g", "tickCount": 5, "labelOverlap": True, "grid": False}
        listed = sorted(set(self.values(path)))
        if len(listed) <= MOST_TICKS:  # of a grid: its own values
            axis["values"] = listed
        return field(f"{self.key(path)}:Q", title=title, scale=scale, axis=axis, **settings)

    def value_axis(self, name: str = "final", **settings: Any) -> Spec:
        """Return the channel of the final metric; far worse values than most are at its edge."""
        scale = number_scale(list(self.reach or self.phase.finals.values()), 10)
        if self.reach is not None:
            scale["clamp"] = True
        return field(f"{name}:Q", title=f"final {self.phase.metric}", scale=scale, **settings)

    @cached_property
    def reach(self) -> tuple[float, float] | None:
        """The range of final values to show, where few would squash all others; else None."""
        return shown_range(list(self.phase.finals.values()), self.phase.goal)

    @property
    def beyond(self) -> int:
        """How many final values are outside of `reach`."""
        if self.reach is None:
            return 0
        low, high = self.reach
        return sum(not low <= value <= high for value in self.phase.finals.values())

    def beyond_line(self) -> str:
        """Return a sentence about values at the edge of the axis; empty without any."""
        if not self.beyond:
            return ""
        are = "value is" if self.beyond == 1 else "values are"
        return f" {self.beyond} far worse {are} drawn at the edge."

    def tooltip(self) -> list[Spec]:
        """Return the lines of a tooltip about a trial."""
        return [
            field("t:N", title="trial"),
            field("rank:Q", title="rank"),
            field("status:N", title="status"),
            field("final:Q", title=f"final {self.phase.metric}", format=".4f"),
            *(field(f"{key}:N", title=self.phase.label(path)) for path, key in self.keys.items()),
        ]

    def element(self) -> str:
        """Return the script element that holds the rows on the page."""
        rows = self.rows
        content = {
            "labels": {key: self.phase.label(path) for path, key in self.keys.items()},
            "metric": self.phase.metric,
            "columns": {name: [row[name] for row in rows] for name in rows[0]} if rows else {},
        }
        # In a script element, `</` would end it and `<!--` would start a comment.
        text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
        name = escape(self.phase.name)
        return f'<script type="application/json" class="trials" data-phase="{name}">{text}</script>'


def group_colour() -> Spec:
    """Return the colour of a trial: one each for the first three ranks, gray for all others."""
    scale = {"domain": [*TOP, OTHERS], "range": "category"}
    return field("g:N", scale=scale, legend=LEGEND, sort=None)


def group_shape() -> Spec:
    """Return the shape of a trial's mark, so that the first three differ by more than colour."""
    shapes = ["diamond", "square", "triangle-up", "circle"]
    scale = {"domain": [*TOP, OTHERS], "range": shapes}
    return field("g:N", scale=scale, legend=LEGEND, sort=None)


def number_scale(values: Sequence[float], padding: int, kind: str = "linear") -> Spec:
    """Return a scale over some values.

    Its domain is written out: that of the data would be asked of the selected trials too, and there
    may be none.

    Args:
        values: All that are drawn.
        padding: Pixels at both ends.
        kind: linear or log.
    """
    ends = [min(values), max(values)] if values else [0, 1]
    if ends[0] == ends[1] and kind == "linear":
        margin = 0.05 * abs(ends[0]) or 1.0
        ends = [ends[0] - margin, ends[1] + margin]
    scale: Spec = {"type": kind, "domain": ends, "nice": False, "padding": padding}
    return scale if kind == "log" else scale | {"zero": False}


def rank_axis(last: int) -> Spec:
    """Return the axis and the scale of ranks up to `last`, the first on top."""
    step = next(size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if last <= 8 * size)
    axis = {"values": sorted({1, *range(step, last + 1, step)}), "format": "d"}
    return {"axis": axis, "scale": number_scale([1, last], 10) | {"reverse": True}}


def shown_range(values: Sequence[float], goal: str) -> tuple[float, float] | None:
    """Return the range to show where the worst tenth would squash all others; else None."""
    if len(values) < 5:
        return None
    ordered = sorted(values, reverse=goal == "maximize")  # best first
    best, most, worst = ordered[0], ordered[int(0.9 * (len(ordered) - 1))], ordered[-1]
    if abs(worst - best) <= 3 * abs(most - best) or most == best:
        return None
    margin = 0.08 * (most - best)
    return min(best - margin, most + margin), max(best - margin, most + margin)


def _arrivals(phase: PhaseResults) -> dict[str, int]:
    """Return the place of each trained trial in the order in which their records were written.

    Rounds come in their order: the record of a run that another study trained is older.
    """
    trained = [one for one in phase.outcomes if one.record.run_id is not None]
    times = sorted(
        (
            round_of(one.trial.trial) if phase.rounds else 0,
            one.path.stat().st_mtime,
            one.trial.trial,
        )
        for one in trained
    )
    return {trial: place for place, (*_, trial) in enumerate(times, 1)}


def _spent(phase: PhaseResults, order: Mapping[str, int]) -> dict[str, int]:
    steps = {row.trial: row.step for row in phase.scores}
    total, found = 0, {}
    for trial in sorted(order, key=lambda one: order[one]):
        total += steps.get(trial, 0)
        found[trial] = total
    return found


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float)


def _plain(value: Any, numeric: bool) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if numeric else str(value)
