"""The content of a study's artifacts: configurations of a rerun, best model of a phase."""

from pathlib import Path
from typing import Any

from resweep.errors import ConfigError, Problem, StoreError
from resweep.paths import Layout, PhaseFolder
from resweep.ranking.keep import weights_command
from resweep.ranking.selection import best_trials, read_scores
from resweep.store import checkpoints as checkpoint
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
    scores = read_scores(scores_path)
    for trial in best_trials(scores, 1):
        if folder_of_phase.record(trial).exists():
            OutcomeReader(layout).read(folder_of_phase.record(trial))
        row = scores[scores["trial"] == trial].iloc[0]
        run, step = Run(layout.run(row["run_id"])), int(row["step"])
        system = system_of(run.state().get("identity", {}))
        folder = run.path / checkpoint.folder_name(step)
        command = weights_command(folder_of_phase, trial)
        if not folder.is_dir():
            missing = f"{folder}: weights of the best trial were deleted; restore with `{command}`"
            return {}, {"phase": phase, "trial": trial, "missing": missing}
        damage = checkpoint.find_damage(folder)
        if damage is not None:
            raise StoreError(f"{folder}: {damage}; move it away, then run `{command}`")
        metadata = {
            "phase": phase,
            "trial": trial,
            "run_id": run.run_id,
            "step": step,
            "score": float(row["score"]),
        }
        return {name: folder / name for name in system.model_files}, metadata
    return {}, {"phase": phase}
