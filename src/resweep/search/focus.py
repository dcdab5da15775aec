"""Propose points near the best that were tried: a focused resample.

    observations  ->  the best few points  ->  a region around each  ->  untried points in it

The region of a parameter depends on its scale, and on the best value b:

    log       b / 2 to 2 b, even in the logarithm
    linear    b / 2 to 1.5 b, even
    whole     the same, at least one to each side; of a list, b and its neighbours
    choices   b with probability 1/2, the others by how often they are among the good points

`adaptive` narrows regions, by up to a factor of five: to how far the good points are spread,
compared with an even spread over the whole range, and further the less the best trainings still
improved in their second half, since then their values say more about the end.

A region ends at the bounds of the search space, except where the best value lies at a bound: there
it reaches beyond.
"""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from resweep.config.metric import sign_of
from resweep.search.suggest import Observation, Suggestions
from resweep.sweep import Parameter
from resweep.sweep.parameter import LOG_RANGES, LOG_RANGES_OF_VALUES, choice_key
from resweep.sweep.points import Point, sobol_points

Scale = Literal["log", "linear", "whole", "list", "choices"]
FACTORS = {"log": (0.5, 2.0), "linear": (0.5, 1.5), "whole": (0.5, 1.5)}
WIDE_LIST = 5.0  # a list of numbers that spans this factor is searched in its logarithm
AT_EDGE = 0.02  # of the range: this near to a bound, the best lies at it
NARROWEST = 0.2  # of a region's full width
GOOD = 0.25  # of the points that have a value
FEWEST_GOOD = 3
SPARE = 256  # points drawn for each that is asked for
BEST_CHOICE = 0.5  # probability of the best choice


@dataclass(frozen=True, kw_only=True)
class Focus:
    """How a resample is focused.

    Attributes:
        top: How many of the best points have a region.
        adaptive: Whether regions are narrowed.
        factors: path -> factors of the best value at which its region ends, in place of the
            defaults.
    """

    top: int = 1
    adaptive: bool = False
    factors: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Region:
    """Where points are drawn around one of the best.

    Attributes:
        centre: The best point.
        parameters: The space of the region.
        beyond: Paths of parameters whose best value lies at a bound.
    """

    centre: Point
    parameters: tuple[Parameter, ...]
    beyond: tuple[str, ...]


def propose_focused(
    parameters: Sequence[Parameter],
    observations: Sequence[Observation],
    count: int,
    focus: Focus,
    *,
    seed: int,
    goal: str,
    feasible: Callable[[Point], bool] = lambda point: True,
) -> tuple[Suggestions, list[str]]:
    """Propose points in the regions of the best, in turn.

    Args:
        parameters: The search space; names are full paths.
        observations: All tried points.
        count: Number of points.
        focus: How.
        seed: Different for each round.
        goal: minimize or maximize.
        feasible: Whether a point can be trained, as far as known beforehand.

    Returns:
        The points, fewer where regions are used up; and a line for each best value at a bound.
    """
    swept = [parameter for parameter in parameters if parameter.swept]
    regions = find_regions(swept, observations, focus, goal)
    tried = {_key(swept, seen.point) for seen in observations if _has_all(swept, seen.point)}
    drawn = [_draw(region, count, seed + number) for number, region in enumerate(regions)]
    points: list[Point] = []
    infeasible = repeated = 0
    while drawn and len(points) < count:
        stream = drawn.pop(0)
        for point in stream:
            key = _key(swept, point)
            if key in tried:
                repeated += 1
                continue
            tried.add(key)
            if not feasible(point):
                infeasible += 1
                continue
            points.append(point)
            drawn.append(stream)  # its turn comes again, after the others
            break
    lines = []
    for region in regions:
        for path in region.beyond:
            value = region.centre[path]
            lines.append(
                f"the best {path} = {value:g} lies at the edge of what was searched; its region "
                "reaches beyond"
            )
    return Suggestions(points, "focused", infeasible, repeated), list(dict.fromkeys(lines))


