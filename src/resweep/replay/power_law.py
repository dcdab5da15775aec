r"""A learning curve continued beyond its end, by a power law, and how far that can be trusted.

    loss(step) = a + b * step^-c      b, c > 0; least squares over the second half of the curve

(J. Hestness et al., "Deep learning scaling is predictable, empirically", 2017.) For each c, a and b
are the solution of a linear problem; c is searched on a grid and refined.

The uncertainty is measured, not derived: to tell the value at F times the steps of a curve, each
curve is cut at 1/F of its steps, continued, and compared with its real end. The root mean square of
these errors over the curves is the standard error. Whether two of them cover the truth is counted
with the errors of all other curves. A schedule that ends at the end of the curve bends it: such a
curve, continued, is that of a training whose rate came down early.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FEWEST_POINTS = 4  # a fit has three parameters
FEWEST_CURVES = 3  # for an error that is measured
EXPONENTS = tuple(0.05 * 1.2**step for step in range(24))  # 0.05 to 3.3
COVERED = 2.0  # standard errors

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class PowerLaw:
    """a + b * step^-c."""

    a: float
    b: float
    c: float

    def at(self, step: float) -> float:
        """Return the value at a step."""
        return self.a + self.b * step**-self.c


@dataclass(frozen=True, kw_only=True)
class Continued:
    """Curves, continued.

    Attributes:
        factor: To how many times their steps.
        values: Predicted value by trial.
        error: Standard error of a prediction, from held-back ends; None for too few curves.
        covered, checked: Of how many held-back ends two standard errors of the other curves cover
            the truth, and how many there are.
    """

    factor: float
    values: Mapping[str, float]
    error: float | None
    covered: int
    checked: int

    @property
    def line(self) -> str:
        """A sentence about the error."""
        if self.error is None:
            return "too few curves to measure how far predictions are off"
        return (
            f"predictions at {self.factor:g} times the steps are off by {self.error:.4f} "
            f"(root mean square of {self.checked} held-back ends; two of that cover "
            f"{self.covered} of {self.checked})"
        )


def fit(points: Points) -> PowerLaw | None:
    """Fit a falling curve; None for fewer than four points, or if it does not fall.

    Args:
        points: (step, value), sorted by step; those at step 0 and of the first half are left out.
    """
    points = [(step, value) for step, value in points if step > 0 and math.isfinite(value)]
    later = [(step, value) for step, value in points if step >= points[-1][0] / 2]
    used = later if len(later) >= FEWEST_POINTS else points[-FEWEST_POINTS:]
    if len(used) < FEWEST_POINTS:
        return None
    found = [one for one in (_linear(used, c) for c in EXPONENTS) if one is not None]
    if not found:
        return None
    _, best = min(found, key=lambda pair: pair[0])
    low, high = best.c / 1.2, best.c * 1.2
    for _ in range(30):  # ternary search between the neighbours on the grid
        left, right = low + (high - low) / 3, high - (high - low) / 3
        first, second = _linear(used, left), _linear(used, right)
        if first is None or second is None:
            return best
        if first[0] <= second[0]:
            high = right
        else:
            low = left
        best = first[1] if first[0] <= second[0] else second[1]
    return best


def _linear(points: Points, c: float) -> tuple[float, PowerLaw] | None:
    """Return the squared residuals and the law for an exponent; None if it does not fall."""
    x = [step**-c for step, _ in points]
    y = [value for _, value in points]
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    spread = math.fsum((one - mean_x) ** 2 for one in x)
    b = math.fsum((one - mean_x) * other for one, other in zip(x, y, strict=True)) / spread
    if b <= 0:
        return None
    a = mean_y - b * mean_x
    squares = math.fsum((other - a - b * one) ** 2 for one, other in zip(x, y, strict=True))
    return squares, PowerLaw(a, b, c)


def continue_curves(curves: Mapping[str, Points], factor: float, sign: float = 1.0) -> Continued:
    """Continue curves to `factor` times their steps.

    Args:
        curves: Of each trial: (step, value), sorted by step.
        factor: Above 1.
        sign: 1 where less is better, else -1: such curves are mirrored.

    Raises:
        ValueError: The factor is not above 1.
    """
    if not factor > 1:
        raise ValueError(f"a curve is continued to more than its steps, not to {factor:g} times")
    values, errors = {}, []
    for trial, points in curves.items():
        mirrored = [(step, sign * value) for step, value in points]
        law = fit(mirrored)
        if law is None:
            continue
        end, last = mirrored[-1]
        values[trial] = sign * law.at(end * factor)
        before = fit([(step, value) for step, value in mirrored if step <= end / factor])
        if before is not None:
            errors.append(before.at(end) - last)
    known = len(errors) >= FEWEST_CURVES
    covered = sum(
        abs(error) <= COVERED * _root_mean_square([*errors[:n], *errors[n + 1 :]])
        for n, error in enumerate(errors)
        if known
    )
    return Continued(
        factor=factor,
        values=values,
        error=_root_mean_square(errors) if known else None,
        covered=covered,
        checked=len(errors),
    )


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values) / len(values))
