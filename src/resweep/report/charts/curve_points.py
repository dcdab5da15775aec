"""The values of a phase's learning curves, and fewer of them.

metrics.jsonl of the runs  ->  Curve of each trial  ->  thinned points
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resweep.errors import DamagedFile
from resweep.paths import Layout, RunFolder
from resweep.report.results import PhaseResults
from resweep.store.curve import record_curve

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Curve:
    """A trial's values of one metric: (step, value), sorted by step."""

    trial: str
    points: list[tuple[int, float]]


def read_curves(phase: PhaseResults, layout: Layout) -> dict[str, list[Curve]]:
    """Read each trial's curves of the ranking metric and of the early metric, worst trial first."""
    names = dict.fromkeys((phase.metric, phase.score.early_metric))
    found: dict[str, list[Curve]] = {name: [] for name in names}
    for outcome in reversed(phase.outcomes):
        record, trial = outcome.record, outcome.trial
        if record.run_id is None:
            continue
        try:
            folder = RunFolder(layout.run(record.run_id))
            lines = record_curve(folder, record, trial.config["training"])
        except DamagedFile as error:
            log.warning("%s; it is not drawn", error)
            continue
        for name, curves in found.items():
            points = [(line["step"], line[name]) for line in lines if _known(line.get(name))]
            if points:
                curves.append(Curve(trial.trial, points))
    return found


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def thin(points: Sequence[tuple[int, float]], limit: int) -> list[tuple[int, float]]:
    """Thin out a curve to about `limit` points.

    Keeps both ends, and the minimum and maximum of each stretch between them, so that spikes stay
    visible.
    """
    if len(points) <= limit:
        return list(points)
    inner = range(1, len(points) - 1)
    stretches = max(1, (limit - 2) // 2)
    kept = {0, len(points) - 1}
    for part in range(stretches):
        start = part * len(inner) // stretches
        stretch = inner[start : (part + 1) * len(inner) // stretches]
        kept |= {min(stretch, key=lambda i: points[i][1]), max(stretch, key=lambda i: points[i][1])}
    return [points[i] for i in sorted(kept)]
