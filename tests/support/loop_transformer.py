"""Loop transformers: configurations, prepared puzzles and learners without a store."""

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
from resweep.systems.loop_transformer.objective import LoopObjective
from resweep.systems.loop_transformer.sections import THREE_STAGES
from resweep.systems.registry import find_system
from resweep.training.gradient_learner import GradientLearner
from resweep.training.place import Place
from resweep.training.processes import ALONE, Processes

SYSTEM = find_system("loop_transformer")
CPU = torch.device("cpu")
SMALL = {
    "data.size": 4,
    "data.train_puzzles": 40,
    "data.test_puzzles": 20,
    "arch.hidden_size": 16,
    "arch.num_heads": 2,
    "arch.outer_cycles": 2,
    "arch.halt_max_steps": 4,
    "training.batch_size": 8,
    "training.max_steps": 40,
    "training.learning_rate": 1e-2,
    "training.ema_rate": 0.9,
    "training.log_steps": 8,
    "training.eval_steps": 20,
    "training.seed": 3,
}


def configure(**changes: Any) -> dict[str, Any]:
    """A complete configuration; `changes` are flat, with `__` for dots. None: not as in SMALL."""
    flat = {name.replace("__", "."): value for name, value in changes.items()}
    unset = {name for name, value in flat.items() if value is None and name in SMALL}
    small = nest({name: value for name, value in SMALL.items() if name not in unset})
    small["arch"]["stages"] = [stage.model_dump(mode="json") for stage in THREE_STAGES]
    given = assign_paths(small, {k: value for k, value in flat.items() if k not in unset})
    full, problems = compose.validate(Composed(given, {}), "small", SYSTEM.schema)
    assert not problems, problems
    return full


def prepare(config: dict[str, Any], folder: Path) -> Prepared:
    """Prepare the puzzles of a configuration."""
    return store.ensure(SYSTEM, config["data"], Layout(folder))


def make_learner(
    folder: Path, processes: Processes = ALONE, **changes: Any
) -> tuple[GradientLearner, LoopObjective]:
    """Return a learner at step 0 with its weights drawn, and its objective."""
    config = configure(**changes)
    data = prepare(config, folder)
    learner = SYSTEM.learner(resolve(config, data), data, Place(device=CPU, processes=processes))
    assert isinstance(learner, GradientLearner)
    assert isinstance(learner.objective, LoopObjective)
    learner.begin()
    return learner, learner.objective