def find_regions(
    parameters: Sequence[Parameter],
    observations: Sequence[Observation],
    focus: Focus,
    goal: str,
) -> list[Region]:
    """Return the regions around the best points, best first; none without any value.

    Args:
        parameters: The swept ones.
        observations: All tried points.
        focus: How.
        goal: minimize or maximize.
    """
    ordered = _by_value(parameters, observations, goal)
    if not ordered:
        return []
    good = ordered[: max(FEWEST_GOOD, math.ceil(GOOD * len(ordered)))]
    progress = [seen.progress for seen in ordered[: focus.top] if seen.progress is not None]
    rate = min(1.0, 0.5 + statistics.fmean(progress)) if progress else 1.0
    widths = {
        parameter.name: _width(parameter, good, rate) if focus.adaptive else 1.0
        for parameter in parameters
    }
    regions = []
    for seen in ordered[: focus.top]:
        centre = {parameter.name: seen.point[parameter.name] for parameter in parameters}
        found, beyond = [], []
        for parameter in parameters:
            part, is_beyond = _region(parameter, centre[parameter.name], widths, focus, good)
            found.append(part)
            beyond += [parameter.name] if is_beyond else []
        regions.append(Region(centre, tuple(found), tuple(beyond)))
    return regions


def scale_of(parameter: Parameter) -> Scale:
    """Return the scale on which a parameter is resampled."""
    if parameter.values:
        numbers = [value for value in parameter.values if type(value) in (int, float)]
        if len(numbers) < len(parameter.values) or len(numbers) < 2:
            return "choices"
        if all(isinstance(value, int) for value in numbers):
            return "list"
        is_wide = min(numbers) > 0 and max(numbers) >= WIDE_LIST * min(numbers)
        return "log" if is_wide else "linear"
    if parameter.distribution in (*LOG_RANGES, *LOG_RANGES_OF_VALUES, "log_normal", "q_log_normal"):
        return "log"
    whole = parameter.distribution == "int_uniform" or (
        parameter.distribution.startswith("q_") and isinstance(parameter.q, int)
    )
    return "whole" if whole else "linear"


def _by_value(
    parameters: Sequence[Parameter], observations: Sequence[Observation], goal: str
) -> list[Observation]:
    """Return the different points that have a value, best first; of equal ones their mean."""
    groups: dict[tuple[str, ...], list[Observation]] = {}
    for seen in observations:
        if seen.value is not None and _has_all(parameters, seen.point):
            groups.setdefault(_key(parameters, seen.point), []).append(seen)
    means = [
        (statistics.fmean(seen.value for seen in group if seen.value is not None), key, group[0])
        for key, group in groups.items()
    ]
    sign = sign_of(goal)
    return [seen for _, _, seen in sorted(means, key=lambda one: (sign * one[0], one[1]))]


def _region(
    parameter: Parameter,
    best: Any,
    widths: Mapping[str, float],
    focus: Focus,
    good: Sequence[Observation],
) -> tuple[Parameter, bool]:
    """Return a parameter's region, and whether it reaches beyond what was searched."""
    scale, name = scale_of(parameter), parameter.name
    if scale == "choices":
        return _choices(parameter, best, good), False
    if scale == "list":
        numbers = sorted(set(parameter.values))
        at = min(range(len(numbers)), key=lambda position: abs(numbers[position] - best))
        return _listed(parameter, numbers[max(0, at - 1) : at + 2]), False
    below, above = focus.factors.get(name, FACTORS[scale])
    width = widths[name]
    low, high = _bounds(parameter)
    if scale == "log":
        first, last = best * below**width, best * above**width
    else:
        reach = abs(best) if best else (high - low) / 2 if math.isfinite(high - low) else 1.0
        first, last = best - (1 - below) * width * reach, best + (above - 1) * width * reach
    if scale == "whole":
        first, last = min(first, best - 1), max(last, best + 1)
    at_low, at_high = (_is_at(best, bound, low, high, scale) for bound in (low, high))
    first = first if at_low else max(first, low)
    last = last if at_high else min(last, high)
    return _range(parameter, scale, first, last), at_low or at_high


