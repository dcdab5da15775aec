"""Which steps may be followed by a checkpoint: known beforehand, so that gradients can be kept.

due         every save_steps, or once a minute
may follow  the last step, a line that a monitor may stop at, an evaluation that may be the best
"""

import time

from resweep.config.training_section import Training
from resweep.training.gradients import GradientRequest

SECONDS_BETWEEN_SAVES = 60.0


class CheckpointSchedule:
    """Decides after which steps of a training a checkpoint is or may be saved.

    Args:
        training: The `training` section of the configuration.
        until: The last step to train.
        monitored: Whether monitors may stop it at any line of metrics.
    """

    def __init__(self, training: Training, until: int, monitored: bool):
        self.training = training
        self.until = until
        self.monitored = monitored
        self.wants_gradients = GradientRequest.of(training).gradients
        self.last = time.monotonic()

    def due(self, step: int) -> bool:
        """Whether a checkpoint must be saved after this step."""
        every = self.training.save_steps
        if every:
            return step % every == 0
        return time.monotonic() - self.last > SECONDS_BETWEEN_SAVES

    def may_follow(self, step: int) -> bool:
        """Whether one may be saved after this step: at its end, or for a good evaluation."""
        logged = step % self.training.log_steps == 0
        evaluated = step % self.training.eval_steps == 0
        return (
            step == self.until
            or bool(self.training.keep_best and evaluated)
            or (self.monitored and (logged or evaluated))
        )

    def saved(self) -> None:
        """Note that a checkpoint is being saved."""
        self.last = time.monotonic()
