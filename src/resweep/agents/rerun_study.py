"""A study around a list of best configurations: what `rerun_best_hyperparams.py` makes of it.

list + base of another study  ->  FOLDER/study.yaml      built by Snakemake
                              ->  FOLDER/rank1_seed1.yaml ...     what each trial trains
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.agents.sweep_study import KEPT
from resweep.canonical import digest
from resweep.errors import ConfigError
from resweep.files import write_atomically
from resweep.jobs.initial_weights import check_initial_weights
from resweep.paths import STUDY, Layout
from resweep.ranking.selection import plan_rerun
from resweep.study.find_results import sweep_label
from resweep.study.kinds.rerun import RerunPhase
from resweep.study.load import load_study
from resweep.study.study import Study
from resweep.study.study_file import read_study_file

PHASE = "rerun"


@dataclass(frozen=True)
class RerunStudy:
    """A rerun by hand.

    Attributes:
        study: Its study.
        file: The study's file.
        configs: What each trial trains.
    """

    study: Study
    file: Path
    configs: tuple[Path, ...]


def create_rerun(
    best: Path,
    base_study: Path,
    config_dir: Path,
    folder: Path,
    layout: Layout,
    *,
    top: int | None,
    seeds: Sequence[int],
    changes: dict[str, Any],
) -> RerunStudy:
    """Write the study of a list of best configurations, and what its trials train.

    Files of an earlier call in the folder are replaced.

    Args:
        best: The list.
        base_study: Study whose modules, values and settings are used, but not its phases.
        config_dir: Where modules are.
        folder: Where to write.
        layout: Of the results folder.
        top: How many of the list; None: all.
        seeds: For each; empty: that of the configuration.
        changes: path -> value, above the configurations of the list.

    Raises:
        ConfigError: All that is wrong; nothing is written then.
    """
    problems = read_study_file(base_study).problems
    if problems:
        raise ConfigError(problems)
    base = yaml12.load_mapping(base_study)
    phase: dict[str, Any] = {"name": PHASE, "kind": "rerun", "of": str(best)}
    phase |= {"top": top} if top is not None else {}
    phase |= {"seeds": list(seeds)} if seeds else {}
    phase |= {"set": changes} if changes else {}
    content = {**{key: base[key] for key in KEPT if key in base}, "phases": [phase]}
    name = f"{sweep_label(best.stem)}-{digest([yaml12.load(best), content], 8)}"
    file, draft = folder / STUDY, folder / f".{STUDY}"
    write_atomically(draft, yaml12.dump({"name": name, **content}))
    try:
        study = load_study(draft, config_dir)
        check_initial_weights([study], layout)
        rerun = study.phase(PHASE)
        assert isinstance(rerun, RerunPhase)
        trials = plan_rerun(best, rerun.trials, **rerun.plan())
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)
    for old in folder.glob("rank*_seed*.yaml"):  # of a longer list, or other seeds
        old.unlink()
    configs = []
    for position, trial in enumerate(trials):
        rank, seed = divmod(position, len(rerun.seeds))
        path = folder / f"rank{rank + 1}_seed{rerun.seeds[seed]}.yaml"
        write_atomically(path, yaml12.dump(trial.config))
        configs.append(path)
    return RerunStudy(study, file, tuple(configs))
