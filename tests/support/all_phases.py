"""A study with all kinds of phases, of seconds."""

from collections.abc import Mapping
from typing import Any

from tests.conftest import Checkout

SEARCH = {
    "method": "bayes",
    "run_cap": 6,
    "seed": 1,
    "metric": {"name": "val/loss", "goal": "minimize"},
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
        "n_layer": {"values": [1, 2]},
    },
    "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2},
}
PHASES: dict[str, dict[str, Any]] = {
    "search": {"kind": "sweep", "sweep": "search", "round_size": 3},
    "focus": {"kind": "resample", "of": "search", "top": 2, "trials": 2, "adaptive": True},
    "rerun": {"kind": "rerun", "of": ["search", "focus"], "top": 1, "seeds": [1, 2, 3]},
    "tune": {
        "kind": "finetune",
        "of": "rerun",
        "base": {"data": "code"},
        "set": {"training.max_steps": 8},
        "sweep": "tune",
    },
}
AFTER = {"search": 4, "focus": 3, "rerun": 2, "tune": 1}  # a phase, and those that follow from it


def write_study(checkout: Checkout, **changes: Mapping[str, Any]) -> None:
    """Write the study, with keys of phases changed."""
    phases = [{"name": name, **keys, **changes.get(name, {})} for name, keys in PHASES.items()]
    publish = {"configs": True, "models": "best"}
    checkout.write_study(phases=phases, publish=publish, score={})


def make_files(checkout: Checkout) -> None:
    """Write the study's files and sweep files."""
    checkout.write("config/sweep/search.yaml", SEARCH)
    checkout.write_sweep("tune", learning_rate=[1e-4, 1e-3])
    data = {"source": "text", "paths": ["src/resweep/training/*.py"]}
    checkout.write("config/data/code.yaml", data)
    write_study(checkout)
