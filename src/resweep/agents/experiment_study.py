"""The study around the configuration of an experiment: one training of it, or a sweep over it.

    configuration + another study's settings + sweep  ->  results/sweeps/{id}/study.yaml, sweep.yaml

It is a sweep like those of `run_sweep.py`: found by its id or name, and shared by workers. The id
is a hash of the inputs, so that the same command finds the same study again.
"""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.agents.sweep_study import KEPT, PHASE, SweepStudy
from resweep.canonical import canonical_json, digest
from resweep.config.translated import Translated
from resweep.errors import ConfigError, Problem
from resweep.files import file_lock, write_atomically
from resweep.paths import Layout
from resweep.study.find_results import sweep_label
from resweep.study.study_file import read_study_file

SEED = "training.seed"


def create_experiment(
    config: Translated,
    base_study: Path,
    config_dir: Path,
    layout: Layout,
    *,
    name: str,
    sweep: Mapping[str, Any] | None = None,
    sweep_file: Path | None = None,
) -> SweepStudy:
    """Make the study of a configuration, or find it again.

    Args:
        config: What is trained.
        base_study: Study whose modules and settings are used below it, but not its phases.
        config_dir: Where modules are.
        layout: Of the results folder.
        name: Of the experiment.
        sweep: Content of a sweep file, in the names of our fields; None: a single training.
        sweep_file: The file that it is from.

    Raises:
        ConfigError: All errors, each in the file that it comes from; no files remain then.
    """
    problems = read_study_file(base_study).problems
    if problems:
        raise ConfigError(problems)
    base = yaml12.load_mapping(base_study)
    content = {key: base[key] for key in KEPT if key in base}
    content["set"] = {**content.get("set", {}), **config.values}
    content["own"] = [*content.get("own", ()), *config.own]
    if sweep is None:
        sweep = {"method": "grid", "parameters": {SEED: {"values": [config.values.get(SEED, 0)]}}}
    identifier = digest([canonical_json(sweep), content], 8)
    made = SweepStudy(identifier, layout.sweep(identifier), config_dir)
    phase = {"name": PHASE, "kind": "sweep", "sweep": str(made.folder.sweep)}
    study = {"name": f"{sweep_label(name)}-{identifier}", **content, "phases": [phase]}
    with file_lock(made.folder.lock):
        new = not made.folder.study.exists()
        if new:
            write_atomically(made.folder.sweep, yaml12.dump(sweep))
        try:
            made.check(study, None)
        except ConfigError as error:
            if new:
                shutil.rmtree(made.folder.path)
            places = (_given(one, made, config, sweep_file) for one in error.problems)
            raise ConfigError(places) from None
        made.write(study, None)
    return made


def _given(
    problem: Problem, made: SweepStudy, config: Translated, sweep_file: Path | None
) -> Problem:
    """Return a problem of the made study as one of the file where it was given."""
    given = config.of(problem)
    hint = given.hint.replace(str(made.folder.draft), config.origin)
    if sweep_file is not None:
        hint = hint.replace(str(made.folder.sweep), str(sweep_file))
    places = {str(made.folder.draft): config.origin, str(made.folder.sweep): str(sweep_file)}
    return replace(given, file=places.get(problem.file, problem.file), hint=hint)
