"""The runs in saved_models, from Python.

from straightening_dynamics.train.run_manager import RunManager

RunManager().update_metrics(run_id, {"my_custom_metric": 0.5})
"""

from pathlib import Path

from resweep.agents.run_manager import RunManager as Manager
from resweep.paths import Layout

HOME = Path(__file__).resolve().parents[2]


class RunManager(Manager):
    """The runs of this folder; `resweep.agents.run_manager` describes what it can do.

    Args:
        base_dir: The folder of the runs, of which results/runs is a link.
    """

    def __init__(self, base_dir: str | Path = HOME / "saved_models"):
        store = Path(base_dir).resolve()
        runs = Layout(store.parent / "results").runs
        if not runs.exists():  # nothing was trained here yet
            runs.parent.mkdir(exist_ok=True)
            runs.symlink_to(Path("..", store.name))
        super().__init__(runs)
