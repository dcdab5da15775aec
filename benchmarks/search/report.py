"""What was measured, as Markdown tables and pictures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from benchmarks.search.measure import Repetition

AT = (16, 32, 64)  # full trainings
FIRST_SHOWN = 4  # full trainings; before it there is little to see


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        known = math.isfinite(self.error) and self.error > 0
        digits = max(0, 1 - math.floor(math.log10(self.error))) if known else 4
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"


def mean_of(values: Sequence[float]) -> Mean:
    """Return the mean; its standard error is nan for a single value."""
    deviation = np.std(values, ddof=1) if len(values) > 1 else math.nan
    return Mean(float(np.mean(values)), float(deviation / math.sqrt(len(values))))


def mean_regret(repetitions: Sequence[Repetition], evaluations: int) -> Mean:
    """Return the mean simple regret once so many evaluations were spent."""
    return mean_of([known.incumbent(evaluations).regret for known in repetitions])


def by_method(repetitions: Iterable[Repetition], objective: str) -> dict[str, list[Repetition]]:
    """Group the repetitions on one objective."""
    found: dict[str, list[Repetition]] = {}
    for known in repetitions:
        if known.objective == objective:
            found.setdefault(known.method, []).append(known)
    return found


def regret_table(
    repetitions: Iterable[Repetition], objective: str, per_training: int, budget: int
) -> str:
    """Return a Markdown table: a row a method, regret at 16, 32 and 64 full trainings' evaluations.

    Args:
        repetitions: Of any objectives.
        objective: The one to show.
        per_training: Evaluations of a full training.
        budget: Full trainings that were spent at most.
    """
    marks = [at for at in AT if at <= budget]
    lines = [
        f"| {objective} | {' | '.join(str(at) for at in marks)} | trials, stopped |",
        f"|---|{'---|' * len(marks)}---|",
    ]
    for method, known in by_method(repetitions, objective).items():
        cells = [str(mean_regret(known, at * per_training)) for at in marks]
        trials = np.mean([one.trials for one in known])
        stopped = np.mean([one.stopped for one in known])
        cells.append(f"{trials:.0f}, {stopped:.0f}")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(
    repetitions: Sequence[Repetition],
    objectives: Sequence[tuple[str, int]],
    path: Path,
    *,
    budget: int,
    title: str,
) -> None:
    """Draw mean regret with its standard error against evaluations, a panel an objective.

    Args:
        repetitions: To show; methods keep their order.
        objectives: Name and evaluations of a full training.
        path: An SVG file.
        budget: In full trainings.
        title: Of the horizontal axis.
    """
    rows: list[dict[str, Any]] = []
    for objective, per_training in objectives:
        for method, known in by_method(repetitions, objective).items():
            for at in range(FIRST_SHOWN, budget + 1):
                mean = mean_regret(known, at * per_training)
                if math.isfinite(mean.value) and mean.value > 0:
                    floor = mean.value / 10
                    rows.append(
                        {
                            "objective": objective,
                            "method": method,
                            "spent": at,
                            "regret": round(mean.value, 5),
                            "low": round(max(mean.value - mean.error, floor), 5),
                            "high": round(mean.value + mean.error, 5),
                        }
                    )
    methods = list(dict.fromkeys(row["method"] for row in rows))
    wide = len(objectives) == 1
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("spent:Q", title=title).scale(domain=[FIRST_SHOWN, budget], nice=False),
        color=alt.Color("method:N", title=None)
        .scale(domain=methods, scheme="tableau10" if len(methods) <= 10 else "tableau20")
        .legend(labelLimit=260, symbolOpacity=1),
    )
    regret = alt.Y("regret:Q", title="mean simple regret").scale(type="log", nice=False)
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q").scale(type="log"), y2="high:Q")
    layers = alt.layer(band, base.mark_line(strokeWidth=2).encode(y=regret))
    layers = layers.properties(width=560 if wide else 300, height=340 if wide else 200)
    chart = (
        layers
        if wide
        else layers.facet(
            facet=alt.Facet("objective:N", title=None, sort=[name for name, _ in objectives]),
            columns=2,
        ).resolve_scale(y="independent")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    padding = {"left": 5, "right": 40, "top": 5, "bottom": 5}  # text is measured too narrow
    chart.configure(background="white", padding=padding).save(path)
