"""The training loop, with metrics, monitors and checkpoints.

each step           a step of the learner (resweep.training.learner)
  every log_steps   a line of metrics.jsonl and timing.jsonl
  every eval_steps  an evaluation, in the same line
  every line        the monitors, which may stop the training (resweep.training.monitors)
  when due          a checkpoint, from which a killed run continues bit for bit
                    (resweep.training.checkpoint_schedule)
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch

from resweep.config.training_section import Training
from resweep.training.checkpoint_schedule import CheckpointSchedule
from resweep.training.clock import Clock, peak_flops
from resweep.training.learner import Learner
from resweep.training.metrics import MetricLog, finite
from resweep.training.monitors import Monitors, Stop

log = logging.getLogger(__name__)


class LoopEnd(Enum):
    """Why the loop returned."""

    REACHED = "reached"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    DIVERGED = "diverged"


@dataclass(frozen=True, kw_only=True)
class LoopPlan:
    """How to train.

    Attributes:
        training: The section; `max_steps` is a number.
        until: Step to stop at, at most the horizon.
        device: Where to train.
        world_size: Number of processes that train together.
        unit: The system's unit: token, image.
        metric: Name of the metric that decides which checkpoints are kept.
        training_loss: Name of the training loss in each line, or None.
    """

    training: Training
    until: int
    device: torch.device
    unit: str
    metric: str
    training_loss: str | None
    world_size: int = 1

    @property
    def max_steps(self) -> int:
        """The horizon."""
        assert self.training.max_steps is not None, "resolved"
        return self.training.max_steps

    @property
    def watched(self) -> list[str]:
        """Metrics to show; a run has diverged when one of them is not finite."""
        return [name for name in (self.training_loss, self.metric) if name is not None]


@dataclass(frozen=True)
class Callbacks:
    """Callbacks of the loop.

    Attributes:
        save: Saves a checkpoint of the current state; may write it after returning.
        interrupted: Whether to save and exit.
        beat: Called with the step regularly, to renew the lease and report the step.
        is_best: Called with a step and its value of the metric; whether to save it as one of the
            best.
    """

    save: Callable[[], None]
    interrupted: Callable[[], bool]
    beat: Callable[[int], None]
    is_best: Callable[[int, float], bool] = lambda step, value: False


def train(
    learner: Learner,
    plan: LoopPlan,
    metrics: MetricLog,
    timing: MetricLog,
    callbacks: Callbacks,
    monitors: Monitors,
) -> LoopEnd:
    """Train as planned, writing metrics and checkpoints on the way.

    Args:
        learner: The starting state; holds the result afterwards.
        plan: How far, and how.
        metrics: Log of reproducible values, by step.
        timing: Log of speed and memory, by step.
        callbacks: For saving, interruption and the lease.
        monitors: Have seen the metrics up to the learner's step; get all later lines.
    """
    training = plan.training

    def write(values: Mapping[str, Any]) -> Stop | None:
        metrics.write(learner.step, values)
        return monitors.see({"step": learner.step, **finite(values)})

    if learner.step == 0:
        start = learner.evaluate()
        if _diverged(plan, start, 0):
            return LoopEnd.DIVERGED
        write(start)
    if monitors.stop is not None:
        return LoopEnd.STOPPED
    peak = peak_flops(plan.device, training.precision) * plan.world_size
    clock = Clock(learner, plan.unit, plan.device, peak)
    checkpoints = CheckpointSchedule(training, plan.until, monitors.on)
    leaving = False

    def save() -> None:
        checkpoints.saved()
        clock.paused(callbacks.save)

    while learner.step < plan.until:
        due = checkpoints.due(learner.step + 1)
        complete = not checkpoints.wants_gradients or due or leaving
        complete = complete or checkpoints.may_follow(learner.step + 1)
        learner.train_step(checkpoints.wants_gradients and complete)
        step = learner.step
        last = step == plan.max_steps
        values: dict[str, Any] = {}
        if step % training.log_steps == 0 or last:
            values |= learner.interval_metrics()
            timing.write(step, clock.measure())
            if _diverged(plan, values, step):
                return LoopEnd.DIVERGED
        if step % training.eval_steps == 0 or last:
            values |= clock.paused(learner.evaluate)
            if _diverged(plan, values, step):  # in the last update, after the training loss
                return LoopEnd.DIVERGED
            if plan.metric in values:
                due |= callbacks.is_best(step, values[plan.metric])
        if values:
            stop = write(values)
            clock.progress(plan.until, values, plan.watched)
            if stop is not None:
                log.info("stopped at step %d: %s", step, stop.reason)
                return LoopEnd.STOPPED
        leaving = leaving or callbacks.interrupted()
        if leaving and complete:  # else one step later, with gradients
            save()
            return LoopEnd.INTERRUPTED
        if due and step < plan.until:
            save()
        callbacks.beat(step)
    return LoopEnd.REACHED


def _diverged(plan: LoopPlan, values: Mapping[str, Any], step: int) -> bool:
    for name in plan.watched:
        if name in values and not math.isfinite(values[name]):
            log.warning("diverged: %s is %s at step %d", name, values[name], step)
            return True
    return False
