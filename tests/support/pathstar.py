"""PathStar: configurations, prepared graphs and learners without a store."""

from pathlib import Path
from typing import Any

import torch

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.data import store
from resweep.data.store import Prepared
from resweep.paths import Layout
from resweep.store.identity import resolve
from resweep.systems.pathstar.objective import PathStarObjective
from resweep.systems.pathstar.sections import Data
from resweep.systems.registry import find_system
from resweep.training.gradient_learner import GradientLearner
from resweep.training.place import Place
from resweep.training.processes import ALONE, Processes

SYSTEM = find_system("pathstar")
CPU = torch.device("cpu")
SMALL = {
    "data.graph_d": 12,
    "data.graph_l": 4,
    "data.graph_holdout_percentage": 0.25,
    "model.n_layer": 2,
    "model.n_head": 2,
    "model.n_embd": 16,
    "training.max_steps": 40,
    "training.learning_rate": 1e-2,
    "training.log_steps": 8,
    "training.eval_steps": 20,
    "training.seed": 3,
}


def configure(**changes: Any) -> dict[str, Any]:
    """A complete configuration; `changes` are flat, with `__` for dots. None: not as in SMALL."""
    flat = SMALL | {name.replace("__", "."): value for name, value in changes.items()}
    given = nest({name: v for name, v in flat.items() if v is not None or name not in SMALL})
    full, problems = compose.validate(Composed(given, {}), "small", SYSTEM.schema)
    assert not problems, problems
    return full


def graph(**fields: Any) -> Data:
    """A data section."""
    return Data.model_validate(fields)


def prepare(config: dict[str, Any], folder: Path) -> Prepared:
    """Prepare the graph of a configuration."""
    return store.ensure(SYSTEM, config["data"], Layout(folder))


def make_learner(
    folder: Path, processes: Processes = ALONE, **changes: Any
) -> tuple[GradientLearner, PathStarObjective]:
    """Return a learner at step 0 with its weights drawn, and its objective."""
    config = configure(**changes)
    data = prepare(config, folder)
    learner = SYSTEM.learner(resolve(config, data), data, Place(device=CPU, processes=processes))
    assert isinstance(learner, GradientLearner)
    assert isinstance(learner.objective, PathStarObjective)
    learner.begin()
    return learner, learner.objective
