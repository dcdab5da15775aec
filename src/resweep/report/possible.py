"""The largest trainings that a slot may get while a job still has to fill it.

    points of a grid, choices of an earlier phase  ->  as they are
    bounds of a search, a parameter at a time      ->  combined: all of them at their largest

A value that does not fit the others, like a width that the heads do not divide, is replaced by the
next smaller one that does.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.ranking.trial_result import SEED
from resweep.study.packs import size_key
from resweep.study.study import Phase
from resweep.systems.registry import system_of

MOST_COMBINED = 512
SMALLER = 64  # values tried below one that does not fit

Assigned = Mapping[str, Any]


def possible_configs(phase: Phase) -> list[dict[str, Any]]:
    """Return configurations of which one takes at least what any slot of a phase can take."""
    schema = system_of(phase.config).schema
    different: dict[Any, dict[str, Any]] = {}
    for assigned in _combined(list(phase.possible())):
        key = size_key(assigned)
        if key in different:
            continue
        fitting = (compose.assign(phase.config, one) for one in _smaller(assigned))
        found = (one for one in fitting if compose.infeasible(one, schema) is None)
        config = next(found, None)
        if config is not None:
            different[key] = config
    return list(different.values()) or [phase.config]


def _combined(possible: list[Assigned]) -> Iterator[Assigned]:
    """Yield what may be assigned; what is given one path at a time, in all combinations."""
    yield from possible
    filled = [assigned for assigned in possible if assigned]
    common = {
        path: value
        for path, value in (filled[0] if filled else {}).items()
        if all(path in one and one[path] == value for one in filled)
    }
    values: dict[str, dict[str, Any]] = {}
    for assigned in filled:
        alone = [(path, value) for path, value in assigned.items() if path not in common]
        if len(alone) == 1 and not isinstance(alone[0][1], float):
            path, value = alone[0]
            values.setdefault(path, {})[canonical_json(value)] = value
    choices = [list(of_path.values()) for of_path in values.values()]
    if math.prod(map(len, choices)) > MOST_COMBINED:
        choices = [_largest(of_path) for of_path in choices]
    if math.prod(map(len, choices)) > MOST_COMBINED:
        choices = [of_path[-1:] for of_path in choices]
    for point in itertools.product(*choices):
        yield {**dict(zip(values, point, strict=True)), **common}


def _largest(values: list[Any]) -> list[Any]:
    """Return the largest of numbers; all other values as they are."""
    numbers = [one for one in values if isinstance(one, int) and not isinstance(one, bool)]
    return [max(numbers)] if len(numbers) == len(values) else values


def _smaller(assigned: Assigned) -> Iterator[Assigned]:
    """Yield an assignment, then those with one of its whole numbers smaller."""
    yield assigned
    whole = [p for p, v in assigned.items() if isinstance(v, int) and not isinstance(v, bool)]
    for less in range(1, SMALLER):
        for path in whole:
            if assigned[path] > less:
                yield {**assigned, path: assigned[path] - less}


def trials_alike(phase: Phase) -> int:
    """Return how many trials of a phase may share a configuration, apart from their seeds."""
    seeds = phase.settings.get("seeds")
    if seeds:
        return len(seeds)
    varied = [assigned for assigned in phase.varied() if SEED in assigned]
    if not phase.is_known(phase.stages[0]):
        return len(phase.trials) if varied else 1
    alike = Counter(
        canonical_json({path: value for path, value in assigned.items() if path != SEED})
        for assigned in varied
    )
    return max(alike.values(), default=1)
