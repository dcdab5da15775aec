"""A random search over trainings of two steps, which cost next to nothing themselves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.packs.workplace import Workplace

OVERRIDES = {
    "model.n_layer": 1,
    "model.n_embd": 16,
    "model.n_head": 2,
    "model.context_length": 16,
    "training.batch_size": 4,
    "training.max_steps": 2,
    "training.pct_warmup": None,
    "training.log_steps": 1,
    "training.eval_steps": 2,
    "training.eval_sequences": 8,
}


def random_search(path: Path, trials: int, resources: Mapping[str, Any] | None = None) -> Workplace:
    """Return a workplace with a random search.

    Args:
        path: Where; must not exist.
        trials: How many.
        resources: Of the study.
    """
    sweep = {
        "method": "random",
        "run_cap": trials,
        "seed": 1,
        "parameters": {
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
            "weight_decay": {"min": 0.0, "max": 0.3},
            "beta2": {"min": 0.9, "max": 0.999},
        },
    }
    return Workplace(path, sweep, OVERRIDES, resources=resources)
