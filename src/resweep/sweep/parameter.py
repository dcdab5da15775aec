"""One parameter of a search space: its distribution, as W&B defines them.

`draw` is the inverse distribution function and `locate` the distribution function, so that every
sampler works on the unit interval: hashes (random), Sobol points, proposals of a model. Formulas:
wandb/sweeps 0.3.0, `params.py`.
"""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import cached_property
from statistics import NormalDist
from typing import Any

from resweep.canonical import canonical_json, round_sampled
from resweep.sweep.findings import is_number

LOG_RANGES = ("log_uniform", "inv_log_uniform", "q_log_uniform")  # bounds are exponents of e
LOG_RANGES_OF_VALUES = ("log_uniform_values", "inv_log_uniform_values", "q_log_uniform_values")
RANGES = ("int_uniform", "uniform", "q_uniform", *LOG_RANGES, *LOG_RANGES_OF_VALUES)
NORMALS = ("normal", "q_normal", "log_normal", "q_log_normal")
BETAS = ("beta", "q_beta")
CONTINUOUS_RANGES = (
    "uniform", "log_uniform", "inv_log_uniform", "log_uniform_values", "inv_log_uniform_values",
)  # fmt: skip
QUANTILES = (0.01, 0.5, 0.99)  # represent a distribution without bounds, or with open ones
BETWEEN = 0.6180339887  # the quantile of a value that is hardly ever a round one


