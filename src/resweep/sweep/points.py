"""The points of a search space: grids, random draws, Sobol sequences, combinations of a grid.

Each sampler yields the same points in the same order for the same arguments; asked for more points,
it starts with the same ones. A random draw depends on (seed, index of the trial, name) only, so
that adding a parameter does not change the values of the others.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

from resweep.sweep.parameter import Parameter

Point = dict[str, Any]
MOST_POINTS = 1_000_000  # of a sweep: more is a mistake, and would use up the memory


def uniform(seed: int, index: int, name: str) -> float:
    """Return a number in [0, 1) that depends on these three only, on every platform."""
    text = f"{seed}/{index}/{name}".encode()
    return (int.from_bytes(hashlib.sha256(text).digest()[:7], "big") >> 3) / 2**53


def grid_size(parameters: Sequence[Parameter]) -> int:
    """Return how many combinations there are; raises ValueError as `Parameter.grid_count`."""
    return math.prod(parameter.grid_count() for parameter in parameters)


def grid_points(parameters: Sequence[Parameter]) -> Iterator[Point]:
    """Yield all combinations, the last parameter varying fastest."""
    for position in range(grid_size(parameters)):
        yield _combination(parameters, position)


def random_points(parameters: Sequence[Parameter], count: int, seed: int) -> Iterator[Point]:
    """Yield independent draws."""
    for index in range(count):
        yield {
            parameter.name: parameter.draw(uniform(seed, index, parameter.name))
            for parameter in parameters
        }


def subset_points(parameters: Sequence[Parameter], count: int, seed: int) -> Iterator[Point]:
    """Yield combinations of the grid in random order, without repetition, until it is exhausted.

    The start of a Fisher-Yates shuffle that stores only the moved positions.
    """
    size = grid_size(parameters)
    moved: dict[int, int] = {}
    for index in range(min(count, size)):
        other = index + int(uniform(seed, index, "without_replacement") * (size - index))
        position = moved.get(other, other)
        moved[other] = moved.pop(index, index)
        yield _combination(parameters, position)


def sobol_points(parameters: Sequence[Parameter], count: int, seed: int) -> Iterator[Point]:
    """Yield a scrambled Sobol sequence (Owen 1998, by scipy), one dimension per swept parameter.

    The sequence depends on the seed and the names that are swept. Points are drawn in powers of
    two, where the sequence is balanced, and the first `count` of them are used.
    """
    from scipy.stats import qmc  # slow to import, and few sweeps need it

    names = sorted(parameter.name for parameter in parameters if parameter.swept)
    text = f"{seed}/sobol/{'/'.join(names)}".encode()
    engine = qmc.Sobol(len(names), rng=int.from_bytes(hashlib.sha256(text).digest()[:8], "big"))
    for row in engine.random_base2(max(count - 1, 0).bit_length())[:count].tolist():
        drawn = dict(zip(names, row, strict=True))
        yield {
            parameter.name: parameter.draw(drawn.get(parameter.name, 0.0))
            for parameter in parameters
        }


def _combination(parameters: Sequence[Parameter], position: int) -> Point:
    """Return the combination at a position of the grid: a number whose digits are the values."""
    values = []
    for parameter in reversed(parameters):
        position, digit = divmod(position, parameter.grid_count())
        values.append((parameter.name, parameter.grid_value(digit)))
    return dict(reversed(values))
