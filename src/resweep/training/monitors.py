"""Early stopping: monitors that read the lines of metrics.jsonl and say where a trial stops.

    a line, as it is written   ->  Monitors.see  ->  Stop or None
    the lines of a file        ->  first_stop    ->  the same Stop or None

A monitor knows nothing but the lines, so its decision can be made again from the file alone: for a
training that was killed, for a run that was trained further without it, under other settings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

from resweep.canonical import digest
from resweep.config.early_stopping_section import EarlyStopping
from resweep.config.metric import MetricGoal, sign_of


@dataclass(frozen=True, kw_only=True)
class StopRules:
    """Which monitors a trial has, and what they watch.

    Attributes:
        settings: Of all monitors.
        training_loss: Name of the loss of each line; None where the system logs none, and then the
            monitors of it are off.
        metric: Name of the metric that should improve from evaluation to evaluation.
        goal: Of that metric.
        horizon: The run's last step, at which nothing stops it: there is nothing left to stop.
    """

    settings: EarlyStopping
    training_loss: str | None
    metric: str
    goal: MetricGoal
    horizon: int | None = None

    @property
    def on(self) -> bool:
        """Whether any monitor is."""
        return self.settings.on

    def content(self) -> dict[str, Any]:
        """Return the rules as plain values."""
        return asdict(self) | {"settings": self.settings.model_dump(mode="json")}

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "StopRules":
        """Make rules of what `content` gave."""
        return cls(**{**content, "settings": EarlyStopping.model_validate(content["settings"])})


@dataclass(frozen=True, kw_only=True)
class Stop:
    """What a monitor found.

    Attributes:
        step: Of the line that it found it in.
        rule: loss-flat, loss-rising, plateau or divergence.
        status: What the trial's record will say.
        reason: The values that were compared, and with what.
        settings: Those that the rule depends on.
    """

    step: int
    rule: str
    status: Literal["stopped", "diverged"]
    reason: str
    settings: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The rule under its settings: stops of one name at one step are the same fact."""
        return f"{self.rule}-{digest(list(self.settings), 6)}"


class Monitor(Protocol):
    """A stop rule that reads one line after the other."""

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Take the next line; returns a stop if the training should end with it."""


class Monitors:
    """The monitors that the rules switch on.

    Args:
        rules: Which, and what they watch.

    Attributes:
        stop: The first stop that was found.
    """

    def __init__(self, rules: StopRules):
        self.horizon = rules.horizon
        self.stop: Stop | None = None
        settings, loss = rules.settings, rules.training_loss
        self._monitors: list[Monitor] = []  # the first one that fires at a line gives the reason
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
    def on(self) -> bool:
        """Whether any may stop the training."""
        return bool(self._monitors)

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Take the next line of metrics.jsonl; returns a stop if the training ends with it."""
        if self.horizon is None or line["step"] < self.horizon:
            stops = [monitor.see(line) for monitor in self._monitors]
            self.stop = self.stop or next(filter(None, stops), None)
        return self.stop


def first_stop(lines: Iterable[Mapping[str, Any]], rules: StopRules) -> Stop | None:
    """Return where a training with these lines stops, or None.

    Args:
        lines: Of metrics.jsonl, from the first one on.
        rules: Which monitors there are.
    """
    monitors = Monitors(rules)
    return next(filter(None, map(monitors.see, lines)), None)


