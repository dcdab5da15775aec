"""The next points of a search space, in view of what was tried: Bayesian optimisation in rounds.

    parameters + observations (in a fixed order) + seed  ->  points

A pure function of its arguments: the same observations in the same order and the same seed give the
same points, bit for bit, on the same versions of Optuna, torch and the machine's libraries. While
no more points have a value than the space has dimensions, a round is a scrambled Sobol sequence: a
model of so few knows no direction, and goes to the corners. Afterwards Optuna proposes one
point after the other, each in view of those before it in the round (Gaussian process: expected
improvement over the pending points; TPE: constant liar).
"""

import statistics
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resweep.search.space import Space
from resweep.sweep import Parameter
from resweep.sweep.points import Point, sobol_points
from resweep.trials.record import Status

if TYPE_CHECKING:
    import optuna

GP_LIMIT = 200  # observations; a suggestion costs more than their square
TRIES = 8  # of Optuna for one slot, before a Sobol point takes it
SPARE_POINTS = 512  # of the Sobol sequence, to fill such slots from


@dataclass(frozen=True)
class Observation:
    """What a tried point showed.

    Attributes:
        point: Value by name of the parameter; names that the space does not have are ignored.
        value: Of the metric; None for one that did not get that far.
        status: finished, stopped (the value is an estimate of the end), diverged, infeasible, or
            failed, which tells nothing of the point but that it was tried.
    """

    point: Mapping[str, Any]
    value: float | None
    status: Status = Status.FINISHED


@dataclass(frozen=True)
class Suggestions:
    """A round's points.

    Attributes:
        points: At most as many as asked for; fewer where nothing else was found that can be
            trained and was not tried.
        sampler: Who proposed them: sobol, gp, tpe, or rest: all that was left of a small space.
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
            break  # every point was looked at
    return chooser.suggestions(name)


def _choose_sampler(sampler: str, space: Space, observed: int) -> str:
    if sampler != "auto":
        return sampler
    return "gp" if observed <= GP_LIMIT and space.mostly_numeric else "tpe"


def _spare(space: Space, seed: int, stream: int, least: int) -> Iterator[Point]:
    """Points of a scrambled Sobol sequence, more than needed, since some may be unusable.

    After them all points of a small space, so that none is overlooked.
    """
    yield from sobol_points(space.parameters, least + SPARE_POINTS, seed + stream)
    yield from space.all_points()


def _ask(study: "optuna.Study", space: Space, chooser: "_Chooser") -> bool:
    """Ask until a point can be used; the refused ones stay pending, which drives the next away."""
    return any(
        chooser.take(space.point(study.ask(space.distributions).params)) for _ in range(TRIES)
    )


class _Chooser:
    """Takes points that can be trained and were not tried, and counts the others."""

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

    def fill(self, points: Iterable[Point], count: int) -> bool:
        """Take up to `count` of some points, in their order; says whether there were as many."""
        missing = count
        for point in points:
            if not missing:
                break
            missing -= self.take(point)
        return not missing

    def suggestions(self, sampler: str) -> Suggestions:
        return Suggestions(self.points, sampler, self.infeasible, self.repeated)


def _study(
    name: str, space: Space, observations: Sequence[Observation], seed: int, goal: str
) -> "optuna.Study":
    """Rebuild a study of Optuna's from what was tried.

    A diverged training counts as the worst value that was seen: how far it went astray says
    nothing. An infeasible one is a constraint; its value, which a model of the metric needs, is the
    median.
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
