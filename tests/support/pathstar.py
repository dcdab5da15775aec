"""PathStar: configurations, prepared graphs and learners without a store."""

from pathlib import Path
from typing import Any

from resweep.systems.pathstar.objective import PathStarObjective
from resweep.systems.pathstar.sections import Data
from resweep.training.gradient_learner import GradientLearner
from resweep.training.processes import ALONE, Processes
from tests.support.small_runs import SmallRuns

RUNS = SmallRuns(
    "pathstar",
    {
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
    },
)
SYSTEM, configure, prepare = RUNS.system, RUNS.configure, RUNS.prepare


def graph(**fields: Any) -> Data:
    """A data section."""
    return Data.model_validate(fields)


def make_learner(
    folder: Path, processes: Processes = ALONE, **changes: Any
) -> tuple[GradientLearner, PathStarObjective]:
    """Return a learner at step 0 with its weights drawn, and its objective."""
    learner = RUNS.make_learner(folder, processes, **changes)
    assert isinstance(learner, GradientLearner)
    assert isinstance(learner.objective, PathStarObjective)
    return learner, learner.objective
