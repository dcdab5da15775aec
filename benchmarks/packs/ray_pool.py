"""The grid with Ray Tune, two trials at a time, in actors that are reused or not.

    .venv-ray/bin/python -m benchmarks.packs.ray_pool WORKLOAD FOLDER reuse|new

Ray has an environment of its own (`make ray`): it is nobody's dependency.
"""

import json
import sys
from pathlib import Path
from typing import Any

import ray
from ray import tune

from benchmarks.packs.workload import Workload

AT_ONCE = 2


def search(workload: Workload, folder: Path, reuse: bool) -> dict[str, float]:
    """Train all trials; returns their losses.

    Args:
        workload: What to train.
        folder: For Ray's results.
        reuse: Whether an actor trains one trial after the other.
    """

    def train(assigned: dict[str, Any]) -> dict[str, float]:
        from benchmarks.packs.bare_loop import BareLoop

        return {"loss": BareLoop(workload).last_loss(assigned)}

    ray.init(num_cpus=AT_ONCE, include_dashboard=False, logging_level="warning")
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={name: tune.grid_search(values) for name, values in workload.space.items()},
        tune_config=tune.TuneConfig(reuse_actors=reuse, max_concurrent_trials=AT_ONCE),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    results = tuner.fit()
    ray.shutdown()
    return {
        workload.trial_with(result.config or {}): float((result.metrics or {})["loss"])
        for result in results
    }


if __name__ == "__main__":
    file, place, actors = sys.argv[1:]
    found = search(Workload.read(Path(file)), Path(place), actors == "reuse")
    (Path(place) / "losses.json").write_text(json.dumps(found))
