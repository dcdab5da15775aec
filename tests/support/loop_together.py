"""Trains a loop transformer as one of several processes: for test_processes.py.

torchrun --standalone --nproc-per-node=4 loop_together.py FOLDER ENGINE [START]

Rank 0 writes result.json, and a checkpoint after half of the steps; with START, a training begins
from that one.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from resweep.data.store import Prepared
from resweep.store.identity import resolve
from resweep.training.device import pick_device
from resweep.training.gradient_learner import GradientLearner
from resweep.training.mirror import mirror_rank_zero
from resweep.training.place import Place
from resweep.training.processes import ALONE, Processes
from tests.support.loop_transformer import SYSTEM, configure, prepare
from tests.support.small_runs import CPU

STEPS, HALF = 16, 7
CHANGES = {"training__eval_batch_size": 6, "training__max_gpu_batch_size": 1}


def build(config: dict[str, Any], data: Prepared, processes: Processes) -> GradientLearner:
    """Return a learner at its begin."""
    learner = SYSTEM.learner(config, data, Place(device=CPU, processes=processes))
    assert isinstance(learner, GradientLearner)
    return learner


def train(
    folder: Path, engine: str, start: Path | None = None, processes: Processes = ALONE
) -> None:
    """Train as rank 0; the folder must exist."""
    config = configure(
        training__distributed=engine, training__processes=processes.world_size, **CHANGES
    )
    data = prepare(config, folder / "data")
    resolved = resolve(config, data)
    processes.broadcast("build", resolved, data)
    learner = build(resolved, data, processes)
    if start is None:
        learner.begin()
    else:
        learner.load(start)
    losses = {}
    while learner.step < STEPS:
        learner.train_step()
        losses[learner.step] = learner.interval_metrics()["train/loss"]
        if learner.step == HALF:
            checkpoint = folder / "checkpoint"
            checkpoint.mkdir()
            learner.snapshot().write(checkpoint)
    result = {"losses": losses, "test": learner.evaluate()}
    (folder / "result.json").write_text(json.dumps(result))


def main() -> None:
    """Be one of the processes."""
    folder, engine, *start = sys.argv[1:]
    processes = Processes(os.environ)
    processes.join(pick_device("cpu"))
    if processes.rank > 0:
        mirror_rank_zero(processes, partial(build, processes=processes))
        return
    train(Path(folder), engine, *map(Path, start), processes=processes)
    processes.leave()


if __name__ == "__main__":
    main()
