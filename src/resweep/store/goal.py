"""What a trial wants of its run: to reach a step, and to have certain files there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from resweep.config.training_section import Training
from resweep.data.store import Prepared
from resweep.paths import Layout
from resweep.store.identity import identity, resolve, run_id
from resweep.systems.registry import system_of
from resweep.systems.stop_rules import stop_rules
from resweep.systems.system import System
from resweep.training.gradients import GradientRequest
from resweep.training.metrics import Intervals
from resweep.training.monitors import StopRules


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A run, and how far a trial wants it.

    Attributes:
        config: The resolved configuration.
        data: Its prepared data.
        stop: Step that the trial asks for; None: the run's horizon.
        weights: Whether the weights at that step are wanted even if they were pruned.
    """

    config: dict[str, Any]
    data: Prepared
    stop: int | None = None
    weights: bool = False

    @cached_property
    def system(self) -> System:
        """What is trained."""
        return system_of(self.config)

    @cached_property
    def run_id(self) -> str:
        """Name of the run."""
        return run_id(self.config, self.data)

    @property
    def identity(self) -> dict[str, Any]:
        """All that determines the run's numbers."""
        return identity(self.config, self.data)

    @cached_property
    def settings(self) -> Any:
        """The configuration as typed sections: `settings.training.batch_size`."""
        return self.system.schema.validate(self.config)

    @property
    def training(self) -> Training:
        """The `training` section."""
        section: Training = self.settings.training
        return section

    @property
    def max_steps(self) -> int:
        """The run's horizon."""
        return int(self.config["training"]["max_steps"])

    @property
    def until(self) -> int:
        """The step asked for: at most the horizon."""
        return self.max_steps if self.stop is None else min(self.stop, self.max_steps)

    @property
    def intervals(self) -> Intervals:
        """When the run logs."""
        return Intervals.of(self.config["training"], self.max_steps)

    @cached_property
    def rules(self) -> StopRules:
        """The monitors that may stop the trial before."""
        return stop_rules(self.config)

    @property
    def gradients(self) -> GradientRequest:
        """The gradients that the checkpoint of that step should have."""
        return GradientRequest.of(self.training)


def goal_of(
    config: Mapping[str, Any],
    stop: int | None,
    data: Prepared,
    layout: Layout,
    weights: bool = False,
) -> Goal:
    """Return the goal of a trial, its configuration resolved.

    Args:
        config: The trial's.
        stop: Step that it asks for.
        data: Its data.
        layout: Of the results folder.
        weights: Whether its weights are wanted even if they were pruned.

    Raises:
        ConfigError, DataError: It cannot be trained.
        StoreError: Weights to start from are missing.
    """
    return Goal(config=resolve(config, data, layout), data=data, stop=stop, weights=weights)
