"""Amounts that trainings take: added up, and compared, where some of them are unknown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from resweep.data.store import Prepared
from resweep.report.measured import Measured
from resweep.store.disk_bound import find_disk_bound
from resweep.store.retention import Policy
from resweep.systems.registry import system_of


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """What trainings take at most; None: unknown.

    Attributes:
        steps: Optimizer steps.
        units: What they train on, in the system's unit.
        flops: Floating-point operations of these steps.
        disk: Bytes in the run store while they train, and until their phase is ranked.
        weights: Bytes of checkpoints once they have ended.
        metrics: Bytes of metrics and other small files.
        seconds: Of a GPU, or of a core, as far as runs like these were measured: an estimate.
    """

    steps: int | None = 0
    units: int | None = 0
    flops: float | None = 0.0
    disk: int | None = 0
    weights: int | None = 0
    metrics: int | None = 0
    seconds: float | None = 0.0

    def times(self, count: int) -> "Amounts":
        """Return those of several trainings alike."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return Amounts(**{k: None if v is None else v * count for k, v in values.items()})


def add(several: Iterable[Amounts]) -> Amounts:
    """Return the sum of amounts; unknown where one of them is."""
    rows = list(several)
    return Amounts(
        **{one.name: total(getattr(row, one.name) for row in rows) for one in fields(Amounts)}
    )


def most(several: Iterable[Amounts]) -> Amounts:
    """Return the largest of each; unknown where one of them is."""
    rows = list(several)
    found = {}
    for one in fields(Amounts):
        values = [getattr(row, one.name) for row in rows]
        found[one.name] = None if None in values else max(values, default=0)
    return Amounts(**found)


def total(values: Iterable[Any]) -> Any:
    """Return the sum of numbers; None where one of them is unknown."""
    known = list(values)
    return None if None in known else sum(known)


def amounts_of(
    config: Mapping[str, Any],
    data: Prepared | None,
    begin: int,
    until: int | None,
    measured: Measured,
    policies: Iterable[Policy] = (),
) -> Amounts:
    """Return what a training takes.

    Args:
        config: Complete, maybe not resolved.
        data: None if not prepared yet.
        begin, until: The steps that it trains; None if only the data will show.
        measured: The speeds of the store's runs.
        policies: Under which its run was trained before.
    """
    if until is None:
        return Amounts(**dict.fromkeys((one.name for one in fields(Amounts)), None))
    steps = max(0, until - begin)
    if not steps:
        return Amounts()
    system = system_of(config)
    training = system.training_of(config)
    cost = system.cost(config, data)
    seconds = measured.seconds(config, cost.step_flops, steps)
    bounds, disk = cost.bounds, None
    if bounds is not None:
        disk = find_disk_bound(training, bounds, begin, until, policies)
    return Amounts(
        steps=steps,
        units=steps * cost.step_units,
        flops=None if bounds is None else steps * bounds.step_flops,
        disk=None if disk is None else disk.training,
        weights=None if disk is None else disk.weights,
        metrics=None if disk is None else disk.metrics,
        seconds=None if seconds is None else seconds * training.processes,
    )
