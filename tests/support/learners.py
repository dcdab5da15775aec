"""Language models, made and trained as the store does it, but without a store."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from resweep.data.store import Prepared
from resweep.paths import METRICS, TIMING
from resweep.training.gradient_learner import GradientLearner
from resweep.training.loop import Callbacks, LoopEnd, LoopPlan, train
from resweep.training.metrics import MetricLog, parse
from resweep.training.monitors import Monitors
from resweep.training.place import Place
from resweep.training.processes import ALONE, Processes
from tests.support.language import SYSTEM, stop_rules

CPU = torch.device("cpu")


def make_learner(
    config: Mapping[str, Any],
    data: Prepared,
    device: torch.device = CPU,
    processes: Processes = ALONE,
) -> GradientLearner:
    """Return the learner of a resolved configuration."""
    learner = SYSTEM.learner(config, data, Place(device=device, processes=processes))
    assert isinstance(learner, GradientLearner)
    return learner


def continued(file: Path, step: int) -> MetricLog:
    """Return the log of a training that continues from a step; from 0, without earlier lines."""
    before = parse(file.read_bytes()).content_up_to(step) if step and file.exists() else b""
    return MetricLog(file, before)


def train_to(
    learner: GradientLearner,
    until: int,
    folder: Path,
    save: Callable[[], None] = lambda: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> LoopEnd:
    """Train a learner to a step, without monitors; its metric files are in a folder."""
    plan = LoopPlan(
        training=learner.training,
        until=until,
        device=learner.device,
        unit=SYSTEM.unit,
        metric=SYSTEM.metric,
        training_loss=SYSTEM.training_loss,
    )
    callbacks = Callbacks(save, interrupted, lambda step: None)
    with (
        closing(continued(folder / METRICS, learner.step)) as metrics,
        closing(continued(folder / TIMING, learner.step)) as timing,
    ):
        return train(learner, plan, metrics, timing, callbacks, Monitors(stop_rules()))
