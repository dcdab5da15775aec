"""Loop transformers: configurations, prepared puzzles and learners without a store."""

from pathlib import Path
from typing import Any

from resweep.systems.loop_transformer.objective import LoopObjective
from resweep.systems.loop_transformer.sections import THREE_STAGES
from resweep.training.gradient_learner import GradientLearner
from resweep.training.processes import ALONE, Processes
from tests.support.small_runs import SmallRuns

RUNS = SmallRuns(
    "loop_transformer",
    {
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
        "arch.stages": [stage.model_dump(mode="json") for stage in THREE_STAGES],
    },
)
SYSTEM, configure, prepare = RUNS.system, RUNS.configure, RUNS.prepare


def make_learner(
    folder: Path, processes: Processes = ALONE, **changes: Any
) -> tuple[GradientLearner, LoopObjective]:
    """Return a learner at step 0 with its weights drawn, and its objective."""
    learner = RUNS.make_learner(folder, processes, **changes)
    assert isinstance(learner, GradientLearner)
    assert isinstance(learner.objective, LoopObjective)
    return learner, learner.objective
