"""A search space in Optuna's terms, and back.

values of parameters  <->  parameters of an Optuna sampler
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from resweep.canonical import round_sampled
from resweep.sweep import Parameter
from resweep.sweep.parameter import choice_key
from resweep.sweep.points import Point

if TYPE_CHECKING:
    import optuna

QUANTISED_RANGES = ("q_uniform", "q_log_uniform", "q_log_uniform_values")
MOST_LISTED = 20_000  # largest space whose points are enumerated
MOST_INTEGERS = 1_000_000  # of a range: the sampler makes an array of all of them


class Space:
    """A search space in Optuna's terms.

    Lists of numbers become ranks, which keep their order; integer ranges that Optuna can list stay;
    all other distributions are searched in their quantiles, where the prior is uniform. Duplicate
    choices count once, choices of probability 0 not at all.

    Args:
        parameters: The swept ones.
    """

    def __init__(self, parameters: Sequence[Parameter]):
        self.parameters = parameters
        self.choices = {p.name: _choices(p) for p in parameters if p.values}
        self.distributions = {p.name: self._distribution(p) for p in parameters}

    @cached_property
    def size(self) -> int | None:
        """Number of points; None if they cannot be enumerated, or are too many."""
        counts = [len(values) for values in self._axes if values is not None]
        if len(counts) < len(self._axes) or math.prod(counts) > MOST_LISTED:
            return None
        return math.prod(counts)

    def all_points(self) -> Iterator[Point]:
        """Yield every point; nothing if `size` is None."""
        if self.size is not None:
            names = [parameter.name for parameter in self.parameters]
            for values in itertools.product(*(axis for axis in self._axes if axis is not None)):
                yield dict(zip(names, values, strict=True))

    @cached_property
    def _axes(self) -> list[Sequence[Any] | None]:
        """All values of each parameter; None for one that cannot be enumerated."""
        return [self._axis(parameter) for parameter in self.parameters]

    def _axis(self, parameter: Parameter) -> Sequence[Any] | None:
        if parameter.values:
            return self.choices[parameter.name]
        if parameter.distribution == "int_uniform":
            return range(int(parameter.low), int(parameter.high) + 1)[: MOST_LISTED + 1]
        if parameter.distribution not in QUANTISED_RANGES:
            return None
        first, last = parameter.extremes
        steps = range(round((last - first) / parameter.q) + 1)
        values = [first + step * parameter.q for step in steps[: MOST_LISTED + 1]]
        return values if isinstance(parameter.q, int) else [round_sampled(v) for v in values]

    @property
    def mostly_numeric(self) -> bool:
        """Whether at least half of the parameters are ordered."""
        from optuna.distributions import CategoricalDistribution

        kinds = self.distributions.values()
        unordered = len([kind for kind in kinds if isinstance(kind, CategoricalDistribution)])
        return 2 * unordered <= len(self.distributions)

    def _distribution(self, parameter: Parameter) -> "optuna.distributions.BaseDistribution":
        from optuna.distributions import CategoricalDistribution as Categorical
        from optuna.distributions import FloatDistribution, IntDistribution

        if parameter.values:
            last = len(self.choices[parameter.name]) - 1
            if _are_ordered(self.choices[parameter.name]):
                return IntDistribution(0, last)
            return Categorical(list(range(last + 1)))
        if _is_integer_range(parameter):
            return IntDistribution(int(parameter.low), int(parameter.high))
        return FloatDistribution(0.0, 1.0)

    def point(self, params: Mapping[str, Any]) -> Point:
        """Turn Optuna's parameters into values."""
        found: Point = {}
        for parameter in self.parameters:
            inner = params[parameter.name]
            if parameter.values:
                found[parameter.name] = self.choices[parameter.name][inner]
            elif _is_integer_range(parameter):
                found[parameter.name] = inner
            else:
                found[parameter.name] = parameter.draw(min(inner, math.nextafter(1.0, 0.0)))
        return found

    def inner(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Turn values into Optuna's parameters; raises ValueError or KeyError outside the space."""
        found: dict[str, Any] = {}
        for parameter in self.parameters:
            value = point[parameter.name]
            if parameter.values:
                found[parameter.name] = _index(self.choices[parameter.name], value)
            elif _is_integer_range(parameter):
                parameter.locate(value)
                found[parameter.name] = int(value)
            else:
                found[parameter.name] = min(max(parameter.locate(value), 0.0), 1.0)
        return found

    def holds(self, point: Mapping[str, Any]) -> bool:
        """Whether a point has a value of this space for every parameter."""
        try:
            self.inner(point)
        except (ValueError, KeyError):
            return False
        return True

    def key(self, point: Mapping[str, Any]) -> tuple[str, ...]:
        """Return a key that equal points share."""
        return tuple(choice_key(point[parameter.name]) for parameter in self.parameters)

    def frozen(
        self, point: Mapping[str, Any], value: float, infeasible: bool | None
    ) -> "optuna.trial.FrozenTrial":
        """Return a tried point as an Optuna trial; `infeasible` None: without constraints."""
        import optuna

        constraints = None if infeasible is None else {"feasible": 1.0 if infeasible else -1.0}
        return optuna.trial.create_trial(
            params=self.inner(point),
            distributions=dict(self.distributions),
            value=value,
            constraints=constraints,
        )


def _is_integer_range(parameter: Parameter) -> bool:
    if parameter.distribution != "int_uniform":
        return False
    return int(parameter.high) - int(parameter.low) < MOST_INTEGERS


def _choices(parameter: Parameter) -> list[Any]:
    """Return the distinct choices: numbers sorted, others in the order of the file."""
    possible = parameter.probabilities or [1.0] * len(parameter.values)
    unique: dict[str, Any] = {}
    for value, probability in zip(parameter.values, possible, strict=True):
        if probability > 0:
            unique.setdefault(choice_key(value), value)
    choices = list(unique.values())
    return sorted(choices) if _are_ordered(choices) else choices


def _are_ordered(choices: Sequence[Any]) -> bool:
    return all(type(value) in (int, float) for value in choices)


def _index(choices: Sequence[Any], value: Any) -> int:
    """Return the index of a value; raises ValueError if it is not a choice."""
    return [choice_key(choice) for choice in choices].index(choice_key(value))
