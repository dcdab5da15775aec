"""The content of a study's artifacts: configurations of a rerun, best model of a phase."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError, Problem, StoreError
from resweep.json_files import read_json
from resweep.paths import Layout, PhaseFolder
from resweep.ranking.keep import how_to_restore, weights_command
from resweep.ranking.old_bests import better_text, find_old_bests
from resweep.ranking.score_row import best_rows
from resweep.ranking.score_table import read_ranking
from resweep.store import checkpoints as checkpoint
from resweep.store.lasting_claims import (
    Standing,
    Why,
    claim_for_study,
    claimed_runs,
    evaluated_on,
    now,
    read_standing,
)
from resweep.store.outcome import OutcomeReader
from resweep.store.run import Run
from resweep.systems.registry import system_of


def config_files(
    folder: Path, best: Path | None = None, only: list[str] | None = None
) -> dict[str, Path]:
    """Return the YAML files of a folder, and the list of best configurations they come from.

    Args:
        folder: With the configurations, including subfolders.
        best: top{k}_best_configs.yaml.
        only: Names of the files to publish; None: all.

    Raises:
        ConfigError: There are no files, one is missing, or one links out of the folder.
    """
    found = {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".yaml", ".yml") and path.is_file()
    }
    chosen = sorted(found) if only is None else sorted(set(only))
    problems = [
        Problem(str(folder / name), "", None, "no such file")
        for name in chosen
        if name not in found
    ]
    problems += [
        Problem(
            str(found[name]), "", None, "links to a file outside the folder; copy the file into it"
        )
        for name in chosen
        if name in found and not found[name].resolve().is_relative_to(folder.resolve())
    ]
    if not chosen:
        problems.append(Problem(str(folder), "", None, "contains no YAML files to publish"))
    files = {name: found[name] for name in chosen if name in found}
    if best is not None:
        if not best.is_file():
            problems.append(Problem(str(best), "", None, "no such file"))
        if best.name in files:
            problems.append(
                Problem(str(best), "", None, f"{folder} also has a file of this name; rename one")
            )
        files[best.name] = best
    if problems:
        raise ConfigError(problems)
    return files


@dataclass(frozen=True)
class PublishedConfigs:
    """The published configurations that a model's phase trained.

    Attributes:
        named: Name, version and digest, for the model's metadata.
        in_wandb: Full name in W&B, if its server has them.
    """

    named: dict[str, Any]
    in_wandb: tuple[str, ...]


def published_configs(stamp: Path) -> PublishedConfigs:
    """Return what a stamp says of published configurations.

    Raises:
        FileNotFoundError: There is no such stamp.
        DamagedFile: It cannot be read.
    """
    known = read_json(stamp, "delete it and run snakemake: it is written again")
    named = {key: known[key] for key in ("name", "version", "digest") if key in known}
    artifact = known.get("where", {}).get("artifact")
    return PublishedConfigs(named, () if artifact is None else (str(artifact),))


def best_model(scores_path: Path, layout: Layout) -> tuple[dict[str, Path], dict[str, Any]]:
    """Find the weights of a phase's best trial, and check their digests.

    Returns:
        The files by name, and their origin: phase, trial, run_id, step, score. No files if no
        trial has a result, or if its weights were deleted (`missing` says so).

    Raises:
        StoreError: They are damaged.
        ConfigError: The trial's file asks for something else than what was trained.
    """
    folder_of_phase = PhaseFolder(scores_path.parent)
    phase = folder_of_phase.path.name
    for row in best_rows(read_ranking(scores_path))[:1]:
        trial, step = row.trial, row.step
        if folder_of_phase.record(trial).exists():
            OutcomeReader(layout).read(folder_of_phase.record(trial))
        run = Run(layout.run(str(row.run_id)))
        folder = run.path / checkpoint.folder_name(step)
        command = weights_command(folder_of_phase, trial)
        if not folder.is_dir():
            how = how_to_restore(folder_of_phase, trial)
            missing = f"{folder}: weights of the best trial were deleted; restore them with {how}"
            return {}, {"phase": phase, "trial": trial, "missing": missing}
        files = _model_files(run, folder, f"move it away, then run `{command}`")
        metadata = {
            "phase": phase,
            "trial": trial,
            "run_id": run.run_id,
            "step": step,
            "score": row.score,
        }
        return files, metadata
    return {}, {"phase": phase}


def old_best_model(
    scores_path: Path, run_id: str, layout: Layout
) -> tuple[dict[str, Path], dict[str, Any]]:
    """Find the weights of a run that was the best of a study, or published, and check them.

    Args:
        scores_path: scores.csv of a phase of the study.
        run_id: The run.
        layout: Of the results folder.

    Returns:
        The files by name, and their origin as it was: phase, trial, run_id, step, metric, value.

    Raises:
        StoreError: The study claims no such run, or its weights are gone or damaged.
    """
    study = _study_of(scores_path)
    claimed = {one.run.run_id: one for one in claimed_runs(study, layout)}
    one = claimed.get(run_id)
    if one is None or one.standing is None or one.weights is None:
        there = ", ".join(name for name, other in claimed.items() if other.weights is not None)
        raise StoreError(
            f"run {run_id}: study {study} keeps no weights of it as of an older best; it keeps "
            f"those of: {there or 'no run'}"
        )
    standing = one.standing
    files = _model_files(one.run, one.weights, "its run has to be trained again")
    return files, {
        "phase": standing["phase"],
        "trial": standing["trial"],
        "run_id": run_id,
        "step": standing["step"],
        "metric": standing["metric"],
        "value": standing["value"],
    }


def note_better(scores_path: Path, again: Sequence[str], layout: Layout) -> dict[str, Any]:
    """Return what the stamp of a best model says of a better run that is kept; empty without one.

    Args:
        scores_path: The phase's scores.csv.
        again: The command that publishes the best model; with `--run`, it publishes the better one.
        layout: Of the results folder.
    """
    old = find_old_bests(_study_of(scores_path), scores_path, layout)
    better = old.better
    if better is None:
        return {}
    one, standing = better.claimed[0], better.standing
    command = shlex.join([*again, "--run", one.run.run_id])
    return {
        "better": {
            "run_id": one.run.run_id,
            "metric": standing["metric"],
            "value": standing["value"],
            "best_now": old.present and old.present["value"],
            "weights": str(one.weights),
            "text": better_text(old, better, f"to publish it instead: `{command}`"),
        }
    }


def claim_published(scores_path: Path, published: Mapping[str, Any], layout: Layout) -> None:
    """Claim a published run for its study: its weights stay until somebody drops them.

    Args:
        scores_path: scores.csv of a phase of the study.
        published: Origin of the published weights, as `best_model` returns it.
        layout: Of the results folder.
    """
    study, run = _study_of(scores_path), Run(layout.run(published["run_id"]))
    standing = read_standing(run, study) or Standing(
        study=study,
        phase=published["phase"],
        trial=published["trial"],
        runs=[run.run_id],
        step=published["step"],
        metric=None,
        goal=None,
        value=None,
        final=None,
        settings={},
        evaluated_on=evaluated_on(run),
        since=now(),
    )
    claim_for_study(run, Why.PUBLISHED, standing)


def _study_of(scores_path: Path) -> str:
    return scores_path.absolute().parent.parent.name


def _model_files(run: Run, folder: Path, fix: str) -> dict[str, Path]:
    """Return the files of a checkpoint that make a model, by name; checks their digests."""
    damage = checkpoint.find_damage(folder)
    if damage is not None:
        raise StoreError(f"{folder}: {damage}; {fix}")
    system = system_of(run.state().get("identity", {}))
    return {name: folder / name for name in system.model_files}