class LossMonitor:
    """Stops a training whose loss rises, or does not move.

    Of the last `patience` smoothed values, flat means that each change is at most the
    tolerance, relative to the value before it; rising that each is a rise, and not all are flat.

    Args:
        metric: Name of the loss.
        patience: Number of values, at least two.
        tolerance: Share of the loss.
        min_steps: Step of the first line that can stop.
        smoothing: Of the loss; 0 takes it as it is.
    """

    def __init__(
        self, metric: str, patience: int, tolerance: float, min_steps: int, smoothing: float
    ):
        self.settings = (patience, tolerance, min_steps, smoothing)
        self.metric = metric
        self.patience = patience
        self.tolerance = tolerance
        self.min_steps = min_steps
        self._mean = _Mean(smoothing)
        self._last: list[float] = []

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Take the next line; one without the loss says nothing."""
        if self.metric not in line:
            return None
        self._last = [*self._last, self._mean.take(line[self.metric])][-self.patience :]
        if len(self._last) < self.patience or line["step"] < self.min_steps:
            return None
        flat = all(abs(b - a) <= self.tolerance * abs(a) for a, b in pairwise(self._last))
        if not flat and not all(b > a for a, b in pairwise(self._last)):
            return None
        told = ", ".join(f"{value:.5g}" for value in self._last)
        if flat:
            reason = f"no change by more than {self.tolerance:.3g} of it"
        else:
            reason = "each above the one before"
        shape = "flat" if flat else "rising"
        return Stop(
            step=line["step"],
            rule=f"loss-{shape}",
            status="stopped",
            reason=f"{self.metric} is {shape}: {told}: {reason}{self._mean.told}",
            settings=self.settings,
        )


class PlateauMonitor:
    """Stops a training whose validation metric no longer improves.

    Args:
        metric: Its name.
        goal: Whether less is better, or more.
        patience: Evaluations in a row without improvement that stop, the one at step 0 being the
            first to improve on.
        min_delta: An improvement is better than the best by more than this.
    """

    def __init__(self, metric: str, goal: MetricGoal, patience: int, min_delta: float):
        self.settings = (metric, patience, min_delta)
        self.metric = metric
        self.sign = sign_of(goal)
        self.side = "below" if goal == "minimize" else "above"
        self.patience = patience
        self.min_delta = min_delta
        self._best: tuple[float, int] | None = None  # value, step
        self._without = 0

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Take the next line; one without the metric says nothing."""
        if self.metric not in line:
            return None
        value, step = line[self.metric], line["step"]
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
            reason=f"{self.metric} is on a plateau: {value:.5g}, after {self._without} evaluations "
            f"none of which was more than {self.min_delta:.3g} {self.side} {best:.5g} of step "
            f"{best_step}",
            settings=self.settings,
        )


class DivergenceMonitor:
    """Stops a training whose loss blows up.

    Args:
        metric: Name of the loss.
        factor: Of the lowest smoothed value so far; a line above it stops.
        smoothing: Of the loss; 0 takes it as it is.
    """

    def __init__(self, metric: str, factor: float, smoothing: float):
        self.settings = (factor, smoothing)
        self.metric = metric
        self.factor = factor
        self._mean = _Mean(smoothing)
        self._lowest: float | None = None

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Take the next line; one without the loss says nothing."""
        if self.metric not in line:
            return None
        value = line[self.metric]
        if self._lowest is not None and value > self.factor * self._lowest:
            return Stop(
                step=line["step"],
                rule="divergence",
                status="diverged",
                reason=f"{self.metric} diverged: {value:.5g} is above {self.factor:.3g} times "
                f"{self._lowest:.5g}, its lowest{self._mean.told}",
                settings=self.settings,
            )
        mean = self._mean.take(value)
        self._lowest = mean if self._lowest is None else min(self._lowest, mean)
        return None


class _Mean:
    """A mean of all values so far; with each step back they weigh `smoothing` times as much.

    The exponential moving average without the bias towards its start that Adam's moments are
    corrected for too (Kingma and Ba 2015, section 3).
    """

    def __init__(self, smoothing: float):
        self.smoothing = smoothing
        self._sum = self._weight = 0.0

    @property
    def told(self) -> str:
        """How it was smoothed, for a reason."""
        return f" (smoothed by {self.smoothing:.3g})" if self.smoothing else ""

    def take(self, value: float) -> float:
        """Add a value; returns the mean."""
        self._sum = self.smoothing * self._sum + value
        self._weight = self.smoothing * self._weight + 1.0
        return self._sum / self._weight
