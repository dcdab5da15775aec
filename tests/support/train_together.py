"""Trains what it is told, as one of several processes: for test_processes.py.

torchrun --standalone --nproc-per-node=2 train_together.py FOLDER '[{"engine": "zero2", ...}, ...]'

A job has an engine, the name of the folder that it writes, and may have a checkpoint to start from,
steps to save at, and a step of which a gradient is infinite. Rank 0 writes result.json and
checkpoints.
"""

import json
import math
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from resweep.training.device import pick_device
from resweep.training.mirror import mirror_rank_zero
from resweep.training.processes import ALONE, Processes
from tests.support import tiny
from tests.support.learners import make_learner

STEPS = 50
CHANGES = {
    "training__max_steps": STEPS,
    "training__batch_size": 4,
    "training__gradient_accumulation_steps": 3,
    "training__max_gpu_batch_size": 2,
    "training__grad_clip": 0.3,
    "model__dropout": 0.1,
}


def train(folder: Path, job: dict[str, Any], processes: Processes = ALONE) -> None:
    """Do one job, as rank 0."""
    data = tiny.prepare(folder / "data")
    config = tiny.configure(
        data,
        training__distributed=job["engine"],
        training__processes=processes.world_size,
        **CHANGES | job.get("changes", {}),
    )
    processes.broadcast("build", config, data)
    learner = make_learner(config, data, processes=processes)
    if "start" in job:
        learner.load(folder / job["start"])
    out = folder / job["out"]
    out.mkdir(parents=True, exist_ok=True)
    bias = dict(learner.objective.model.named_parameters())["transformer.h.0.mlp.c_fc.bias"]
    bias.register_hook(
        lambda grad: grad * math.inf if learner.step + 1 == job.get("spoil") else grad
    )
    losses, norms = {}, {}
    while learner.step < job.get("until", STEPS):
        saves = learner.step + 1 in (*job.get("saves", ()), STEPS)
        learner.train_step(saves)
        metrics = learner.interval_metrics()
        losses[learner.step], norms[learner.step] = metrics["train/loss"], metrics["grad_norm"]
        if saves:
            checkpoint = out / f"checkpoint_{learner.step}"
            checkpoint.mkdir(parents=True)
            learner.snapshot().write(checkpoint)
    result = {"losses": losses, "norms": norms, "val/loss": learner.evaluate()["val/loss"]}
    (out / "result.json").write_text(json.dumps(result))


def main() -> None:
    """Be one of the processes."""
    folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
    processes = Processes(os.environ)
    device = pick_device("cpu")
    processes.join(device)
    if processes.rank > 0:
        mirror_rank_zero(processes, partial(make_learner, processes=processes))
        return
    for job in jobs:
        train(folder, job, processes)
    processes.leave()


if __name__ == "__main__":
    main()
