"""Gradient norms of the trials whose gradients were analyzed.

{phase}/gradients/{trial}.json  ->  norms by layer over the checkpoints
"""

import logging
from typing import Any

from resweep.errors import DamagedFile
from resweep.json_files import read_json
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.report.charts.spec import Drawn, chart, field, layer, rounded
from resweep.report.results import PhaseResults

MOST_TRIALS = 3

log = logging.getLogger(__name__)


def gradient_charts(phase: PhaseResults, study: str, layout: Layout) -> list[Drawn]:
    """Draw the gradient norm of each layer, for the best trials that were analyzed.

    Args:
        phase: The phase.
        study: Name of the study.
        layout: Where the analyses are.
    """
    folder = layout.phase(study, phase.name)
    found: list[Drawn] = []
    for row in phase.scores:
        file = folder.gradients(row.trial)
        if len(found) == MOST_TRIALS or not file.exists():
            continue
        try:
            content = read_json(file, "delete it and run snakemake")
        except DamagedFile as error:
            log.warning("%s; it is not drawn", error)
            continue
        drawn = _chart(row.trial, content["checkpoints"])
        found += [drawn] if drawn is not None else []
    return found


def _chart(trial: str, checkpoints: list[dict[str, Any]]) -> Drawn | None:
    rows = [
        {"layer": name, "step": one["step"], "norm": rounded(part["norm"])}
        for one in checkpoints
        for name, part in one["layers"].items()
        if part["norm"] is not None
    ]
    if not rows:
        return None
    names = list(dict.fromkeys(row["layer"] for row in rows))
    several = len(checkpoints) > 1
    tooltip = [
        field("layer:N", title="layer"),
        field("step:Q", title="step"),
        field("norm:Q", title="gradient norm", format=".4g"),
    ]
    positive = all(row["norm"] for row in rows)
    norm = field("norm:Q", title="gradient norm", scale={"type": "log" if positive else "linear"})
    if several:
        mark: dict[str, Any] = {"type": "line", "point": True}
        colour = field("layer:N", title=None, sort=names, scale={"scheme": "viridis"})
        look = {"x": field("step:Q", title="step"), "y": norm, "color": colour, "tooltip": tooltip}
    else:
        mark = {"type": "bar"}
        bars = field("norm:Q", title="gradient norm")
        look = {"y": field("layer:N", title=None, sort=names), "x": bars, "tooltip": tooltip}
    last = [row for row in rows if row["step"] == checkpoints[-1]["step"]]
    largest, smallest = (f(last, key=lambda row: row["norm"]) for f in (max, min))
    spec = chart([layer("norms", mark, look)], {"norms": rows})
    return Drawn(
        title=f"Gradient norms of {trial}",
        spec=spec if several else spec | {"height": max(120, 18 * len(names))},
        says=(
            f"{counted(len(checkpoints), 'checkpoint')} of {trial}: at step "
            f"{checkpoints[-1]['step']:,} the largest norm is that of {largest['layer']} "
            f"({largest['norm']:.3g}), the smallest that of {smallest['layer']} "
            f"({smallest['norm']:.3g})."
        ),
    )
