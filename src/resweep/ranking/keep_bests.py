"""Keeping what was a study's best, for longer than its ranking lasts.

    scores.csv of the phase that decides  ->  rank 1 claimed for the study, with all its seeds

A claim stays when another configuration becomes the best, up to a number of runs. What was
published stays until somebody drops it.
"""

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from resweep.errors import DamagedFile, LockTimeout
from resweep.files import may_write
from resweep.paths import Layout
from resweep.ranking.old_bests import OldBest, OldBests, describe, find_old_bests
from resweep.ranking.score_row import best_rows
from resweep.ranking.score_table import read_scores
from resweep.ranking.trial_result import SEED
from resweep.store.lasting_claims import (
    Claimed,
    Standing,
    Why,
    claim_for_study,
    claimed_runs,
    evaluated_on,
    now,
    release_for_study,
)
from resweep.store.lock import RunLock
from resweep.store.retention import drop_if_unclaimed, drop_unclaimed, has_claims
from resweep.store.run import Run
from resweep.study.described import read_described
from resweep.study.metric import PhaseScore

log = logging.getLogger(__name__)

MOST_RUNS = 10  # whose weights stay because they were the best; those of the best now count too


def claim_best(study: str, phase: str, scores: Path, score: PhaseScore, layout: Layout) -> None:
    """Claim rank 1 of the phase that decides; drop the least of the older bests beyond the limit.

    Args:
        study, phase: What was ranked.
        scores: Its scores.csv.
        score: How it was ranked.
        layout: Of the results folder.
    """
    rows = best_rows(read_scores(scores))
    for row in rows:
        run = Run(layout.run(str(row.run_id)))
        if not run.path.is_dir():
            continue
        settings = row.hyperparameters.items()
        standing = Standing(
            study=study,
            phase=phase,
            trial=row.trial,
            runs=sorted(str(other.run_id) for other in rows),
            step=row.step,
            metric=score.metric,
            goal=score.goal,
            value=row.final_mean,
            final=row.final,
            settings={k: v for k, v in settings if k != SEED and v is not None},
            evaluated_on=evaluated_on(run),
            since=now(),
        )
        claim_for_study(run, Why.BEST, standing)
    _drop_least(study, find_old_bests(study, scores, layout), len(rows))


def release_bests(study: str, phase: str, layout: Layout) -> None:
    """Release the study's claims on what a phase trained: the phase keeps no weights any more."""
    for one in claimed_runs(study, layout):
        if one.standing is not None and one.standing["phase"] == phase:
            for why in Why:
                release_for_study(one.run, why, study)
            drop_if_unclaimed(one.run)


def drop_old_bests(study: str, chosen: Iterable[Claimed], layout: Layout) -> dict[str, str]:
    """Release the study's claims on runs, and delete the weights that nothing else claims.

    A trial's claim goes too if its phase is not in the study any more: nothing would release it.

    Returns:
        Why weights stay, by run.
    """
    described = layout.study(study).described
    phases = read_described(described)["phases"] if described.exists() else []
    names = {part["name"] for part in phases}
    stay = {}
    for one in chosen:
        run, standing = one.run, one.standing
        if not may_write(run.path):
            stay[run.run_id] = "another user trained it"
            continue
        try:
            with RunLock(run.path, timeout=0.0):
                for why in Why:
                    release_for_study(run, why, study)
                if standing is not None and standing["phase"] not in names:
                    trial = run.folder.claim(study, standing["phase"], standing["trial"])
                    trial.unlink(missing_ok=True)
                drop_unclaimed(run)
        except LockTimeout as error:
            stay[run.run_id] = f"{error}; run the same command again later"
            continue
        except DamagedFile as error:
            log.warning("%s", error)
        if has_claims(run):
            stay[run.run_id] = "a trial or another study keeps them"
    return stay


def _drop_least(study: str, old: OldBests, best: int) -> None:
    """Drop older bests until at most `MOST_RUNS` runs are claimed.

    The worst go first, and of equal ones the oldest; the best of those that compare stays, and so
    does what was published.

    Args:
        study: Whose.
        old: Its older bests.
        best: Number of runs of the best now.
    """
    groups: dict[tuple[Any, ...], list[OldBest]] = {}
    for one in old.configurations:
        if not one.published:
            groups.setdefault(one.comparable, []).append(one)
    total = best + sum(len(one.claimed) for group in groups.values() for one in group)
    places = []
    for group in groups.values():
        newest_first = sorted(group, key=lambda one: one.standing["since"], reverse=True)
        places += list(enumerate(sorted(newest_first, key=lambda one: one.signed)))[1:]
    for _, one in sorted(places, key=lambda placed: (-placed[0], placed[1].standing["since"])):
        if total <= MOST_RUNS:
            return
        total -= len(one.claimed)
        for claimed in one.claimed:
            print(
                f"warning: {study}: at most {MOST_RUNS} runs stay because they were the best; "
                f"dropping {describe(claimed)}",
                file=sys.stderr,
            )
            release_for_study(claimed.run, Why.BEST, study)
            drop_if_unclaimed(claimed.run)
