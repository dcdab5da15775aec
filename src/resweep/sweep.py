"""W&B sweep files: reading them, and the points of their search space.

A point is a mapping from a parameter's name in the file to its value. Grids enumerate points;
random sweeps draw each value from (seed, index of the trial, name) alone, so that more trials or
another parameter leave the values drawn before as they were.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.canonical import round_sampled
from resweep.errors import ConfigError, Problem

TOP_LEVEL_KEYS = frozenset(
    [
        "method",
        "parameters",
        "metric",
        "program",
        "command",
        "name",
        "description",
        "project",
        "entity",
        "run_cap",
        "early_terminate",
        "controller",
        "scheduler",
        "job",
        "image_uri",
        "apiVersion",
        "kind",
        "seed",
    ]
)
PARAMETER_KEYS = frozenset(
    ["value", "values", "probabilities", "distribution", "min", "max", "parameters"]
)
METHODS = ("grid", "random")
CHOICES = ("constant", "categorical", "categorical_w_probabilities")
RANGES = ("int_uniform", "uniform", "log_uniform_values")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a search space.

    Attributes:
        name: As in the file; nested parameters are joined with dots.
        distribution: constant, categorical, int_uniform, uniform or log_uniform_values.
        values: The choices of constant (one) and categorical.
        probabilities: Of the choices, or None for equal ones.
        low, high: Bounds of the others, both included.
    """

    name: str
    distribution: str
    values: tuple[Any, ...] = ()
    probabilities: tuple[float, ...] | None = None
    low: float = 0.0
    high: float = 0.0

    @property
    def swept(self) -> bool:
        """Whether trials can differ in it."""
        return self.distribution != "constant"

    @property
    def extremes(self) -> tuple[Any, ...]:
        """The values to check before any job: all choices, or both bounds."""
        return self.values or (self.low, self.high)

    def grid_values(self) -> tuple[Any, ...]:
        """All values in a grid, in order; raises ValueError for a continuous parameter."""
        if self.values:
            return self.values
        if self.distribution == "int_uniform":
            return tuple(range(int(self.low), int(self.high) + 1))
        raise ValueError(
            f"a grid cannot enumerate distribution {self.distribution}; "
            "give values: [...], or use method: random"
        )

    def draw(self, u: float) -> Any:
        """Map a uniform `u` in [0, 1) to a value through the inverse distribution function."""
        if self.distribution == "int_uniform":
            return int(self.low) + int(u * (int(self.high) - int(self.low) + 1))
        if self.distribution == "uniform":
            return self._inside(self.low + u * (self.high - self.low))
        if self.distribution == "log_uniform_values":
            low, high = math.log(self.low), math.log(self.high)
            return self._inside(math.exp(low + u * (high - low)))
        if self.probabilities is None:
            return self.values[int(u * len(self.values))]
        reached = 0.0
        for value, probability in zip(self.values, self.probabilities, strict=True):
            reached += probability
            if u < reached:
                return value
        return self.values[-1]

    def _inside(self, value: float) -> float:
        """Round a sampled value, without leaving the bounds by it."""
        return min(max(round_sampled(value), float(self.low)), float(self.high))


@dataclass(frozen=True)
class Metric:
    """What a sweep optimises."""

    name: str = "val/loss"
    goal: str = "minimize"


