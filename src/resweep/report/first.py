"""What report and summary say of the first configuration of a ranking, and of those beside it."""

import pandas as pd

from resweep.ranking.scores import final_text, leader_by_final
from resweep.ranking.ties import Tie
from resweep.ranking.trial_result import SEED
from resweep.report.results import PhaseResults

MOST_NAMED = 8  # tied configurations


def first_lines(phase: PhaseResults) -> list[str]:
    """Return sentences about rank 1, called the best only where none ties with it or ends better.

    What it is; which others cannot be told apart from it; which would be first without the early
    slope. None if no configuration has a score.
    """
    if phase.best.empty:
        return []
    first, others = phase.best.iloc[0], _others(phase)
    swept = {path: first[path] for path in phase.hyperparameters if path != SEED}
    chosen = phase.settings_text(swept)
    leader = leader_by_final(phase.scores, phase.score)
    alone = leader is None and bool((others["tie"] == Tie.NO).all())
    lines = [
        f"{'best' if alone else 'rank 1'}: {phase.metric} {final_text(first)}"
        + (f" with {chosen}" if chosen else "")
    ]
    lines += _tie_lines(others)
    return [*lines, leader] if leader else lines


def _others(phase: PhaseResults) -> pd.DataFrame:
    """Return a row of each configuration with a score but the first."""
    scored = phase.scores[phase.scores["score"].notna()].drop_duplicates("rank")
    return scored[scored["rank"] > 1]


def _tie_lines(others: pd.DataFrame) -> list[str]:
    lines = []
    tied = others[others["tie"] == Tie.YES]
    unknown = int((others["tie"] == Tie.UNKNOWN).sum())
    if len(tied):
        pairs = zip(tied["rank"], tied["trial"], strict=True)
        named = ", ".join(f"rank {rank} ({trial})" for rank, trial in list(pairs)[:MOST_NAMED])
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
