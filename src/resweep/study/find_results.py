"""The results that a command line names: of a study, or of a sweep by any of its names."""

import re
from pathlib import Path

from resweep import yaml12
from resweep.errors import ConfigError, Problem
from resweep.paths import NAME, Layout, SweepFolder

LONGEST_LABEL = 40


def study_of_results(given: str, layout: Layout) -> str:
    """Return the name of the study whose results are meant.

    Args:
        given: The study's name, file or folder of results; or a sweep's id, also as W&B writes it
            (ENTITY/PROJECT/ID), or its name, with or without the id.
        layout: Of the results folder.

    Raises:
        ConfigError: Several sweeps have this name, or nothing can have it.
    """
    study = _find(given.rstrip("/"), layout)
    if not re.fullmatch(NAME, study):
        raise _no_such_results(given, "no such study or sweep", layout)
    return study


def _find(given: str, layout: Layout) -> str:
    if "/" not in given and layout.study(given).path.is_dir():
        return given
    path = Path(given)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return str(yaml12.load_mapping(path).get("name", given))
    if path.is_dir() and path.resolve().parent == layout.root.resolve():
        return path.name
    studies = {sweep.path.name: study_of_sweep(sweep) for sweep in layout.sweeps()}
    name = given.rpartition("/")[2]
    if name in studies:
        return studies[name]
    labels = (name, sweep_label(given))
    found = [
        study for study in studies.values() if name == study or study.rpartition("-")[0] in labels
    ]
    if len(found) > 1:
        raise _no_such_results(given, "several sweeps have this name", layout, found)
    return found[0] if found else given


def _no_such_results(
    given: str, what: str, layout: Layout, found: list[str] | None = None
) -> ConfigError:
    there = found if found is not None else [study_of_sweep(sweep) for sweep in layout.sweeps()]
    hint = f"{what}; there are: {', '.join(there) or 'no sweeps'}"
    return ConfigError(Problem(str(layout.sweeps_folder), "study", given, hint))


def study_of_sweep(sweep: SweepFolder) -> str:
    """Return the name of the study around a sweep: the sweep's name and its id."""
    return str(yaml12.load_mapping(sweep.study)["name"])


def sweep_label(name: str) -> str:
    """Return a sweep's name as it is in the name of its study."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:LONGEST_LABEL] or "sweep"
