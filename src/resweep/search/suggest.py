"""The next points of a search space, in view of what was tried: Bayesian optimisation in rounds.

    parameters + observations (in a fixed order) + seed  ->  points

A pure function of its arguments: the same observations in the same order and the same seed give the
same points, bit for bit, on the same versions of Optuna, torch and the machine's libraries. Without
observations the points are a scrambled Sobol sequence. Afterwards Optuna proposes one point after
the other, each in view of those before it in the round (Gaussian process: expected improvement over
the pending points; TPE: constant liar).
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resweep.sweep import Parameter
from resweep.sweep.parameter import choice_key
from resweep.sweep.points import Point, sobol_points

if TYPE_CHECKING:
    import optuna

GP_LIMIT = 200  # observations; a suggestion costs more than their square
TRIES = 8  # of Optuna for one slot, before a Sobol point takes it
SPARE_POINTS = 512  # of the Sobol sequence, to fill such slots from

FINISHED = "finished"
STOPPED = "stopped"
DIVERGED = "diverged"
INFEASIBLE = "infeasible"


@dataclass(frozen=True)
class Observation:
    """What a tried point showed.

    Attributes:
        point: Value by name of the parameter; names that the space does not have are ignored.
        value: Of the metric; None for a diverged or infeasible one.
        status: finished, stopped (the value is an estimate of the end), diverged or infeasible.
    """

    point: Mapping[str, Any]
    value: float | None
    status: str = FINISHED


@dataclass(frozen=True)
class Suggestions:
    """A round's points.

    Attributes:
        points: At most as many as asked for; fewer where the space is used up.
        sampler: Who proposed them: sobol, gp or tpe.
        infeasible: Proposals that were passed over because they cannot be trained.
        repeated: Proposals that were passed over because they had been tried.
    """

    points: list[Point]
    sampler: str
    infeasible: int = 0
    repeated: int = 0


def suggest(
    parameters: Sequence[Parameter],
    observations: Sequence[Observation],
    count: int,
    *,
    seed: int,
    goal: str = "minimize",
    sampler: str = "auto",
    feasible: Callable[[Point], bool] = lambda point: True,
) -> Suggestions:
    """Propose `count` points.

    Args:
        parameters: The search space; constant ones are left out of the points.
        observations: All that was tried, in an order that does not change.
        count: How many points.
        seed: Another one for each round, below 2^32.
        goal: minimize or maximize.
        sampler: gp, tpe, or auto: gp up to 200 observations of a mostly numeric space, else tpe.
        feasible: Whether a point can be trained at all, as far as that is known beforehand.
    """
    space = _Space([parameter for parameter in parameters if parameter.swept])
    chooser = _Chooser(space, observations, feasible)
    known = [seen for seen in observations if seen.value is not None and space.holds(seen.point)]
    if not known:
        for point in _spare(space, seed, 0, count):
            chooser.take(point)
            if len(chooser.points) == count:
                break
        return chooser.suggestions("sobol")
    name = _choose_sampler(sampler, space, len(observations))
    study = _study(name, space, observations, seed, goal)
    for slot in range(count):
        if not _ask(study, space, chooser):
            any(chooser.take(point) for point in _spare(space, seed, slot + 1, 1))
    return chooser.suggestions(name)


def _choose_sampler(sampler: str, space: "_Space", observed: int) -> str:
    if sampler != "auto":
        return sampler
    return "gp" if observed <= GP_LIMIT and space.mostly_numeric else "tpe"


def _spare(space: "_Space", seed: int, stream: int, least: int) -> Iterator[Point]:
    """Points of a scrambled Sobol sequence; a few more than needed, since some may be unusable."""
    return sobol_points(space.parameters, least + SPARE_POINTS, seed + stream)


def _ask(study: "optuna.Study", space: "_Space", chooser: "_Chooser") -> bool:
    """Ask until a point can be used; the refused ones stay pending, which drives the next away."""
    return any(
        chooser.take(space.point(study.ask(space.distributions).params)) for _ in range(TRIES)
    )


class _Chooser:
    """Takes points that can be trained and were not tried, and counts the others."""

    def __init__(
        self,
        space: "_Space",
        observations: Sequence[Observation],
        feasible: Callable[[Point], bool],
    ):
        self.space = space
        self.feasible = feasible
        self.points: list[Point] = []
        self.infeasible = self.repeated = 0
        self.tried = {space.key(seen.point) for seen in observations if space.holds(seen.point)}

    def take(self, point: Point) -> bool:
        """Take a point if it is of use; says whether it was."""
        key = self.space.key(point)
        if key in self.tried:
            self.repeated += 1
            return False
        self.tried.add(key)
        if not self.feasible(point):
            self.infeasible += 1
            return False
        self.points.append(point)
        return True

    def suggestions(self, sampler: str) -> Suggestions:
        return Suggestions(self.points, sampler, self.infeasible, self.repeated)


class _Space:
    """A search space in Optuna's terms.

    Numbers from a list are ranks, so that a model knows their order; ranges of whole numbers stay;
    every other distribution is searched in its quantiles, in which the prior is flat.
    """

    def __init__(self, parameters: Sequence[Parameter]):
        self.parameters = parameters
        self.choices = {p.name: _ordered_choices(p) for p in parameters if p.values}
        self.distributions = {p.name: self._distribution(p) for p in parameters}

    @property
    def mostly_numeric(self) -> bool:
        """Whether at least half of the parameters have an order."""
        from optuna.distributions import CategoricalDistribution

        unordered = sum(isinstance(d, CategoricalDistribution) for d in self.distributions.values())
        return 2 * unordered <= len(self.distributions)

    def _distribution(self, parameter: Parameter) -> "optuna.distributions.BaseDistribution":
        from optuna.distributions import CategoricalDistribution as Categorical
        from optuna.distributions import FloatDistribution, IntDistribution

        if parameter.values:
            last = len(self.choices[parameter.name]) - 1
            if _is_ordered(parameter):
                return IntDistribution(0, last)
            return Categorical(list(range(last + 1)))
        if parameter.distribution == "int_uniform":
            return IntDistribution(int(parameter.low), int(parameter.high))
        return FloatDistribution(0.0, 1.0)

    def point(self, params: Mapping[str, Any]) -> Point:
        """Turn Optuna's parameters into values."""
        found: Point = {}
        for parameter in self.parameters:
            inner = params[parameter.name]
            if parameter.values:
                found[parameter.name] = self.choices[parameter.name][inner]
            elif parameter.distribution == "int_uniform":
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
            elif parameter.distribution == "int_uniform":
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

    def key(self, point: Mapping[str, Any]) -> str:
        """Return what equal points share."""
        return choice_key([point[parameter.name] for parameter in self.parameters])

    def frozen(
        self, point: Mapping[str, Any], value: float, infeasible: bool | None
    ) -> "optuna.trial.FrozenTrial":
        """Return a tried point as Optuna has it; `infeasible` None: nothing is constrained."""
        import optuna

        constraints = None if infeasible is None else {"feasible": 1.0 if infeasible else -1.0}
        return optuna.trial.create_trial(
            params=self.inner(point),
            distributions=dict(self.distributions),
            value=value,
            constraints=constraints,
        )


