"""Early stopping: monitors that read the lines of metrics.jsonl and say where a trial stops.

    a line, as it is written   ->  Monitors.see  ->  Stop or None
    the lines of a file        ->  first_stop    ->  the same Stop or None

A monitor knows nothing but the lines, so its decision can be made again from the file alone: for a
training that was killed, for a run that was trained further without it, under other settings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

from resweep.canonical import digest
from resweep.config.schema import EarlyStopping


@dataclass(frozen=True)
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
    """The monitors that the settings switch on.

    Args:
        settings: Of all monitors.
        horizon: The run's last step: there is nothing left to stop at.

    Attributes:
        stop: The first stop that was found.
    """

    def __init__(self, settings: EarlyStopping, horizon: int | None = None):
        self.horizon = horizon
        self.stop: Stop | None = None
        self._monitors: list[Monitor] = []  # the first one that fires at a line gives the reason
        if settings.divergence_factor is not None:
            self._monitors.append(
                DivergenceMonitor(settings.divergence_factor, settings.loss_smoothing)
            )
        if settings.loss_patience is not None:
            self._monitors.append(
                LossMonitor(
                    settings.loss_patience,
                    settings.loss_relative_flat_tolerance,
                    settings.loss_min_steps_before_check,
                    settings.loss_smoothing,
                )
            )
        if settings.plateau_patience is not None:
            self._monitors.append(
                PlateauMonitor(
                    settings.plateau_metric, settings.plateau_patience, settings.plateau_min_delta
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


def first_stop(
    lines: Iterable[Mapping[str, Any]], settings: EarlyStopping, horizon: int | None = None
) -> Stop | None:
    """Return where a training with these lines stops, or None.

    Args:
        lines: Of metrics.jsonl, from the first one on.
        settings: Of all monitors.
        horizon: The run's last step.
    """
    monitors = Monitors(settings, horizon)
    return next(filter(None, map(monitors.see, lines)), None)


class LossMonitor:
    """Stops a training whose loss rises, or does not move.

    Of the last `patience` smoothed values of train/loss, flat means that each change is at most the
    tolerance, relative to the value before it; rising that each is a rise, and not all are flat.

    Args:
        patience: Number of values, at least two.
        tolerance: Share of the loss.
        min_steps: Step of the first line that can stop.
        smoothing: Of the loss; 0 takes it as it is.
    """

    def __init__(self, patience: int, tolerance: float, min_steps: int, smoothing: float):
        self.settings = (patience, tolerance, min_steps, smoothing)
        self.patience = patience
        self.tolerance = tolerance
        self.min_steps = min_steps
        self._mean = _Mean(smoothing)
        self._last: list[float] = []

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Take the next line; one without train/loss says nothing."""
        if "train/loss" not in line:
            return None
        self._last = [*self._last, self._mean.take(line["train/loss"])][-self.patience :]
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
        return Stop(
            line["step"],
            "loss-flat" if flat else "loss-rising",
            "stopped",
            f"train/loss is {'flat' if flat else 'rising'}: {told}: {reason}{self._mean.told}",
            self.settings,
        )


class PlateauMonitor:
    """Stops a training whose validation metric no longer falls.

    Args:
        metric: Its name; less is better.
        patience: Evaluations in a row without improvement that stop, the one at step 0 being the
            first to improve on.
        min_delta: An improvement is more than this below the best.
    """

    def __init__(self, metric: str, patience: int, min_delta: float):
        self.settings = (metric, patience, min_delta)
        self.metric = metric
        self.patience = patience
        self.min_delta = min_delta
        self._best: tuple[float, int] | None = None  # value, step
        self._without = 0

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Take the next line; one without the metric says nothing."""
        if self.metric not in line:
            return None
        value, step = line[self.metric], line["step"]
        if self._best is None or value < self._best[0] - self.min_delta:
            self._best, self._without = (value, step), 0
            return None
        self._without += 1
        if self._without < self.patience:
            return None
        best, best_step = self._best
        return Stop(
            step,
            "plateau",
            "stopped",
            f"{self.metric} is on a plateau: {value:.5g}, after {self._without} evaluations none "
            f"of which was more than {self.min_delta:.3g} below {best:.5g} of step {best_step}",
            self.settings,
        )


class DivergenceMonitor:
    """Stops a training whose loss blows up.

    Args:
        factor: Of the lowest smoothed train/loss so far; a line above it stops.
        smoothing: Of the loss; 0 takes it as it is.
    """

    def __init__(self, factor: float, smoothing: float):
        self.settings = (factor, smoothing)
        self.factor = factor
        self._mean = _Mean(smoothing)
        self._lowest: float | None = None

    def see(self, line: Mapping[str, Any]) -> Stop | None:
        """Take the next line; one without train/loss says nothing."""
        if "train/loss" not in line:
            return None
        value = line["train/loss"]
        if self._lowest is not None and value > self.factor * self._lowest:
            return Stop(
                line["step"],
                "divergence",
                "diverged",
                f"train/loss diverged: {value:.5g} is above {self.factor:.3g} times "
                f"{self._lowest:.5g}, its lowest{self._mean.told}",
                self.settings,
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
