"""How long trainings take, from those that the run store has measured.

    runs/*/record.json    steps and seconds of each attempt, on which device, how
    runs/*/timing.jsonl   speed of the steps alone: the rest of the seconds is evaluations
    runs/*/config.yaml    FLOPs of a step, from one run of each size
    ->  seconds of a training of the same kind: of its own size where that was measured, else
        between the next smaller and the next larger one, or in proportion to its FLOPs

Saving and building the model count as part of the evaluations. Only the device of the newest run of
a kind counts: others are faster or slower.
"""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
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
OF_A_SIZE = 10  # runs whose timing is read
KIND = ("precision", "compile")  # of training, besides the recipe
UNSIZED = ("recipe", "training", "early_stopping", "run", "own", "initialization")
UNREADABLE = (ResweepError, OSError, ValueError, LookupError, TypeError, yaml.YAMLError)
ENDS = 2  # evaluations at the start, and after the last step


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A run that was trained.

    Attributes:
        folder: Its folder.
        kind: What has to be equal for its speed to count.
        size: Runs with the same one have the same FLOPs per step.
        device: What trained it.
        steps: Steps that were timed.
        seconds: Of these.
        training: Its `training`, as far as it is identity.
        startup: Seconds that its job took before it trained; None if not noted.
    """

    folder: RunFolder
    kind: str
    size: str
    device: str
    steps: int
    seconds: float
    training: Mapping[str, Any]
    startup: float | None


@dataclass(frozen=True)
class Speed:
    """Seconds of a step, and of an evaluation with what else happens as often."""

    step: float
    evaluation: float


class Measured:
    """The speeds of the store's runs.

    Args:
        layout: Of the results folder.

    Attributes:
        used: Number of runs that estimates rest on so far, by device.
    """

    def __init__(self, layout: Layout):
        self._layout = layout
        self._speeds: dict[str, dict[float, Speed]] = {}
        self.used: dict[str, int] = {}

    def seconds(self, config: Mapping[str, Any], step_flops: float, steps: int) -> float | None:
        """Return the seconds of a training; None if nothing like it was measured.

        Args:
            config: Complete.
            step_flops: FLOPs of its steps, as `Cost` has them.
            steps: How many it trains.
        """
        kind = _kind_of(config)
        if kind not in self._speeds:
            self._speeds[kind] = self._measure(self._samples.get(kind, []))
        speeds = self._speeds[kind]
        if not speeds:
            return None
        step = _between({flops: one.step for flops, one in speeds.items()}, step_flops)
        evaluation = _between({flops: one.evaluation for flops, one in speeds.items()}, step_flops)
        return steps * step + _evaluations(config["training"], steps) * evaluation

    def device_of(self, config: Mapping[str, Any]) -> str | None:
        """Return the device that trained the newest run like it; None without one."""
        return next((one.device for one in self._samples.get(_kind_of(config), ())), None)

    @cached_property
    def start_seconds(self) -> float | None:
        """Seconds that a job takes before it trains; None if no run noted them."""
        noted = [one.startup for of in self._samples.values() for one in of]
        known = [seconds for seconds in noted if seconds is not None]
        return statistics.median(known) if known else None

    def _measure(self, samples: Sequence[Sample]) -> dict[float, Speed]:
        """Return the speeds of a kind by FLOPs per step."""
        by_size: dict[str, list[Sample]] = defaultdict(list)
        for one in samples:
            if one.device == samples[0].device:
                by_size[one.size].append(one)
        speeds: dict[float, list[Speed]] = defaultdict(list)
        for of_size in by_size.values():
            units, flops = _first(_size_of, of_size[:OF_A_SIZE]) or (None, None)
            if units is None or flops is None:
                continue
            found = [_speed_of(one, units) for one in of_size[:OF_A_SIZE]]
            speeds[flops] += found
            device = of_size[0].device
            self.used[device] = self.used.get(device, 0) + len(found)
        return {
            flops: Speed(
                statistics.median(one.step for one in of_size),
                statistics.median(one.evaluation for one in of_size),
            )
            for flops, of_size in speeds.items()
        }

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
    """Yield what a run measured, on the device of its last segment; nothing if that is nothing."""
    identity = state["identity"]
    parts = [part for part in state.get("segments", []) if part["to_step"] > part["from_step"]]
    if not parts:
        return
    last = parts[-1]
    of = ("device", "processes", "engine")
    alike = [part for part in parts if [part.get(k) for k in of] == [last.get(k) for k in of]]
    noted = [one.get("startup_seconds") for one in state.get("attempts", [])]
    training = identity["training"]
    unsized = {name: part for name, part in identity.items() if name not in UNSIZED}
    engine, processes = last.get("engine", "none"), last.get("processes", 1)
    yield Sample(
        folder=folder,
        kind=_kind(identity["recipe"], training, engine, processes),
        size=canonical_json([unsized, training["batch_size"]]),
        device=str(last["device"]),
        steps=sum(part["to_step"] - part["from_step"] for part in alike),
        seconds=math.fsum(part["seconds"] for part in alike),
        training=training,
        startup=next((float(one) for one in reversed(noted) if one is not None), None),
    )


def _kind_of(config: Mapping[str, Any]) -> str:
    training = config["training"]
    engine, processes = training["distributed"], training["processes"]
    return _kind(system_of(config).recipe(config), training, engine, processes)


def _kind(recipe: str, training: Mapping[str, Any], engine: str, processes: int) -> str:
    return canonical_json([recipe, engine, processes, *(training.get(name) for name in KIND)])


def _size_of(sample: Sample) -> tuple[int, float] | None:
    """Return units and FLOPs of a run's steps, from its configuration."""
    try:
        config = yaml12.load_mapping(Path(sample.folder.config))
        if not is_system(config.get(SYSTEM, DEFAULT)):
            return None
        cost = system_of(config).cost(config, None)
        return cost.step_units, cost.step_flops
    except UNREADABLE:
        return None


