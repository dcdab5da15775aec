"""Early stopping: monitors that read the lines of metrics.jsonl and decide where a trial stops.

    a line, as it is written   ->  Monitors.see  ->  Stop or None
    the lines of a file        ->  first_stop    ->  the same Stop or None

Monitors depend on the lines alone, so their decisions can be reproduced from the file: after a
training was killed, for a run that was trained further without them, or under other settings.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

from resweep.canonical import digest
from resweep.config.early_stopping_section import EarlyStopping
from resweep.config.metric import MetricGoal, sign_of
from resweep.plurals import counted

RULES = ("loss-flat", "loss-rising", "plateau", "divergence")  # what stops are called


@dataclass(frozen=True, kw_only=True)
class StopRules:
    """Which monitors a trial has, and what they watch.

    Attributes:
        settings: Of all monitors.
        training_loss: Name of the loss in each line; None turns its monitors off.
        metric: Name of the metric that should improve with each evaluation.
        goal: Of that metric.
        horizon: The run's last step, at which monitors no longer stop it.
    """

    settings: EarlyStopping
    training_loss: str | None
    metric: str
    goal: MetricGoal
    horizon: int | None = None

    @property
    def on(self) -> bool:
        """Whether any monitor is on."""
        return self.settings.on

    def content(self) -> dict[str, Any]:
        """Return the rules as plain values."""
        return asdict(self) | {"settings": self.settings.model_dump(mode="json")}

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "StopRules":
        """Make rules from the result of `content`."""
        return cls(**{**content, "settings": EarlyStopping.model_validate(content["settings"])})


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A decision to stop.

    Attributes:
        step: Of the line that triggered it.
        rule: loss-flat, loss-rising, plateau or divergence.
        status: For the trial's record.
        reason: The values, and what they were compared with.
        settings: The settings that the rule depends on.
    """

    step: int
    rule: str
    status: Literal["stopped", "diverged"]
    reason: str
    settings: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Rule and digest of its settings: equal names at equal steps mean the same stop."""
        return f"{self.rule}-{settings_digest(self.settings)}"


def settings_digest(settings: tuple[Any, ...]) -> str:
    """Digest of a monitor's settings: the last part of the names of its stops."""
    return digest(list(settings), 6)


class Monitor(Protocol):
    """A stop rule that reads line by line.

    Attributes:
        settings: That its stops depend on.
    """

    settings: tuple[Any, ...]

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Read the next line; returns a stop if the training should end there."""


class Monitors:
    """The monitors that the rules turn on.

    Args:
        rules: Which ones, and what they watch.

    Attributes:
        stop: The first stop, if any.
    """

    def __init__(self, rules: StopRules):
        self.horizon = rules.horizon
        self.stop: Stop | None = None
        settings, loss = rules.settings, rules.training_loss
        self._monitors: list[Monitor] = []  # at one line, the first that fires counts
        if settings.divergence_factor is not None and loss is not None:
            self._monitors.append(
                DivergenceMonitor(loss, settings.divergence_factor, settings.loss_smoothing)
            )
        if settings.loss_patience is not None and loss is not None:
            self._monitors.append(
                LossMonitor(
                    loss,
                    settings.loss_patience,
                    settings.loss_relative_flat_tolerance,
                    settings.loss_min_steps_before_check,
                    settings.loss_smoothing,
                )
            )
        if settings.plateau_patience is not None:
            self._monitors.append(
                PlateauMonitor(
                    rules.metric,
                    rules.goal,
                    settings.plateau_patience,
                    settings.plateau_min_delta,
                )
            )

    @property
    def settings_digests(self) -> set[str]:
        """The last parts of the names of their stops."""
        return {settings_digest(monitor.settings) for monitor in self._monitors}

    @property
    def on(self) -> bool:
        """Whether any may stop the training."""
        return bool(self._monitors)

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Read the next line of metrics.jsonl; returns a stop if the training ends there."""
        if self.horizon is None or line["step"] < self.horizon:
            stops = [monitor.see(line) for monitor in self._monitors]
            self.stop = self.stop or next(filter(None, stops), None)
        return self.stop


def first_stop(lines: Iterable[Mapping[str, Any]], rules: StopRules) -> Stop | None:
    """Return where a training with these lines stops, or None.

    Args:
        lines: All lines of metrics.jsonl.
        rules: Which monitors are on.
    """
    monitors = Monitors(rules)
    return next(filter(None, map(monitors.see, lines)), None)


