"""Charts of a search in rounds: what each round brought, and where it looked."""

import statistics
from collections.abc import Sequence

from resweep.config.metric import sign_of
from resweep.plurals import alike, setting_span_text
from resweep.report.charts.spec import (
    DOT,
    Drawn,
    chart,
    field,
    kept,
    layer,
    rounded,
    selectable,
)
from resweep.report.charts.trial_rows import HAS_FINAL, TrialRows, group_colour
from resweep.search.stages import round_of

MOST_PATHS = 4


def rounds_charts(rows: TrialRows, paths: Sequence[str]) -> list[Drawn]:
    """Draw final values and hyperparameters by round; nothing for a sweep without rounds.

    Args:
        rows: The trials.
        paths: Hyperparameters, most important first.
    """
    if rows.phase.rounds is None or rows.phase.rounds < 2 or not rows.phase.finals:
        return []
    paths = [path for path in paths if rows.is_numeric(path) and rows.can_be_drawn(path)]
    return [_value_chart(rows), *(_place_chart(rows, path) for path in paths[:MOST_PATHS])]


def _by_round(rows: TrialRows) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for trial, value in rows.phase.finals.items():
        found.setdefault(round_of(trial), []).append(value)
    return dict(sorted(found.items()))


def _value_chart(rows: TrialRows) -> Drawn:
    phase = rows.phase
    assert phase.rounds is not None
    sign = sign_of(phase.goal)
    by_round = _by_round(rows)
    bests = {number: sign * min(sign * v for v in values) for number, values in by_round.items()}
    so_far = [
        {
            "round": number,
            "final": rounded(sign * min(sign * v for at, v in bests.items() if at <= number)),
        }
        for number in range(min(by_round), phase.rounds + 1)
    ]
    x = field("round:O", title="round", axis={"labelAngle": 0})
    y = rows.value_axis()
    step = {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "style": "mean"}
    dots = {"x": x, "y": y, "color": group_colour(), "tooltip": rows.tooltip()}
    layers = [
        layer("best", step, {"x": x, "y": y}),
        layer("trials", DOT, dots, **kept(HAS_FINAL)),
    ]
    spec = chart(layers, {"best": so_far})
    rings = [("trials", dots)]
    spec = selectable(spec, phase.name, rings, trials=True, marks=len(phase.finals))
    last = max(by_round)
    medians = alike(statistics.median(by_round[n]) for n in (min(by_round), last))
    best_in = min(bests, key=lambda number: sign * bests[number])
    return Drawn(
        title="Best value so far, by round",
        spec=spec,
        says=(
            f"The best value, {bests[best_in]:.4g}, came in round {best_in} of {phase.rounds}; the "
            f"median of a round went from {medians[0]} to {medians[1]} in round {last}."
            f"{rows.beyond_line()}"
        ),
    )


def _place_chart(rows: TrialRows, path: str) -> Drawn:
    phase, label = rows.phase, rows.phase.label(path)
    x = field("round:O", title="round", axis={"labelAngle": 0})
    y = rows.axis(path)
    mark = DOT | {"size": 60}
    dots = {"x": x, "y": y, "color": group_colour(), "tooltip": rows.tooltip()}
    layers = [layer("trials", mark, dots, **kept(f"datum.{rows.key(path)} !== null"))]
    rings, marks = [("trials", dots)], len(phase.scores)
    values: dict[int, list[float]] = {}
    for row in phase.scores:
        value = row.hyperparameters.get(path)
        if value is not None:
            values.setdefault(round_of(row.trial), []).append(value)
    first, last = (values[number] for number in (min(values), max(values)))
    return Drawn(
        title=f"Where the search went: {label}",
        spec=selectable(chart(layers, {}), phase.name, rings, trials=True, marks=marks),
        says=(
            f"Round {min(values)} tried {label} {setting_span_text(first)}, round {max(values)} "
            f"tried {setting_span_text(last)}."
        ),
    )
