"""How long trainings take, from those that the run store has measured.

    runs/*/record.json   steps and seconds of each attempt, on which device, how
    runs/*/config.yaml   FLOPs of a step, from one run of each size
    ->  seconds per step of a training of the same kind: of its own size where that was measured,
        else between the next smaller and the next larger one, or in proportion to its FLOPs

Evaluations and checkpoints count as part of the steps. Only the device of the newest run of a kind
counts: others are faster or slower.
"""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from resweep import yaml12
from resweep.canonical import canonical_json
from resweep.config.schema import SYSTEM
from resweep.errors import ResweepError
from resweep.paths import Layout, RunFolder
from resweep.systems.registry import is_system, system_of
from resweep.systems.system import DEFAULT

MOST_RUNS = 2000  # of the newest
KIND = ("precision", "compile")  # of training, besides the recipe
SIZE = ("batch_size", "precision", "compile")  # what a size is measured for, besides the model
UNREADABLE = (ResweepError, OSError, ValueError, LookupError, TypeError, yaml.YAMLError)


@dataclass(frozen=True)
class Sample:
    """A run that was trained.

    Attributes:
        folder: Its folder.
        kind: What has to be equal for its speed to count.
        size: Runs with the same one have the same FLOPs per step.
        device: What trained it.
        seconds: Per step, on average.
        startup: Seconds that its job took before it began to train; None if not noted.
    """

    folder: RunFolder
    kind: str
    size: str
    device: str
    seconds: float
    startup: float | None


class Measured:
    """The speeds of the store's runs.

    Args:
        layout: Of the results folder.

    Attributes:
        used: Runs that estimates rest on so far, by device.
    """

    def __init__(self, layout: Layout):
        self._layout = layout
        self._speeds: dict[str, dict[float, float]] = {}
        self.used: dict[str, int] = {}

    def step_seconds(self, config: Mapping[str, Any], step_flops: float) -> float | None:
        """Return the seconds of a step of a training; None if nothing like it was measured.

        Args:
            config: Complete.
            step_flops: Its FLOPs, as `Cost` has them.
        """
        training = config["training"]
        kind = _kind(
            system_of(config).recipe(config),
            training,
            training["distributed"],
            training["processes"],
        )
        if kind not in self._speeds:
            self._speeds[kind] = self._measure(kind)
        return _between(self._speeds[kind], step_flops)

    def device_of(self, config: Mapping[str, Any]) -> str | None:
        """Return the device that trained the newest run like it; None without one."""
        training = config["training"]
        recipe = system_of(config).recipe(config)
        kind = _kind(recipe, training, training["distributed"], training["processes"])
        return next((one.device for one in self._samples.get(kind, ())), None)

    @cached_property
    def start_seconds(self) -> float | None:
        """Seconds that a job takes before it begins to train; None if none noted them."""
        noted = [one.startup for of in self._samples.values() for one in of if one.startup]
        return statistics.median(noted) if noted else None

    def _measure(self, kind: str) -> dict[float, float]:
        """Return seconds per step by FLOPs per step."""
        samples = self._samples.get(kind, [])
        samples = [one for one in samples if one.device == samples[0].device]
        by_size: dict[str, list[Sample]] = defaultdict(list)
        for one in samples:
            by_size[one.size].append(one)
        speeds: dict[float, list[float]] = defaultdict(list)
        for of_size in by_size.values():
            flops = next(filter(None, map(_step_flops, of_size[:SIZES_TRIED])), None)
            if flops:
                speeds[flops] += [one.seconds for one in of_size]
                device = of_size[0].device
                self.used[device] = self.used.get(device, 0) + len(of_size)
        return {flops: statistics.median(seconds) for flops, seconds in speeds.items()}

    @cached_property
    def _samples(self) -> dict[str, list[Sample]]:
        """The samples of the newest runs by kind, newest first."""
        found: dict[str, list[Sample]] = defaultdict(list)
        for state, folder in newest_states(self._layout):
            try:
                for one in _samples_of(state, folder):
                    found[one.kind].append(one)
            except UNREADABLE:
                continue  # damaged: whoever trains it says so
        return found


SIZES_TRIED = 3  # runs of one size whose configuration is read, until one can be


def newest_states(layout: Layout, most: int = MOST_RUNS) -> Iterator[tuple[Any, RunFolder]]:
    """Yield the states of the newest runs as they are in their files, unchecked, newest first."""
    dated = []
    for path in layout.all_runs():
        folder = RunFolder(path)
        try:
            dated.append((folder.state.stat().st_mtime_ns, path))
        except OSError:
            continue
    for _, path in sorted(dated, reverse=True)[:most]:
        folder = RunFolder(path)
        try:
            yield json.loads(folder.state.read_bytes()), folder
        except (OSError, ValueError, RecursionError):
            continue


def spent_seconds(state: Mapping[str, Any]) -> float:
    """Return the seconds that GPUs, or cores, spent on a run, from its state."""
    return math.fsum(
        float(part["seconds"]) * int(part.get("processes", 1)) for part in state.get("segments", [])
    )


def is_cpu(device: str) -> bool:
    """Whether a device is a CPU, by the name that records have."""
    return device.startswith("cpu")


def _samples_of(state: Mapping[str, Any], folder: RunFolder) -> Iterator[Sample]:
    """Yield what a run measured: what its last segment says of the machine, for all alike."""
    identity = state["identity"]
    parts = [part for part in state.get("segments", []) if part["to_step"] > part["from_step"]]
    if not parts:
        return
    last = parts[-1]
    of = ("device", "processes", "engine")
    alike = [part for part in parts if [part.get(k) for k in of] == [last.get(k) for k in of]]
    steps = sum(part["to_step"] - part["from_step"] for part in alike)
    training = identity["training"]
    noted = [one.get("startup_seconds") for one in state.get("attempts", [])]
    yield Sample(
        folder=folder,
        kind=_kind(
            identity["recipe"], training, last.get("engine", "none"), last.get("processes", 1)
        ),
        size=canonical_json(
            [identity.get("model"), {name: training.get(name) for name in SIZE}]
            + [part for name, part in identity.items() if name not in NO_SIZE]
        ),
        device=str(last["device"]),
        seconds=math.fsum(part["seconds"] for part in alike) / steps,
        startup=next((float(one) for one in reversed(noted) if one), None),
    )


NO_SIZE = ("model", "training", "recipe", "early_stopping", "run", "own", "initialization")


def _kind(recipe: str, training: Mapping[str, Any], engine: str, processes: int) -> str:
    return canonical_json([recipe, engine, processes, *(training.get(name) for name in KIND)])


def _step_flops(sample: Sample) -> float | None:
    """Return the FLOPs of a step of a run, from its configuration."""
    try:
        config = yaml12.load_mapping(Path(sample.folder.config))
        if not is_system(config.get(SYSTEM, DEFAULT)):
            return None
        return system_of(config).cost(config, None).step_flops
    except UNREADABLE:
        return None


def _between(speeds: Mapping[float, float], flops: float) -> float | None:
    """Return the seconds of a step by those of other sizes: along a line in logarithms."""
    if not speeds:
        return None
    below = max((one for one in speeds if one <= flops), default=None)
    above = min((one for one in speeds if one >= flops), default=None)
    if below is None or above is None:
        nearest = above if below is None else below
        assert nearest is not None, "there is one"
        return speeds[nearest] * flops / nearest
    if below == above:
        return speeds[below]
    share = math.log(flops / below) / math.log(above / below)
    return math.exp((1 - share) * math.log(speeds[below]) + share * math.log(speeds[above]))
