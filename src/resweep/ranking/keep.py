"""Which weights are kept after a phase is ranked, and why.

    scores.csv -> models/{trial} (links to kept checkpoints), decisions.csv

The phase drops its claim on the weights of trials that are not among the best; a run without claims
loses its checkpoints. Nothing is trained here: a trial that became one of the best after its
weights were pruned has no link, and its row gives the commands that restore them.

The best of the phase that decides is claimed for the study as well: its weights stay when it falls
out of the ranking later (`resweep.ranking.keep_bests`).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resweep.files import link_relative
from resweep.paths import Layout, PhaseFolder
from resweep.ranking.keep_bests import claim_best, release_bests
from resweep.ranking.old_bests import OldBests, better_text, find_old_bests
from resweep.ranking.score_row import ScoreRow, scored, scores_are_finals
from resweep.ranking.score_table import read_ranking
from resweep.store import checkpoints as checkpoint
from resweep.store.retention import release
from resweep.store.run import Run
from resweep.study.metric import PhaseScore


def keep_models(
    *,
    study: str,
    phase: str,
    scores_path: Path,
    policy: str,
    top: int,
    models: Path,
    layout: Layout,
    trials: int | None = None,
    best_of_study: PhaseScore | None = None,
) -> list[dict[str, Any]]:
    """Link the weights to keep, release the others.

    Prints a warning if a better configuration than the best has fallen out of the ranking.

    Args:
        study, phase: Their claims are released.
        scores_path: The ranking.
        policy: best (the `top` best configurations, all their seeds), all or none.
        top: For best.
        models: Folder for the links.
        trials: How many the phase has; None: unknown.
        layout: Of the results folder.
        best_of_study: How the phase is ranked, if it decides: its best is the study's.

    Returns:
        One decision per trial, as rows of decisions.csv.
    """
    models.mkdir(parents=True, exist_ok=True)
    rows = read_ranking(scores_path, trials)
    if policy == "none":
        release_bests(study, phase, layout)
    elif best_of_study is not None:
        claim_best(study, phase, scores_path, best_of_study, layout)
    decisions, kept = decide_weights(rows, policy, top), set()
    lacking = False  # rows come best first
    for row, decided in zip(rows, decisions, strict=True):
        if row.run_id is None:
            continue
        run = Run(layout.run(row.run_id))
        if decided["decision"] == "keep":
            decided["decision"], decided["reason"] = _link(run, row.step, models / row.trial)
            kept.add((row.run_id, row.trial))
            lacking = lacking or decided["decision"] == "missing"
        elif lacking:
            decided["decision"] = "spare"
            decided["reason"] = "not pruned while one of the best has no weights"
            kept.add((row.run_id, row.trial))
        else:
            release(run, study, phase, row.trial)
    for folder, trial in layout.claims_of(study, phase):
        if (folder.path.name, trial) not in kept:
            release(Run(folder.path), study, phase, trial)  # trials that left the phase
    if best_of_study is not None:
        _warn_of_better(study, find_old_bests(study, scores_path, layout))
    return decisions


def decide_weights(rows: Sequence[ScoreRow], policy: str, top: int) -> list[dict[str, Any]]:
    """Decide whose weights a phase keeps: keep, prune, or none without a run.

    Args:
        rows: Its ranking, best first.
        policy: best (the `top` best configurations, all their seeds), all or none.
        top: For best.

    Returns:
        Rows of decisions.csv, one for each of `rows`.
    """
    limit = {"best": top, "all": len(rows), "none": 0}[policy]
    by_final = scores_are_finals(rows)
    values = {row.trial: row.final_mean if by_final else row.score for row in scored(rows)}
    threshold = [values[row.trial] for row in scored(rows) if row.rank <= limit][-1:]
    decisions = []
    for row in rows:
        good = row.has_result and (policy == "all" or (row.rank <= limit and row.trial in values))
        decision, reason = "none", row.stop_reason or ""
        if row.run_id is not None and good:
            decision, reason = "keep", "among the best"
        elif row.run_id is not None:
            decision = "prune"
            if row.has_result:
                reason = f"rank {row.rank}, not among the best {limit}"
        decisions.append(
            {
                "trial": row.trial,
                "run_id": row.run_id,
                "step": row.step,
                "decision": decision,
                "rule": f"keep: {policy}, rank <= {limit}",
                "value": values.get(row.trial),
                "threshold": threshold[0] if threshold else None,
                "compared": len(values),
                "reason": reason,
            }
        )
    return decisions


def weights_command(phase: PhaseFolder, trial: str) -> str:
    """Return the command that restores the weights of a phase's trial."""
    return f"resweep train --weights --trial {phase.trial(trial)} --record {phase.record(trial)}"


def how_to_restore(phase: PhaseFolder, trial: str) -> str:
    """Return the commands that restore the weights of a trial of a built phase, and link them."""
    name, study = phase.path.name, phase.path.parent.name
    link = f"snakemake --forcerun keep_{name} --config study={study}"
    return f"`{weights_command(phase, trial)}`, then `{link}`"


def _warn_of_better(study: str, old: OldBests) -> None:
    better = old.better
    if better is not None:
        how = f"how to bring it back: `resweep summary {study}`"
        print(f"warning: {study}: {better_text(old, better, how)}", file=sys.stderr)


def _link(run: Run, step: int, link: Path) -> tuple[str, str]:
    folder = run.path / checkpoint.folder_name(step)
    if not folder.is_dir():
        return "missing", (
            "weights pruned or never saved; restore them with "
            f"{how_to_restore(PhaseFolder(link.parent.parent), link.name)}"
        )
    link_relative(link, folder)
    return "keep", "among the best"