def _ordered_choices(parameter: Parameter) -> list[Any]:
    if _is_ordered(parameter):
        return sorted(parameter.values)
    return list(parameter.values)


def _is_ordered(parameter: Parameter) -> bool:
    numbers = all(type(value) in (int, float) for value in parameter.values)
    return numbers and len(set(parameter.values)) == len(parameter.values)


def _index(choices: Sequence[Any], value: Any) -> int:
    """Return the place of a value; raises ValueError where it is none of them."""
    return [choice_key(choice) for choice in choices].index(choice_key(value))


def _study(
    name: str, space: _Space, observations: Sequence[Observation], seed: int, goal: str
) -> "optuna.Study":
    """Rebuild a study of Optuna's from what was tried.

    A diverged training counts as the worst value that was seen: how far it went astray says
    nothing. An infeasible one is a constraint; its value, which a model of the metric needs, is the
    middle one.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        chosen: optuna.samplers.BaseSampler
        if name == "gp":
            chosen = optuna.samplers.GPSampler(
                seed=seed, n_startup_trials=1, warn_independent_sampling=False
            )
        else:
            chosen = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1)
        study = optuna.create_study(
            sampler=chosen, direction="maximize" if goal == "maximize" else "minimize"
        )
    inside = [seen for seen in observations if space.holds(seen.point)]
    values = sorted(seen.value for seen in inside if seen.value is not None)
    worst = values[-1] if goal == "minimize" else values[0]
    constrained = any(seen.status == INFEASIBLE for seen in inside)
    for seen in inside:
        infeasible = seen.status == INFEASIBLE
        value = seen.value
        if value is None:
            value = values[len(values) // 2] if infeasible else worst
        study.add_trial(space.frozen(seen.point, value, infeasible if constrained else None))
    return study
