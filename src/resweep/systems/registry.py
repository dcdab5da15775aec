"""The available systems: folders beside this module with a module `system`."""

import contextlib
import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resweep.config.metric import Metric
from resweep.config.schema import SYSTEM
from resweep.errors import ConfigError, Problem
from resweep.files import is_file
from resweep.systems.system import DEFAULT, System

SHARED = ("training", "early_stopping", "run")  # sections of every system
_FOLDER = Path(__file__).parent


def system_names() -> list[str]:
    """Return the names of all systems, sorted."""
    return sorted(path.parent.name for path in _FOLDER.glob("*/system.py"))


@functools.cache
def find_system(name: str = DEFAULT, where: str = "study") -> System:
    """Return a system by its name.

    Args:
        name: Of its folder.
        where: The file that names it, for the error.

    Raises:
        ConfigError: No such system; lists the existing ones. Or its module cannot be loaded.
    """
    if not is_system(name):
        known = system_names()
        hint = f"no such system; there are: {', '.join(known) or 'none'}"
        raise ConfigError(Problem(where, SYSTEM, name, hint))
    file = str(system_file(name))
    try:
        system: System = importlib.import_module(f"{__package__}.{name}.system").SYSTEM
    except Exception as error:
        hint = f"cannot be loaded: {type(error).__name__}: {error}"
        raise ConfigError(Problem(file, SYSTEM, name, hint)) from error
    if system.name != name:
        hint = f"should be the name of the folder, {name}"
        raise ConfigError(Problem(file, "SYSTEM.name", system.name, hint))
    if system.find_metric(system.metric) is None:
        hint = "should be the name of one of its metrics"
        raise ConfigError(Problem(file, "SYSTEM.metric", system.metric, hint))
    return system


def system_file(name: str) -> Path:
    """Return the file of a system's module."""
    return _FOLDER / name / "system.py"


def is_system(name: object) -> bool:
    """Whether there is a system of this name: runs may be of one that was removed."""
    return isinstance(name, str) and name.isidentifier() and is_file(system_file(name))


def system_of(config: Mapping[str, Any]) -> System:
    """Return the system of a configuration; raises ConfigError."""
    name = config.get(SYSTEM, DEFAULT)
    if not isinstance(name, str):
        raise ConfigError(Problem("study", SYSTEM, name, "should be the name of a system"))
    return find_system(name)


def all_systems() -> list[System]:
    """Return all systems."""
    return [find_system(name) for name in system_names()]


def other_systems(name: str, system: str) -> list[str]:
    """Return what a name means in other systems: `data.graph_d of pathstar`.

    Args:
        name: That no part of `system` reads. Sections that all systems have are not looked at:
            what one of them adds there has a common name.
        system: The name of the system that is trained.
    """
    found = []
    for other in system_names():
        with contextlib.suppress(ConfigError):  # it cannot be loaded
            schema = find_system(other).schema
            paths = [*schema.fields.get(name, ()), *({name} & schema.paths)]
            known = [path for path in paths if path.partition(".")[0] not in SHARED]
            found += [f"{path} of {other}" for path in known if other != system]
    return found


def metric_of(config: Mapping[str, Any], name: str, where: str = "study") -> Metric:
    """Return a metric of a configuration's system, whether its own training logs it or not.

    Args:
        config: The configuration.
        name: Of the metric.
        where: The file that names it, for the error.

    Raises:
        ConfigError: The system has no such metric; lists those that it has.
    """
    system = system_of(config)
    metric = system.find_metric(name)
    if metric is None:
        known = ", ".join(metric.name for metric in system.metrics)
        hint = f"is not logged by {system.name}; there are: {known}"
        raise ConfigError(Problem(where, "metric", name, hint))
    return metric
