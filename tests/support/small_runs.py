"""Runs of a system small enough for a test: configurations, data and learners without a store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import assign_paths, nest
from resweep.data import store
from resweep.data.store import Prepared
from resweep.paths import Layout
from resweep.store.identity import resolve
from resweep.systems.registry import find_system
from resweep.training.learner import Learner
from resweep.training.place import Place
from resweep.training.processes import ALONE, Processes

CPU = torch.device("cpu")


class SmallRuns:
    """Runs of a system.

    Args:
        system: Its name.
        settings: What is not as in its defaults: path -> value.
    """

    def __init__(self, system: str, settings: Mapping[str, Any]):
        self.system = find_system(system)
        self._settings = settings

    def configure(self, **changes: Any) -> dict[str, Any]:
        """A complete configuration; `changes` are flat, with `__` for dots. None: the default."""
        flat = {name.replace("__", "."): value for name, value in changes.items()}
        unset = {name for name, value in flat.items() if value is None and name in self._settings}
        kept = {name: value for name, value in self._settings.items() if name not in unset}
        changed = {name: value for name, value in flat.items() if name not in unset}
        given = assign_paths(nest(kept), changed)
        full, problems = compose.validate(Composed(given, {}), "small", self.system.schema)
        assert not problems, problems
        return full

    def prepare(self, config: Mapping[str, Any], folder: Path) -> Prepared:
        """Prepare the data of a configuration."""
        return store.ensure(self.system, config["data"], Layout(folder))

    def make_learner(self, folder: Path, processes: Processes = ALONE, **changes: Any) -> Learner:
        """Return a learner at step 0 with its weights drawn."""
        config = self.configure(**changes)
        data = self.prepare(config, folder)
        place = Place(device=CPU, processes=processes)
        learner = self.system.learner(resolve(config, data), data, place)
        learner.begin()
        return learner