def _first(look: Callable[[Sample], Any], samples: Sequence[Sample]) -> Any:
    return next((found for found in map(look, samples) if found is not None), None)


def _speed_of(sample: Sample, step_units: int) -> Speed:
    """Return the speed of a run; without its timing, evaluations count as part of the steps."""
    whole = sample.seconds / sample.steps
    step = _step_seconds(sample.folder.timing, step_units)
    if step is None or step > whole:
        return Speed(whole, 0.0)
    rest = sample.seconds - step * sample.steps
    return Speed(step, rest / _evaluations(sample.training, sample.steps))


def _step_seconds(timing: Path, step_units: int) -> float | None:
    """Return the seconds of a step by timing.jsonl, on average; None if it does not have them."""
    before, seconds = 0, 0.0
    try:
        for text in timing.read_bytes().splitlines():
            line = json.loads(text)
            (speed,) = (value for name, value in line.items() if name.endswith("s_per_second"))
            seconds += (line["step"] - before) * step_units / speed
            before = line["step"]
    except (*UNREADABLE, ZeroDivisionError, AttributeError):
        return None
    return seconds / before if before else None


def _evaluations(training: Mapping[str, Any], steps: int) -> float:
    """Return how many evaluations there are in so many steps."""
    return steps / int(training["eval_steps"]) + ENDS


def _between(values: Mapping[float, float], flops: float) -> float:
    """Return a value for so many FLOPs from those for others: on a line in logarithms."""
    below = max((one for one in values if one <= flops), default=None)
    above = min((one for one in values if one >= flops), default=None)
    if below is None or above is None:
        nearest = next(one for one in (below, above) if one is not None)
        return values[nearest] * flops / nearest
    if below == above:
        return values[below]
    share = math.log(flops / below) / math.log(above / below)
    first, last = values[below], values[above]
    if first > 0 < last:
        return math.exp((1 - share) * math.log(first) + share * math.log(last))
    return (1 - share) * first + share * last
