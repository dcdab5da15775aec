"""The stop rules of a configuration: its monitors, and the metrics that they watch."""

from collections.abc import Mapping
from typing import Any

from resweep.config.early_stopping_section import EarlyStopping
from resweep.systems.registry import system_of
from resweep.training.monitors import StopRules


def stop_rules(config: Mapping[str, Any]) -> StopRules:
    """Return the stop rules of a configuration; without `max_steps` they have no horizon."""
    system = system_of(config)
    settings = EarlyStopping.model_validate(config["early_stopping"])
    name = settings.plateau_metric or system.metric
    metric = system.find_metric(name)
    assert metric is not None, "checked with the configuration"
    return StopRules(
        settings=settings,
        training_loss=system.training_loss,
        metric=name,
        goal=metric.goal,
        horizon=config["training"]["max_steps"],
    )
