"""Configurations of a phase found in another one: what a rerun changed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from resweep.ranking.score_row import ScoreRow, configurations
from resweep.report.results import PhaseResults


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A configuration before and after its rerun.

    Attributes:
        hyperparameters: Shared by both: path -> value.
        source_trial: The configuration's best trial in the source phase.
        source_final: The configuration's mean final value in the source phase.
        trials: The rerun's trials, best first.
        final: Their mean final value; None if one did not finish.
        spread: Standard deviation over the seeds; None for a single seed.
        error: Standard error of `final`; None if it is unknown.
    """

    hyperparameters: dict[str, Any]
    source_trial: str
    source_final: float
    trials: tuple[str, ...]
    final: float | None
    spread: float | None
    error: float | None


def compare_rerun(source: PhaseResults, rerun: PhaseResults) -> list[Comparison]:
    """Compare each configuration of a rerun with the same one in its source phase.

    Configurations are matched by their hyperparameters, since the list of the best ones may be
    written by hand. One that the source phase does not have is left out.
    """
    compared = []
    for trials in configurations(rerun.scores):
        first = trials[0]
        wanted = rerun.settings(first)
        found = find_configuration(source, wanted)
        if found is None or found.final_mean is None:
            continue
        whole = first.score is not None
        compared.append(
            Comparison(
                hyperparameters=wanted,
                source_trial=found.trial,
                source_final=found.final_mean,
                trials=tuple(row.trial for row in trials),
                final=first.final_mean if whole else None,
                spread=first.final_std if whole else None,
                error=first.standard_error if whole else None,
            )
        )
    return compared


def find_configuration(source: PhaseResults, wanted: Mapping[str, Any]) -> ScoreRow | None:
    """Return a phase's best trial of a configuration, whatever its seed; None if it has none."""
    if not wanted:
        return None
    for row in source.scores:
        own = source.settings(row)
        same = own.keys() == wanted.keys() and all(_same(own[p], wanted[p]) for p in own)
        if same and row.trial in source.finals:
            return row
    return None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Real) and isinstance(other, Real):
        return math.isclose(one, other, rel_tol=1e-9)
    return str(one) == str(other)
