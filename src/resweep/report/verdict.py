"""Which configuration of a study won, what it beat, and whether the difference is more than noise.

ranked phases   ->  the phase that decides  ->  its best configuration
its other rows  ->  rivals, with how many standard errors lie between
its sources     ->  where the winner was chosen
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from resweep.config.metric import sign_of
from resweep.ranking.held import configuration_of, find_configuration
from resweep.ranking.score_row import ScoreRow, column_of
from resweep.ranking.ties import Tie
from resweep.report.results import PhaseResults, StudyResults
from resweep.systems.system import CHECKPOINT


class Sure(StrEnum):
    """How sure it is that the winner is the best of its phase.

    Members:
        CLEAR: Its seeds differ from those of all others by more than their noise.
        ONE_SEED: The same by the noise of single curves; another seed might say otherwise.
        TIE: At least one other configuration cannot be told apart from it.
        UNKNOWN: Neither seeds nor curves say how large the noise is.
        ALONE: It has no rival in its phase.
    """

    CLEAR = "clear winner"
    ONE_SEED = "ahead, one seed"
    TIE = "tie"
    UNKNOWN = "not known"
    ALONE = "no rival"


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Another configuration beside the winner.

    Attributes:
        row: Its best trial.
        tie: Whether it cannot be told apart from the winner.
        behind: By how much its mean is worse; negative if it is better.
        errors: `behind` in standard errors of the difference; None if the noise is unknown.
    """

    row: ScoreRow
    tie: Tie
    behind: float
    errors: float | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The winner of a phase.

    Attributes:
        phase: The phase.
        row: The best trial of its best configuration.
        settings: What the winner was assigned, also in the phase that chose it, without the seed:
            path -> value.
        labels: Short names of the paths in `settings`.
        rivals: The other configurations with a score, by rank.
        sure: How sure it is.
        source: The verdict on the phase that chose it; None if nothing chose it.
        source_row: The winner's own row there.
    """

    phase: PhaseResults
    row: ScoreRow
    settings: Mapping[str, Any]
    labels: Mapping[str, str]
    rivals: tuple[Rival, ...]
    sure: Sure
    source: "Verdict | None" = None
    source_row: ScoreRow | None = None

    @property
    def first_in(self) -> float | None:
        """Probability that it is the best, by the spread over seeds; None if unknown."""
        ranks = self.phase.rank_confidence
        return None if ranks is None else ranks[0].best

    @property
    def tied(self) -> list[Rival]:
        """The rivals that cannot be told apart from it."""
        return [rival for rival in self.rivals if rival.tie is Tie.YES]

    @property
    def unknown(self) -> list[Rival]:
        """The rivals of which that is unknown."""
        return [rival for rival in self.rivals if rival.tie is Tie.UNKNOWN]


def find_verdict(results: StudyResults) -> Verdict | None:
    """Return the verdict on the phase that decides; None if no configuration has a score."""
    phase = results.deciding
    return None if phase is None else _verdict(phase, results)


def _verdict(phase: PhaseResults, results: StudyResults) -> Verdict:
    row = phase.best[0]
    rivals = _rivals(phase)
    settings = {path: value for path, value in phase.settings(row).items() if path != CHECKPOINT}
    labels = {path: phase.plain_label(path) for path in settings}
    source, source_row = None, None
    found = _find_source(phase, row, results)
    if found is not None:
        source, source_row = _verdict(found[0], results), found[1]
        chosen = found[0].settings(source_row)
        if source_row.rank == source.row.rank:
            chosen = dict(source.settings)  # of its own source too
        for path, value in chosen.items():
            if path not in settings and path != CHECKPOINT:
                settings[path] = value
                labels[path] = source.labels.get(path) or found[0].plain_label(path)
    return Verdict(
        phase=phase,
        row=row,
        settings=settings,
        labels=labels,
        rivals=rivals,
        sure=_sure(row, rivals),
        source=source,
        source_row=source_row,
    )


def _rivals(phase: PhaseResults) -> tuple[Rival, ...]:
    (first, *others), sign = phase.leaders, sign_of(phase.goal)
    found = []
    for row in others:
        if row.final_mean is None or first.final_mean is None or row.tie is None:
            continue
        behind = sign * (row.final_mean - first.final_mean)
        errors = None
        if first.standard_error is not None and row.standard_error is not None:
            noise = math.hypot(first.standard_error, row.standard_error)
            errors = behind / noise if noise else None
        found.append(Rival(row=row, tie=Tie(row.tie), behind=behind, errors=errors))
    return tuple(found)


def _sure(first: ScoreRow, rivals: tuple[Rival, ...]) -> Sure:
    ties = {rival.tie for rival in rivals}
    if not ties:
        return Sure.ALONE
    if Tie.YES in ties:
        return Sure.TIE
    if Tie.UNKNOWN in ties:
        return Sure.UNKNOWN
    repeated = (first.seeds or 1) > 1 and all((one.row.seeds or 1) > 1 for one in rivals)
    return Sure.CLEAR if repeated else Sure.ONE_SEED


def _find_source(
    phase: PhaseResults, row: ScoreRow, results: StudyResults
) -> tuple[PhaseResults, ScoreRow] | None:
    """Return the phase that a configuration was chosen in, and its row there.

    It is found by the run whose weights it starts from, else by its hyperparameters.
    """
    start = str(row.hyperparameters.get(CHECKPOINT) or "").partition("/")[0]
    ignored = {column_of(path) for path in phase.overridden}
    for source in map(results.phase, phase.sources):
        if source is None or not source.best:
            continue
        if start:
            same = [one for one in source.scores if one.run_id == start]
        else:
            same = find_configuration(source.scores, configuration_of(row), ignored)
        if same:
            return source, same[0]
    return None
