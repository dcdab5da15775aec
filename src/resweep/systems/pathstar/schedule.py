"""The learning rate of PathStar: the shared schedules, over a part of the run."""

from typing import Any

from resweep.systems.pathstar.sections import PathStarTraining
from resweep.training import schedule
from resweep.training.schedule import resolve_warmup


class Schedule:
    """Linear warmup, decay until `lr_decay_frac` of the run, then the minimum.

    Args:
        training: The section.
        max_steps: The horizon.
    """

    def __init__(self, training: PathStarTraining, max_steps: int):
        warmup = resolve_warmup(training.warmup_steps, training.pct_warmup, max_steps)
        self.end = max(warmup + 1, round(training.lr_decay_frac * max_steps))
        peak = training.learning_rate
        ratio = training.min_lr_ratio
        if training.min_lr is not None:
            ratio = min(1.0, training.min_lr / peak)
        changed: dict[str, Any] = {
            "warmup_steps": warmup,
            "pct_warmup": None,
            "min_lr_ratio": ratio,
        }
        if not training.decay_lr:
            changed["scheduler"] = "constant"
        self.shared = training.model_copy(update=changed)

    def rate(self, step: int) -> float:
        """Return the learning rate of optimizer step `step` (from 0)."""
        return schedule.learning_rate(min(step, self.end), self.shared, self.end)
