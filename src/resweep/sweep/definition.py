"""A sweep: the content of a sweep file, checked."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from resweep.config.metric import MetricGoal
from resweep.errors import ConfigError, Problem
from resweep.sweep.command import Command
from resweep.sweep.early_terminate import EarlyTerminate
from resweep.sweep.parameter import Parameter
from resweep.sweep.points import grid_points, random_points, sobol_points, subset_points


@dataclass(frozen=True)
class SweepMetric:
    """What a sweep optimises.

    Attributes:
        goal: None where the file gives none: the metric's own.
        target: The value at which a sweep has reached its aim, or None.
    """

    name: str
    goal: MetricGoal | None = None
    target: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep file, checked.

    Attributes:
        origin: The file, for messages.
        method: grid, random or bayes.
        parameters: Sorted by name at each level of nesting, which is W&B's order of a grid.
        metric: None where the file names none.
        run_cap: The most trials, or None.
        seed: Of random numbers; resweep's addition to the format, like the sampler.
        sampler: random: None, sobol or without_replacement; bayes: None (chosen by the number of
            trials), gp or tpe.
        early_terminate: None where the file has none.
        name, program, project, entity: Of W&B; None where the file has none.
        command: What agents would run, and what it sets; None where the file has none.
        warnings: What the file has but nothing reads, or what may be a mistake.
    """

    origin: str
    method: str
    parameters: tuple[Parameter, ...]
    metric: SweepMetric | None = None
    run_cap: int | None = None
    seed: int = 0
    sampler: str | None = None
    early_terminate: EarlyTerminate | None = None
    name: str | None = None
    program: str | None = None
    command: Command | None = None
    project: str | None = None
    entity: str | None = None
    warnings: tuple[str, ...] = ()

    def probes(self, parameter: Parameter) -> tuple[Any, ...]:
        """Return the values of a parameter to check before any job: some that it does draw."""
        combined = self.method == "grid" or self.sampler == "without_replacement"
        return parameter.grid_probes if combined else parameter.probes

    def points(self, limit: int | None = None, seed: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the points of the sweep, at most `limit` (default: run_cap).

        Args:
            limit, seed: Instead of the file's own.

        Raises:
            ConfigError: A random sweep has no limit, or the method is bayes, whose points depend
                on the results of earlier ones.
        """
        limit = self.run_cap if limit is None else limit
        seed = self.seed if seed is None else seed
        if self.method == "grid":
            yield from itertools.islice(grid_points(self.parameters), limit)
            return
        if self.method == "bayes":
            hint = "has no fixed points: rounds propose them from the records of earlier rounds"
            raise ConfigError(Problem(self.origin, "method", self.method, hint))
        if limit is None:
            hint = (
                "is missing: a random sweep needs a number of trials (run_cap: 16, or trials: in "
                "the study's phase)"
            )
            raise ConfigError(Problem(self.origin, "run_cap", None, hint))
        samplers = {"sobol": sobol_points, "without_replacement": subset_points}
        yield from samplers.get(self.sampler or "", random_points)(self.parameters, limit, seed)
