"""Packs: which trials of a stage one training job serves.

    a stage's trials, in their order  ->  small trainings: packs, of one job each
                                      ->  large ones: a job each

A job costs seconds before its first step (Python, torch, a scheduler's turn), which a training of
minutes does not notice, and one of seconds does. So a pack takes trainings until their work is
worth a job. `resources.pack` is `auto` or a number of trials.

The result follows from the configuration alone, since every process that plans a study has to find
the same jobs: the work is counted in FLOPs at one nominal rate, whatever the machine. Packs are
filled one after the other: further trials at the end fill the last pack, and make new ones.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resweep.machine.launch import is_wanted
from resweep.systems.registry import system_of

AUTO = "auto"
NOMINAL_FLOPS = 2e10  # per second; a core of today's machines with small matrices
WORK_OF_A_PACK = 240.0  # nominal seconds
WORK_ALONE = 60.0  # nominal seconds; a training of more is alone
MOST_TRIALS = 128  # of an automatic pack: then a job's start is below 30 ms a trial


@dataclass(frozen=True)
class Pack:
    """Trials that one job serves, or that have a job each.

    Attributes:
        number: Among the packs of its stage, from 1; 0: a job for each trial.
        names: Of the trials.
        only: Whether its stage has no other jobs.
    """

    number: int
    names: tuple[str, ...]
    only: bool

    @property
    def is_alone(self) -> bool:
        """Whether each of the trials has a job of its own."""
        return self.number == 0

    @property
    def name(self) -> str:
        """What tells its job from others of its stage: `p1`, `p2`; "" where there are no others."""
        return "" if self.is_alone or self.only else f"p{self.number}"

    @property
    def log_name(self) -> str:
        """Name of its log; that of a job for each trial has a wildcard."""
        return "{trial}" if self.is_alone else f"p{self.number}"


@dataclass(frozen=True)
class Work:
    """The work of a training.

    Attributes:
        seconds: At the nominal rate; None if its length is not known before its data.
        starts_processes: Whether it needs several processes, or an engine that needs them.
    """

    seconds: float | None
    starts_processes: bool = False


def divide(names: Sequence[str], work: Iterable[Work], wanted: int | str) -> tuple[Pack, ...]:
    """Return the packs of a stage; those of its trials with a job each come first, as one.

    Args:
        names: Of the stage's trials, in their order.
        work: Of each of them.
        wanted: `resources.pack`.
    """
    groups = list(_fill(names, work, wanted))
    alone = tuple(group[0] for group in groups if len(group) == 1)
    packs = [tuple(group) for group in groups if len(group) > 1]
    only = len(packs) + bool(alone) == 1
    return (
        *([Pack(0, alone, only)] if alone else []),
        *(Pack(number, group, only) for number, group in enumerate(packs, 1)),
    )


def _fill(names: Sequence[str], work: Iterable[Work], wanted: int | str) -> Iterator[list[str]]:
    """Yield groups of trials, in their order; those that must be alone are passed over."""
    group: list[str] = []
    total = 0.0
    for name, one in zip(names, work, strict=True):
        seconds = one.seconds or 0.0
        too_long = wanted == AUTO and (one.seconds is None or seconds > WORK_ALONE)
        if one.starts_processes or too_long:
            yield [name]
            continue
        if wanted == AUTO:
            is_full = len(group) == MOST_TRIALS or total + seconds > WORK_OF_A_PACK
        else:
            is_full = len(group) == wanted
        if is_full:
            yield group
            group, total = [], 0.0
        group.append(name)
        total += seconds
    if group:
        yield group


def size_key(assigned: Mapping[str, Any]) -> Hashable:
    """Return what is equal for trials of the same size: rates and fractions do not change it."""
    return tuple((path, str(v)) for path, v in assigned.items() if not isinstance(v, float))


def work_of(config: dict[str, Any], steps_of: Callable[[int], int]) -> Work:
    """Return the work of a training; that of a configuration that cannot be trained is 0.

    Args:
        config: Complete.
        steps_of: Returns the steps to train, given the steps of the whole run.
    """
    system = system_of(config)
    try:
        starts_processes = is_wanted(system.training_of(config))
        horizon = system.steps_of(config, None)
        if not horizon:
            return Work(None, starts_processes)
        flops = system.cost(config, None).step_flops * steps_of(horizon)
        return Work(flops / NOMINAL_FLOPS, starts_processes)
    except ValueError:  # its record will say so at once
        return Work(0.0)


def most_of(possible: Sequence[Work]) -> Work:
    """Return the most work that is possible."""
    seconds = [one.seconds for one in possible if one.seconds is not None]
    return Work(
        max(seconds) if len(seconds) == len(possible) else None,
        any(one.starts_processes for one in possible),
    )
