"""Propose the next points of a search space: Bayesian optimisation in rounds.

    parameters + observations (in a fixed order) + seed  ->  points

A pure function of its arguments: the same observations in the same order and the same seed give the
same points, bit for bit, on the same versions of Optuna, torch and the machine's libraries. As long
as no more points have a value than the space has dimensions, a round is a scrambled Sobol sequence:
a model of so few points would go to the corners. After that, Optuna proposes one point after the
other, taking into account the pending points of the round (Gaussian process: expected improvement;
TPE: constant liar).
"""

import statistics
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resweep.config.metric import sign_of
from resweep.search.space import Space
from resweep.sweep import Parameter
from resweep.sweep.points import Point, sobol_points
from resweep.trials.record import Status

if TYPE_CHECKING:
    import optuna

GP_LIMIT = 200  # observations; the cost of a suggestion grows faster than their square
TRIES = 8  # proposals of Optuna per slot before a Sobol point is used
SPARE_POINTS = 512  # of the Sobol sequence, for such slots


@dataclass(frozen=True)
class Observation:
    """The result of a tried point.

    Attributes:
        point: Parameter name -> value; names that are not in the space are ignored.
        value: Of the metric, or None.
        status: finished, stopped (the value is an estimate), diverged, infeasible, or failed,
            which only counts as tried.
        progress: Share of its improvement that came in the second half of its training; None if
            unknown.
    """

    point: Mapping[str, Any]
    value: float | None
    status: Status = Status.FINISHED
    progress: float | None = None


@dataclass(frozen=True)
class Suggestions:
    """The points of a round.

    Attributes:
        points: As many as requested, or fewer if no other feasible, untried points were found.
        sampler: Where they come from: sobol, gp, tpe, or rest (all that was left of a small space).
        infeasible: Number of proposals rejected as infeasible.
        repeated: Number of proposals rejected because they had been tried.
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
        parameters: The search space; points leave constant ones out.
        observations: All tried points, in a fixed order.
        count: Number of points.
        seed: Different for each round, below 2^32.
        goal: minimize or maximize.
        sampler: gp, tpe, or auto: gp up to 200 observations of a mostly numeric space, else tpe.
        feasible: Whether a point can be trained, as far as known beforehand.
    """
    space = Space([parameter for parameter in parameters if parameter.swept])
    chooser = _Chooser(space, observations, feasible)
    if space.size is not None and space.size <= len(chooser.tried) + count:
        chooser.fill(space.all_points(), count)
        return chooser.suggestions("rest")
    known = [seen for seen in observations if seen.value is not None and space.holds(seen.point)]
    if len(known) <= len(space.parameters):
        chooser.fill(_spare(space, seed, 0, count), count)
        return chooser.suggestions("sobol")
    name = _choose_sampler(sampler, space, len(observations))
    study = _study(name, space, observations, seed, goal)
    for slot in range(count):
        found = _ask(study, space, chooser) or chooser.fill(_spare(space, seed, slot + 1, 1), 1)
        if not found and space.size is not None:
            break  # all points are used up
    return chooser.suggestions(name)


def _choose_sampler(sampler: str, space: Space, observed: int) -> str:
    if sampler != "auto":
        return sampler
    return "gp" if observed <= GP_LIMIT and space.mostly_numeric else "tpe"


def _spare(space: Space, seed: int, stream: int, least: int) -> Iterator[Point]:
    """Yield points of a scrambled Sobol sequence, with spares, since some may be unusable.

    Then yields all points of a small space, so that none is missed.
    """
    yield from sobol_points(space.parameters, least + SPARE_POINTS, seed + stream)
    yield from space.all_points()


def _ask(study: "optuna.Study", space: Space, chooser: "_Chooser") -> bool:
    """Ask until a point is usable; rejected ones stay pending, which repels the next proposal."""
    return any(
        chooser.take(space.point(study.ask(space.distributions).params)) for _ in range(TRIES)
    )


class _Chooser:
    """Collects feasible, untried points, and counts the rejected ones."""

    def __init__(
        self,
        space: Space,
        observations: Sequence[Observation],
        feasible: Callable[[Point], bool],
    ):
        self.space = space
        self.feasible = feasible
        self.points: list[Point] = []
        self.infeasible = self.repeated = 0
        self.tried = {space.key(seen.point) for seen in observations if space.holds(seen.point)}

    def take(self, point: Point) -> bool:
        """Take a point if it is usable; returns whether it was."""
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

    def fill(self, points: Iterable[Point], count: int) -> bool:
        """Take up to `count` points, in order; returns whether there were enough."""
        missing = count
        for point in points:
            if not missing:
                break
            if self.take(point):
                missing -= 1
        return not missing

    def suggestions(self, sampler: str) -> Suggestions:
        return Suggestions(self.points, sampler, self.infeasible, self.repeated)


def _study(
    name: str, space: Space, observations: Sequence[Observation], seed: int, goal: str
) -> "optuna.Study":
    """Rebuild an Optuna study from the tried points.

    A diverged training counts as the worst value seen, however badly it diverged. An infeasible one
    is a constraint; the model of the metric gets the median for it.
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
    values = [seen.value for seen in inside if seen.value is not None]
    worst = max(values, key=lambda value: sign_of(goal) * value)
    constrained = any(seen.status == Status.INFEASIBLE for seen in inside)
    for seen in inside:
        if seen.status == Status.FAILED:
            continue
        infeasible = seen.status == Status.INFEASIBLE
        value = seen.value
        if value is None:
            value = statistics.median(values) if infeasible else worst
        study.add_trial(space.frozen(seen.point, value, infeasible if constrained else None))
    return study