def _range(parameter: Parameter, scale: Scale, first: float, last: float) -> Parameter:
    """Return a range of a scale, on the steps of the parameter."""
    if scale == "whole":
        step = int(parameter.q) if parameter.distribution.startswith("q_") else 1
        low, high = math.floor(first / step) * step, math.ceil(last / step) * step
        if step > 1:
            return Parameter(parameter.name, "q_uniform", low=low, high=high, q=step)
        return Parameter(parameter.name, "int_uniform", low=low, high=high)
    kind = "log_uniform_values" if scale == "log" else "uniform"
    if first >= last:
        return _listed(parameter, [first])
    if parameter.distribution.startswith("q_"):
        return Parameter(parameter.name, f"q_{kind}", low=first, high=last, q=parameter.q)
    return Parameter(parameter.name, kind, low=first, high=last)


def _choices(parameter: Parameter, best: Any, good: Sequence[Observation]) -> Parameter:
    others = [value for value in parameter.values if choice_key(value) != choice_key(best)]
    if not others:
        return _listed(parameter, [best])
    counts = Counter(choice_key(seen.point[parameter.name]) for seen in good)
    weights = [1 + counts[choice_key(value)] for value in others]
    shares = [(1 - BEST_CHOICE) * weight / sum(weights) for weight in weights]
    return Parameter(
        parameter.name,
        "categorical",
        values=(best, *others),
        probabilities=(BEST_CHOICE, *shares),
    )


def _listed(parameter: Parameter, values: Sequence[Any]) -> Parameter:
    return Parameter(parameter.name, "categorical", values=tuple(values))


def _bounds(parameter: Parameter) -> tuple[float, float]:
    """Return the bounds of what is searched; infinite ones of the normal distributions."""
    if not parameter.values and "normal" in parameter.distribution:
        return -math.inf, math.inf
    return min(parameter.extremes), max(parameter.extremes)


def _is_at(value: float, bound: float, low: float, high: float, scale: Scale) -> bool:
    if not math.isfinite(bound) or low == high:
        return False
    if scale == "log":
        value, bound, low, high = (math.log(number) for number in (value, bound, low, high))
    return abs(value - bound) <= AT_EDGE * (high - low)


def _width(parameter: Parameter, good: Sequence[Observation], rate: float) -> float:
    """Return how wide a region is, as a fraction: 1 where good points are all over the range."""
    if scale_of(parameter) in ("choices", "list"):
        return 1.0
    low, high = _bounds(parameter)
    values = [float(seen.point[parameter.name]) for seen in good]
    if not math.isfinite(high - low) or low == high or len(values) < FEWEST_GOOD:
        return rate
    if scale_of(parameter) == "log":
        low, high, values = math.log(low), math.log(high), [math.log(value) for value in values]
    even = (high - low) / math.sqrt(12)  # standard deviation of an even spread
    return max(NARROWEST, min(1.0, rate * statistics.pstdev(values) / even))


def _draw(region: Region, count: int, seed: int) -> Iterator[Point]:
    """Yield points of a region, with spares, since some may be unusable."""
    constant = {p.name: p.values[0] for p in region.parameters if len(p.values) == 1}
    free = [parameter for parameter in region.parameters if parameter.name not in constant]
    if not free:
        yield constant
        return
    for point in sobol_points(free, count + SPARE, seed):
        yield {**constant, **point}


def _has_all(parameters: Sequence[Parameter], point: Mapping[str, Any]) -> bool:
    return all(parameter.name in point for parameter in parameters)


def _key(parameters: Sequence[Parameter], point: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(choice_key(point[parameter.name]) for parameter in parameters)
