"""The results that a command line names: of a study, or of a sweep by any of its names."""

from pathlib import Path

from resweep import yaml12
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout, SweepFolder


def study_of_results(given: str, layout: Layout) -> str:
    """Return the name of the study whose results are meant.

    Args:
        given: The study's name or file; or a sweep's id, also as W&B writes it
            (ENTITY/PROJECT/ID), or its name without the id, if no other sweep has it.
        layout: Of the results folder.

    Raises:
        ConfigError: Several sweeps have this name.
    """
    if "/" not in given and layout.study(given).path.is_dir():
        return given
    if Path(given).suffix in (".yaml", ".yml") and Path(given).is_file():
        return str(yaml12.load_mapping(Path(given)).get("name", given))
    name = given.rpartition("/")[2]
    sweeps = layout.sweeps()
    by_id = [sweep for sweep in sweeps if sweep.path.name == name]
    found = [study_of_sweep(sweep) for sweep in by_id or sweeps]
    if not by_id:
        found = [study for study in found if name in (study, study.rpartition("-")[0])]
    if len(found) > 1:
        hint = f"several sweeps have this name; there are: {', '.join(found)}"
        raise ConfigError(Problem(str(layout.sweeps_folder), "study", given, hint))
    return found[0] if found else given


def study_of_sweep(sweep: SweepFolder) -> str:
    """Return the name of the study around a sweep: the sweep's name and its id."""
    return str(yaml12.load_mapping(sweep.study)["name"])
