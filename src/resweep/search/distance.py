"""How far apart configurations are in a search space, to tell near-copies apart.

The distance is the largest difference over the parameters (Chebyshev's), each as a fraction of its
range: of the logarithm for log distributions and lists of numbers over a factor of five, and of the
range between the quantiles 0.01 and 0.99 for distributions without bounds. Choices that are not
numbers differ by 1.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from resweep.search.focus import WIDE_LIST, scale_of
from resweep.sweep import Parameter
from resweep.sweep.findings import is_number
from resweep.sweep.parameter import choice_key

Space = Sequence[Parameter]  # of several with one name, the first counts
NEAR = 0.02  # of the range: configurations this close to each other are nearly one
SUGGESTED = 0.05
SLACK = 1e-9  # rounding errors do not tell configurations apart


def distance(
    space: Space,
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    ignored: Collection[str] = (),
) -> float:
    """Return the distance of two configurations: 0 for equal ones.

    Args:
        space: What was searched; a value of anything else is a choice.
        one, other: path -> value.
        ignored: Paths that do not count.
    """
    known = {parameter.name: parameter for parameter in reversed(space)}
    paths = {*one, *other} - set(ignored)
    return max((_difference(known.get(path), path, one, other) for path in paths), default=0.0)


def is_apart(
    least: float,
    space: Space,
    point: Mapping[str, Any],
    taken: Iterable[Mapping[str, Any]],
    ignored: Collection[str] = (),
) -> bool:
    """Return whether a configuration is at least so far from each of those that were taken."""
    return all(distance(space, point, other, ignored) >= least - SLACK for other in taken)


def crowded_line(
    space: Space, points: Sequence[Mapping[str, Any]], ignored: Collection[str] = ()
) -> str | None:
    """Return a warning if several configurations are nearly one, else None.

    Args:
        space: What was searched; without any, nothing is known.
        points: Configurations, best first: path -> value.
        ignored: Paths that do not count.
    """
    compared = {parameter.name for parameter in space} - set(ignored)
    if len(points) < 2 or not compared:
        return None
    if any(distance(space, points[0], point, ignored) > NEAR + SLACK for point in points[1:]):
        return None
    return (
        f"its {len(points)} configurations are nearly one: all within {NEAR:g} of the best, as a "
        f"fraction of each parameter's range; set distinct: {SUGGESTED:g} to rerun others"
    )


def _difference(
    parameter: Parameter | None, path: str, one: Mapping[str, Any], other: Mapping[str, Any]
) -> float:
    if path not in one or path not in other:
        return 1.0
    if choice_key(one[path]) == choice_key(other[path]):
        return 0.0
    first, second = (_place(parameter, point[path]) for point in (one, other))
    return 1.0 if first is None or second is None else abs(first - second)


def _place(parameter: Parameter | None, value: Any) -> float | None:
    """Return where a value lies in the range of a parameter, from 0 to 1; None for a choice.

    A value beyond the range, as of a resample, lies before 0 or after 1.
    """
    if parameter is None or not is_number(value) or not all(map(is_number, parameter.values)):
        return None
    low, high = min(parameter.extremes), max(parameter.extremes)
    if _is_log(parameter, low, high):
        if low <= 0:  # the smallest multiple of q may be 0
            low, value = parameter.q, max(value, parameter.q)
        if min(low, high, value) <= 0:
            return None
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if low < high else None


def _is_log(parameter: Parameter, low: float, high: float) -> bool:
    """Whether a parameter is searched in its logarithm, as lists over a wide range are."""
    if parameter.values:
        return low > 0 and high >= WIDE_LIST * low
    return scale_of(parameter) == "log"