@dataclass(frozen=True)
class Sweep:
    """A sweep file, checked.

    Attributes:
        origin: The file, for messages.
        metric: None where the file names none.
        run_cap: The most trials, or None.
        seed: Of random sweeps; resweep's addition to the format.
        warnings: What the file holds and nothing reads.
    """

    origin: str
    method: str
    parameters: tuple[Parameter, ...]
    metric: Metric | None = None
    run_cap: int | None = None
    seed: int = 0
    warnings: tuple[str, ...] = ()

    def points(self, limit: int | None = None, seed: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the points of the sweep, at most `limit` (default: run_cap).

        A grid runs through names in sorted order, the last varying fastest, as W&B does.

        Raises:
            ConfigError: A grid has a continuous parameter, or a random sweep has no limit.
        """
        limit = self.run_cap if limit is None else limit
        if self.method == "grid":
            yield from itertools.islice(self._grid(), limit)
            return
        if limit is None:
            raise ConfigError(
                Problem(
                    self.origin,
                    "run_cap",
                    None,
                    "is missing: say how many trials a random sweep has (run_cap: 16, or trials: "
                    "in the study's phase)",
                )
            )
        for index in range(limit):
            yield {
                parameter.name: parameter.draw(
                    uniform(self.seed if seed is None else seed, index, parameter.name)
                )
                for parameter in self.parameters
            }

    def _grid(self) -> Iterator[dict[str, Any]]:
        ordered = sorted(self.parameters, key=lambda parameter: parameter.name)
        axes, problems = [], []
        for parameter in ordered:
            try:
                axes.append(parameter.grid_values())
            except ValueError as error:
                problems.append(Problem(self.origin, parameter.name, None, str(error)))
        if problems:
            raise ConfigError(problems)
        names = [parameter.name for parameter in ordered]
        for values in itertools.product(*axes):
            yield dict(zip(names, values, strict=True))


def uniform(seed: int, index: int, name: str) -> float:
    """Return a number in [0, 1) that depends on these three alone, on every platform."""
    text = f"{seed}/{index}/{name}".encode()
    return (int.from_bytes(hashlib.sha256(text).digest()[:7], "big") >> 3) / 2**53


def load_sweep(path: str | Path) -> Sweep:
    """Read and check a sweep file.

    Unknown keys at the top level become warnings, since real files carry them.

    Raises:
        ConfigError: All that is wrong with the file, each problem naming its parameter.
    """
    origin = str(path)
    content = yaml12.load_mapping(Path(path))
    problems: list[Problem] = []
    unread = tuple(
        f"{origin}: the key {key!r} is not of the sweep format; ignored"
        for key in sorted(content.keys() - TOP_LEVEL_KEYS)
    )

    method = content.get("method")
    if method not in METHODS:
        problems.append(Problem(origin, "method", method, f"should be one of {', '.join(METHODS)}"))
    if content.get("early_terminate") is not None:
        problems.append(
            Problem(origin, "early_terminate", None, "is not supported; remove it from the sweep")
        )
    parameters: list[Parameter] = []
    given = content.get("parameters")
    if not isinstance(given, dict) or not given:
        problems.append(
            Problem(origin, "parameters", None, "should map names to value, values ...")
        )
    else:
        parameters, wrong = _read_parameters(given, origin, "")
        problems += wrong
    run_cap = content.get("run_cap")
    if run_cap is not None and not _is_int(run_cap, least=1):
        problems.append(Problem(origin, "run_cap", run_cap, "should be a whole number above 0"))
    seed = content.get("seed", 0)
    if not _is_int(seed, least=0):
        problems.append(Problem(origin, "seed", seed, "should be a whole number, 0 or more"))
    metric = None
    if content.get("metric") is not None:
        metric = _read_metric(content["metric"], origin, problems)
    if problems:
        raise ConfigError(problems)
    return Sweep(origin, str(method), tuple(parameters), metric, run_cap, seed, unread)


def _read_metric(given: Any, origin: str, problems: list[Problem]) -> Metric | None:
    name = given.get("name") if isinstance(given, dict) else None
    goal = given.get("goal", "minimize") if isinstance(given, dict) else None
    if not isinstance(name, str) or not name:
        problems.append(Problem(origin, "metric.name", name, "should name a logged metric"))
    if goal not in ("minimize", "maximize"):
        problems.append(Problem(origin, "metric.goal", goal, "should be minimize or maximize"))
    return Metric(str(name), str(goal))


def _read_parameters(
    given: dict[str, Any], origin: str, prefix: str
) -> tuple[list[Parameter], list[Problem]]:
    parameters: list[Parameter] = []
    problems: list[Problem] = []
    for key, spec in given.items():
        name = f"{prefix}{key}"
        if isinstance(spec, dict) and "parameters" in spec:
            if isinstance(spec["parameters"], dict) and len(spec) == 1:
                inner, wrong = _read_parameters(spec["parameters"], origin, f"{name}.")
                parameters += inner
                problems += wrong
            else:
                problems.append(
                    Problem(origin, name, None, "nested parameters: should be a mapping, alone")
                )
            continue
        try:
            parameters.append(_read_parameter(name, spec))
        except ValueError as error:
            problems.append(Problem(origin, f"parameters.{name}", spec, str(error)))
    return parameters, problems


def _read_parameter(name: str, spec: Any) -> Parameter:
    """Read one parameter by W&B's inference: value, values, int bounds, float bounds.

    Raises:
        ValueError: What should be there instead.
    """
    if not isinstance(spec, dict):
        raise ValueError("should be {value: ...}, {values: [...]} or {min: ..., max: ...}")
    distribution = spec.get("distribution")
    if distribution is not None and distribution not in CHOICES + RANGES:
        raise ValueError(
            f"distribution {distribution!r} is not one of {', '.join(CHOICES + RANGES)}"
        )
    unknown = sorted(str(key) for key in spec.keys() - PARAMETER_KEYS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; there are {sorted(PARAMETER_KEYS)}")
    if "value" in spec:
        if distribution not in (None, "constant"):
            raise ValueError(f"value: is for distribution: constant, not {distribution}")
        return Parameter(name, "constant", (spec["value"],))
    if "values" in spec:
        return _read_categorical(name, spec, distribution)
    return _read_range(name, spec, distribution)


def _read_categorical(name: str, spec: dict[str, Any], distribution: Any) -> Parameter:
    values, probabilities = spec["values"], spec.get("probabilities")
    if distribution not in (None, "categorical", "categorical_w_probabilities"):
        raise ValueError(f"values: is for distribution: categorical, not {distribution}")
    if not isinstance(values, list) or not values:
        raise ValueError("values: should be a list with at least one entry")
    if probabilities is not None:
        fits = isinstance(probabilities, list) and len(probabilities) == len(values)
        if not fits or not all(_is_number(p) and p >= 0 for p in probabilities):
            raise ValueError("probabilities: should be one number, 0 or more, for each value")
        if abs(sum(probabilities) - 1) > 1e-6:
            raise ValueError(f"probabilities: should add up to 1, not {sum(probabilities):g}")
    return Parameter(
        name, "categorical", tuple(values), tuple(probabilities) if probabilities else None
    )


def _read_range(name: str, spec: dict[str, Any], distribution: Any) -> Parameter:
    low, high = spec.get("min"), spec.get("max")
    if low is None or high is None:
        raise ValueError("should have value, values, or both min and max")
    if not _is_number(low) or not _is_number(high):
        raise ValueError("min and max should be numbers")
    if low >= high:
        raise ValueError(f"min should be smaller than max, not {low!r} and {high!r}")
    whole = _is_int(low) and _is_int(high)
    distribution = distribution or ("int_uniform" if whole else "uniform")
    if distribution == "int_uniform" and not whole:
        raise ValueError("int_uniform needs whole numbers as min and max")
    if distribution == "log_uniform_values" and low <= 0:
        raise ValueError("log_uniform_values needs min above 0")
    if distribution not in RANGES:
        raise ValueError(f"min and max are for {', '.join(RANGES)}, not {distribution}")
    return Parameter(name, distribution, low=low, high=high)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_int(value: Any, least: int | None = None) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and (least is None or value >= least)