@dataclass(frozen=True)
class Parameter:
    """One parameter of a search space, in plain values: `asdict` and back goes through JSON.

    Attributes:
        name: As in the file; nested parameters are joined with dots.
        distribution: W&B's name; choices with probabilities are `categorical` too.
        values: The choices of constant (one) and categorical.
        probabilities: Of the choices, or None for equal ones.
        low, high: Bounds of ranges as in the file, both included: for log_uniform, inv_log_uniform
            and q_log_uniform exponents of e (of 1/e for inv_), otherwise values. Of the beta ones
            only where they are not 0 and 1.
        mu, sigma: Mean and standard deviation of (the logarithm of) the normal ones.
        a, b: Shape of the beta ones.
        q: The q_ ones are rounded to multiples of it; whole numbers where it is an int.
    """

    name: str
    distribution: str
    _: KW_ONLY
    values: tuple[Any, ...] = ()
    probabilities: tuple[float, ...] | None = None
    low: float = 0.0
    high: float = 0.0
    mu: float = 0.0
    sigma: float = 1.0
    a: float = 1.0
    b: float = 1.0
    q: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if self.probabilities is not None:
            object.__setattr__(self, "probabilities", tuple(self.probabilities))

    @property
    def content(self) -> dict[str, Any]:
        """Its plain values without defaults: `Parameter(**content)` is equal to it."""
        values = ((one, getattr(self, one.name)) for one in fields(self))
        return {
            one.name: list(value) if isinstance(value, tuple) else value
            for one, value in values
            if value != one.default
        }

    @property
    def swept(self) -> bool:
        """Whether trials can differ in it."""
        return self.distribution != "constant"

    @property
    def extremes(self) -> tuple[Any, ...]:
        """What lies furthest apart: all possible choices, both bounds, or a few quantiles."""
        if self.values:
            return self._possible
        if self.distribution in NORMALS + BETAS:
            return tuple(dict.fromkeys(self.draw(u) for u in QUANTILES))
        if self._quantised:
            first, last = self._multiples()
            return self._multiple(int(first)), self._multiple(int(last))
        if self.distribution in LOG_RANGES:
            return self._bounds()
        return self.low, self.high

    @property
    def probes(self) -> tuple[Any, ...]:
        """The values to check before any job: the extremes, and a value between two bounds."""
        if self.distribution in CONTINUOUS_RANGES:
            return (*self.extremes, self.draw(BETWEEN))
        return self.extremes

    @property
    def grid_probes(self) -> tuple[Any, ...]:
        """The values to check before any job of a grid: all choices, or the first and the last.

        Raises:
            ValueError: As `grid_count`.
        """
        count = self.grid_count()
        return self._distinct if self.values else (self.grid_value(0), self.grid_value(count - 1))

    def within(self, allows: Callable[[float], bool]) -> "Parameter":
        """Leave out the bounds that are never drawn, where only they are not allowed.

        A continuous distribution has its bounds with probability 0, but rounding can reach them,
        and so can a search. They become the nearest number inside, which alters no other draw.

        Args:
            allows: Whether a value may be drawn.
        """
        if self.distribution not in CONTINUOUS_RANGES + BETAS[:1]:
            return self
        low, high = self._bounds()
        # Next to 0, the smallest number that a u of 53 bits draws.
        above = math.nextafter(low, high) if low else high * 2**-53
        below = math.nextafter(high, low) if high else low * 2**-53
        inside = (
            above if not allows(low) and allows(above) else low,
            below if not allows(high) and allows(below) else high,
        )
        if inside == (low, high):
            return self
        of_values = f"{self.distribution}_values" if self.distribution in LOG_RANGES else None
        return replace(
            self, distribution=of_values or self.distribution, low=inside[0], high=inside[1]
        )

    def grid_count(self) -> int:
        """Return how many values it has in a grid; may be too many to list.

        Raises:
            ValueError: They cannot be counted; says why, and what to write instead.
        """
        if self.probabilities is not None:
            raise ValueError("a grid has every choice once; remove probabilities")
        if self.values:
            return len(self._distinct)
        if self.distribution == "int_uniform":
            return int(self.high) - int(self.low) + 1
        if self.distribution == "q_uniform":
            return math.ceil((self.high - self.low) / self.q)
        raise ValueError(
            f"a grid cannot enumerate distribution {self.distribution}, which is continuous or "
            "has no bounds; give values: [...], or use method: random"
        )

    def grid_value(self, position: int) -> Any:
        """Return the value at a position of the grid, in order, each once.

        Those of q_uniform are W&B's: from min in steps of q, without max.
        """
        if self.values:
            return self._distinct[position]
        if self.distribution == "int_uniform":
            return int(self.low) + position
        value = self.low + position * self.q
        whole = all(isinstance(number, int) for number in (self.low, self.high, self.q))
        return value if whole else round_sampled(value)

    @cached_property
    def _distinct(self) -> tuple[Any, ...]:
        """The distinct choices."""
        unique: dict[str, Any] = {}
        for value in self.values:
            unique.setdefault(choice_key(value), value)
        return tuple(unique.values())

    @property
    def _possible(self) -> tuple[Any, ...]:
        """The choices whose probability is not 0."""
        if self.probabilities is None:
            return self.values
        chances = zip(self.values, self.probabilities, strict=True)
        return tuple(value for value, chance in chances if chance > 0)

    def draw(self, u: float) -> Any:
        """Map a uniform `u` in [0, 1) to a value through the inverse distribution function."""
        if self.values:
            return self._choice(u)
        if self.distribution == "int_uniform":
            return int(self.low) + int(u * (int(self.high) - int(self.low) + 1))
        if not self._quantised:
            low, high = self._bounds()
            return min(max(round_sampled(self._quantile(u)), float(low)), float(high))
        first, last = self._multiples()
        return self._multiple(int(min(max(round(self._quantile(u) / self.q), first), last)))

    def locate(self, value: Any) -> float:
        """Return the u at which `draw` gives `value`: the distribution function.

        For what is discrete it is the middle of the value's share of [0, 1].

        Raises:
            ValueError: The value cannot be drawn.
        """
        if self.values:
            return self._locate_choice(value)
        if not is_number(value):
            raise ValueError(f"{value!r} is not a finite number")
        if self.distribution == "int_uniform":
            first, count = int(self.low), int(self.high) - int(self.low) + 1
            if value != int(value) or not 0 <= value - first < count:
                raise ValueError(f"{value!r} is not a whole number from {self.low} to {self.high}")
            return (int(value) - first + 0.5) / count
        if self._quantised:
            k = round(value / self.q)
            first_multiple, last_multiple = self._multiples()
            if not math.isclose(value, k * self.q, rel_tol=1e-6, abs_tol=1e-6 * self.q):
                raise ValueError(f"{value!r} is not a multiple of q = {self.q}")
            if not first_multiple <= k <= last_multiple:
                raise ValueError(f"{value!r} is outside {self.distribution}")
            below = 0.0 if k == first_multiple else self._share((k - 0.5) * self.q)
            above = 1.0 if k == last_multiple else self._share((k + 0.5) * self.q)
            return (below + above) / 2
        low, high = self._bounds()
        if not low <= value <= high or (value <= 0 and "log" in self.distribution):
            raise ValueError(f"{value!r} is outside {self.distribution} {low!r} to {high!r}")
        return self._share(value)

    @property
    def _quantised(self) -> bool:
        return self.distribution.startswith("q_")

    def _choice(self, u: float) -> Any:
        if self.probabilities is None:
            return self.values[int(u * len(self.values))]
        reached = 0.0
        for value, probability in zip(self.values, self.probabilities, strict=True):
            reached += probability
            if u < reached:
                return value
        return self._possible[-1]

    def _locate_choice(self, value: Any) -> float:
        wanted = choice_key(value)
        reached, each = 0.0, 1 / len(self.values)
        for position, choice in enumerate(self.values):
            share = each if self.probabilities is None else self.probabilities[position]
            if choice_key(choice) == wanted and share > 0:
                return min(reached + share / 2, 1.0)
            reached += share
        raise ValueError(f"{value!r} is not among its values")

    def _bounds(self) -> tuple[float, float]:
        """Return the smallest and the largest value, before rounding to multiples of q."""
        if self.distribution in LOG_RANGES:
            low, high = self._log_bounds()
            return round_sampled(math.exp(low)), round_sampled(math.exp(high))
        if self.distribution in RANGES:
            return self.low, self.high
        if self.distribution in BETAS:
            return (self.low, self.high) if self.low < self.high else (0.0, 1.0)
        return 0.0 if "log" in self.distribution else -math.inf, math.inf

    def _log_bounds(self) -> tuple[float, float]:
        if self.distribution == "inv_log_uniform":
            return -self.high, -self.low
        if self.distribution in LOG_RANGES:
            return self.low, self.high
        return math.log(self.low), math.log(self.high)

    def _multiples(self) -> tuple[float, float]:
        """Return the first and last k with k * q inside the bounds (infinite where none)."""
        low, high = (bound / self.q for bound in self._bounds())
        slack = 1e-9  # 0.3 / 0.1 is a little less than 3
        return (
            math.ceil(low - slack * max(1, abs(low))) if math.isfinite(low) else low,
            math.floor(high + slack * max(1, abs(high))) if math.isfinite(high) else high,
        )

    def _multiple(self, k: int) -> float:
        return k * self.q if isinstance(self.q, int) else round_sampled(k * self.q)

    def _quantile(self, u: float) -> float:
        """Inverse distribution function of the continuous distribution."""
        if self.distribution in ("uniform", "q_uniform"):
            return self.low + u * (self.high - self.low)
        if self.distribution in RANGES:
            low, high = self._log_bounds()
            return math.exp(low + u * (high - low))
        u = min(max(u, 2**-54), 1 - 2**-53)
        if self.distribution in BETAS:
            from scipy.special import betaincinv  # slow to import, and few sweeps need it

            return float(betaincinv(self.a, self.b, u))
        value = NormalDist(self.mu, self.sigma).inv_cdf(u)
        return math.exp(value) if "log" in self.distribution else value

    def _share(self, value: float) -> float:
        """Distribution function of the continuous distribution."""
        low, high = self._bounds()
        if value <= low or value >= high:
            return 0.0 if value <= low else 1.0
        if self.distribution in ("uniform", "q_uniform"):
            return (value - self.low) / (self.high - self.low)
        if self.distribution in RANGES:
            low, high = self._log_bounds()
            return min(max((math.log(value) - low) / (high - low), 0.0), 1.0)
        if self.distribution in BETAS:
            from scipy.special import betainc  # as above

            return float(betainc(self.a, self.b, value))
        value = math.log(value) if "log" in self.distribution else value
        return 0.5 * math.erfc((self.mu - value) / (self.sigma * math.sqrt(2)))


def choice_key(value: Any) -> str:
    """Return a text that is equal for equal choices only: for 1 and 1.0, not for 1 and true.

    Raises:
        ValueError: The value has no canonical form.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return canonical_json(value)
