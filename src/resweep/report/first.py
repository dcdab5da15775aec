"""What report and summary say of the first configuration of a ranking, and of those beside it."""

from resweep.ranking.score_row import ScoreRow, configurations, final_text, scored
from resweep.ranking.scores import leader_by_final
from resweep.ranking.ties import Tie
from resweep.report.results import PhaseResults

MOST_NAMED = 8  # tied configurations


def first_lines(phase: PhaseResults) -> list[str]:
    """Return sentences about rank 1, called the best only where none ties with it or ends better.

    What it is; which others cannot be told apart from it; which would be first without the early
    slope. None if no configuration has a score.
    """
    if not phase.best:
        return []
    first, others = phase.best[0], _others(phase)
    chosen = phase.settings_text(phase.settings(first))
    leader = leader_by_final(phase.scores, phase.score)
    alone = leader is None and all(row.tie == Tie.NO for row in others)
    lines = [
        f"{'best' if alone else 'rank 1'}: {phase.metric} {final_text(first)}"
        + (f" with {chosen}" if chosen else "")
    ]
    lines += _tie_lines(others)
    return [*lines, leader] if leader else lines


def _others(phase: PhaseResults) -> list[ScoreRow]:
    """Return a row of each configuration with a score but the first."""
    return [trials[0] for trials in configurations(scored(phase.scores)) if trials[0].rank > 1]


def _tie_lines(others: list[ScoreRow]) -> list[str]:
    lines = []
    tied = [row for row in others if row.tie == Tie.YES]
    unknown = sum(row.tie == Tie.UNKNOWN for row in others)
    if tied:
        named = ", ".join(f"rank {row.rank} ({row.trial})" for row in tied[:MOST_NAMED])
        more = f" and {len(tied) - MOST_NAMED} more" if len(tied) > MOST_NAMED else ""
        lines.append(
            f"cannot be told apart from rank 1 (less than two standard errors): {named}{more}"
        )
    if unknown:
        which = f"{unknown} others" if unknown > 1 else "another"
        if unknown == len(others):
            which = f"the {unknown} others" if unknown > 1 else "the other"
        lines.append(f"{Tie.UNKNOWN}: whether rank 1 differs from {which}")
    return lines
