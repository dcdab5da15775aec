"""How gradients go with results: rank correlations over the trials of a phase.

trials of a phase  ->  features of the gradients at the end of each, and its final value
                   ->  Spearman's correlation of each feature, and the number of trials
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from resweep.analysis.checkpoints import find_checkpoints
from resweep.analysis.gradient_analysis import CheckpointGradients, analyze_gradients
from resweep.analysis.gradient_text import short_names
from resweep.config.metric import MetricGoal
from resweep.errors import ConfigError, DamagedFile, Problem, StoreError
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.replay.rank_correlation import FEWEST, rank_correlation
from resweep.report.results import read_study
from resweep.report.text_table import text_table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Correlation:
    """How a feature of gradients goes with the final values of trials.

    Attributes:
        feature: What it is.
        correlation: Spearman's; None if all trials are equal in it, or fewer than three have it.
        trials: Number of trials that have it.
    """

    feature: str
    correlation: float | None
    trials: int


@dataclass(frozen=True, kw_only=True)
class Performance:
    """How gradients go with the results of a phase.

    Attributes:
        place: The phase, as STUDY/PHASE.
        metric, goal: What was compared, and which direction is better.
        trials: Number of trials with gradients and a value.
        of: Number of trials with a value.
        correlations: By feature.
    """

    place: str
    metric: str
    goal: MetricGoal
    trials: int
    of: int
    correlations: list[Correlation]


def correlate_with_performance(study: str, phase: str, layout: Layout) -> Performance:
    """Correlate the gradients of a phase's trials with their final values.

    Args:
        study, phase: Names.
        layout: Of the results folder.

    Raises:
        StoreError: The study has no results, or fewer than three trials have gradients.
        ConfigError: The study has no results of this phase; names those that it has.
    """
    results = read_study(study, layout)
    found = results.phase(phase)
    if found is None:
        there = ", ".join(one.name for one in results.phases)
        hint = f"study {study} has no results of this phase; there are: {there}"
        raise ConfigError(Problem("command line", "--phase", phase, hint))
    values: list[tuple[dict[str, float], float]] = []
    for trial, final in found.finals.items():
        record = layout.record(study, phase, trial)
        try:
            gradients = analyze_gradients(find_checkpoints(f"{record}", layout)).last
        except DamagedFile as error:
            log.warning("%s; trial %s is left out", error, trial)
            continue
        except (ConfigError, StoreError):
            continue  # its weights were pruned, or it saved no gradients
        values.append((dict(features(gradients)), final))
    if len(values) < FEWEST:
        raise StoreError(
            f"{study}/{phase}: {counted(len(values), 'trial')} of {len(found.finals)} with "
            f"gradients, and a rank correlation needs {FEWEST}; set training.save_gradients: true, "
            "and keep: all (docs/gradients.md)"
        )
    names = dict.fromkeys(name for one, _ in values for name in one)
    return Performance(
        place=f"{study}/{phase}",
        metric=found.metric,
        goal=found.goal,
        trials=len(values),
        of=len(found.finals),
        correlations=[_correlate(name, values) for name in names],
    )


def features(gradients: CheckpointGradients) -> Iterator[tuple[str, float]]:
    """Yield what is compared of a checkpoint, as far as it is known and finite: name, value."""
    layers = gradients.layers
    sizes = [part.rms for part in layers if part.rms > 0]
    names = short_names([part.name for part in layers])
    noise = gradients.whole.noise
    found: list[tuple[str, float | None]] = [
        ("norm", gradients.whole.norm),
        ("noise", None if noise is None else noise.share),
        ("rms: largest / smallest", max(sizes) / min(sizes) if sizes else None),
        *((f"norm of {name}", part.norm) for name, part in zip(names, layers, strict=True)),
    ]
    for name, value in found:
        if value is not None and math.isfinite(value):
            yield name, value


def _correlate(name: str, values: list[tuple[dict[str, float], float]]) -> Correlation:
    known = [(one[name], final) for one, final in values if name in one]
    found = rank_correlation([value for value, _ in known], [final for _, final in known])
    return Correlation(name, found, len(known))


def performance_text(performance: Performance) -> str:
    """Return the correlations as text."""
    better = "lower" if performance.goal == "minimize" else "higher"
    rows = [
        [
            one.feature,
            "" if one.correlation is None else f"{one.correlation:+.2f}",
            f"{one.trials}",
            "",
        ]
        for one in performance.correlations
    ]
    lines = [
        f"gradients at the end and {performance.metric} ({better} is better) of "
        f"{performance.place}: {performance.trials} of {counted(performance.of, 'trial')}",
        *text_table(["feature", "Spearman", "trials", ""], rows),
    ]
    return "\n".join(lines) + "\n"


def to_json(performance: Performance) -> dict[str, Any]:
    """Return the correlations as JSON."""
    return {**vars(performance), "correlations": [vars(one) for one in performance.correlations]}