class LossMonitor:
    """Stops a training whose loss rises or is flat.

    Over the last `patience` smoothed values, flat means that each relative change is at most the
    tolerance; rising means that each value is higher than the one before, and they are not flat.

    Args:
        metric: Name of the loss.
        patience: Number of values, at least two.
        tolerance: Relative change that counts as flat.
        min_steps: First step that can stop.
        smoothing: Of the loss; 0: none.
    """

    def __init__(
        self, metric: str, patience: int, tolerance: float, min_steps: int, smoothing: float
    ):
        self.settings = (patience, tolerance, min_steps, smoothing)
        self.metric = metric
        self.patience = patience
        self.tolerance = tolerance
        self.min_steps = min_steps
        self._mean = SmoothedMean(smoothing)
        self._last: list[float] = []

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Read the next line; lines without the loss are skipped."""
        if self.metric not in line:
            return None
        self._last = [*self._last, self._mean.take(line[self.metric])][-self.patience :]
        if len(self._last) < self.patience or line["step"] < self.min_steps:
            return None
        flat = all(abs(b - a) <= self.tolerance * abs(a) for a, b in pairwise(self._last))
        if not flat and not all(b > a for a, b in pairwise(self._last)):
            return None
        values = ", ".join(f"{value:.5g}" for value in self._last)
        shape = "flat" if flat else "rising"
        limit = f" (relative changes of at most {self.tolerance:.3g})" if flat else ""
        return Stop(
            step=line["step"],
            rule=f"loss-{shape}",
            status="stopped",
            reason=f"{self.metric} is {shape}: {values}{limit}{self._mean.note}",
            settings=self.settings,
        )


class PlateauMonitor:
    """Stops a training whose validation metric no longer improves.

    Args:
        metric: Its name.
        goal: Whether less or more is better.
        patience: Number of evaluations in a row without improvement; the one at step 0 is the first
            to improve on.
        min_delta: Smallest difference to the best value that counts as an improvement (exclusive).
    """

    def __init__(self, metric: str, goal: MetricGoal, patience: int, min_delta: float):
        self.settings = (metric, patience, min_delta)
        self.metric = metric
        self.sign = sign_of(goal)
        self.patience = patience
        self.min_delta = min_delta
        self._best: tuple[float, int] | None = None  # value, step
        self._without = 0

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Read the next line; lines without the metric, or not a finite one, are skipped."""
        value, step = line.get(self.metric), line["step"]
        if value is None or not math.isfinite(value):
            return None
        if self._best is None or self.sign * value < self.sign * self._best[0] - self.min_delta:
            self._best, self._without = (value, step), 0
            return None
        self._without += 1
        if self._without < self.patience:
            return None
        best, best_step = self._best
        return Stop(
            step=step,
            rule="plateau",
            status="stopped",
            reason=f"{self.metric} has plateaued at {value:.5g}: "
            f"{counted(self._without, 'evaluation')} without improving on {best:.5g} "
            f"(step {best_step}) by more than {self.min_delta:.3g}",
            settings=self.settings,
        )


class DivergenceMonitor:
    """Stops a training whose loss blows up.

    Args:
        metric: Name of the loss.
        factor: Stops when the loss exceeds this multiple of its lowest smoothed value.
        smoothing: Of the loss; 0: none.
    """

    def __init__(self, metric: str, factor: float, smoothing: float):
        self.settings = (factor, smoothing)
        self.metric = metric
        self.factor = factor
        self._mean = SmoothedMean(smoothing)
        self._lowest: float | None = None

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Read the next line; lines without the loss are skipped."""
        if self.metric not in line:
            return None
        value = line[self.metric]
        if self._lowest is not None and value > self.factor * self._lowest:
            return Stop(
                step=line["step"],
                rule="divergence",
                status="diverged",
                reason=f"{self.metric} diverged: {value:.5g} is more than {self.factor:.3g} times "
                f"its lowest value, {self._lowest:.5g}{self._mean.note}",
                settings=self.settings,
            )
        mean = self._mean.take(value)
        self._lowest = mean if self._lowest is None else min(self._lowest, mean)
        return None


class SmoothedMean:
    """Exponential moving average, with Adam's bias correction (Kingma and Ba 2015, section 3).

    Args:
        smoothing: How much of the weight of a value its predecessor has, at least 0 and below 1.
    """

    def __init__(self, smoothing: float):
        self.smoothing = smoothing
        self._sum = self._weight = 0.0

    @property
    def note(self) -> str:
        """The smoothing, for a reason."""
        return f" (smoothed by {self.smoothing:.3g})" if self.smoothing else ""

    def take(self, value: float) -> float:
        """Add a value; returns the mean."""
        self._sum = self.smoothing * self._sum + value
        self._weight = self.smoothing * self._weight + 1.0
        return self._sum / self._weight
