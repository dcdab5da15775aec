"""Which configurations cannot be told apart from rank 1.

    seeds of a configuration, or the end of its curve  ->  standard error of its final value
    those of two configurations                        ->  a tie, no tie, or unknown

Two configurations tie if their final values a and b differ by less than two standard errors of
their difference, or not at all:

    |a - b| < 2 * sqrt(se_a^2 + se_b^2)

This is the statistic of Welch's test for means of unequal variances (B. L. Welch, Biometrika 34,
1947), with the 2 of large samples. With few seeds, it finds differences where there are none more
often than in one case of 20; docs/scores.md says how often.

    several seeds   se = s / sqrt(n)       s: standard deviation of the n final values
    one seed        se = sqrt(r / (n - 2)) r: sum of the squared residuals of the last quarter of
                                           the n evaluations around a least-squares line

The second is the residual standard deviation of a linear regression: how far a single value lies
from the trend of its curve. It does not contain what another seed would change.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

STANDARD_ERRORS = 2.0
LAST_PART = 0.25  # of the evaluations
# A line through 2 points leaves no residuals. With 3 points, 17 % of equal pairs would not tie,
# with 4 points 10 %.
FEWEST_POINTS = 4


class Tie(StrEnum):
    """Whether a configuration cannot be told apart from rank 1."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown (one seed)"


TIE_TEXTS = {
    Tie.YES: "cannot be told apart from rank 1",
    Tie.NO: "differs from rank 1",
    Tie.UNKNOWN: f"whether it differs from rank 1 is {Tie.UNKNOWN}",
}


@dataclass(frozen=True)
class Estimate:
    """The final value of a configuration.

    Attributes:
        value: Its mean over the seeds.
        error: Standard error of `value`; None if it is unknown.
    """

    value: float
    error: float | None


def seed_error(finals: Sequence[float]) -> float | None:
    """Return the standard error of the mean over seeds; None for a single one."""
    if len(finals) < 2:
        return None
    return statistics.stdev(finals) / math.sqrt(len(finals))


def curve_error(steps: Sequence[float], values: Sequence[float]) -> float | None:
    """Return the standard error of the last value of a curve; None with too few evaluations.

    Args:
        steps, values: All evaluations, in order.
    """
    count = math.ceil(LAST_PART * len(values))
    if count < FEWEST_POINTS:
        return None
    steps, values = steps[-count:], values[-count:]
    line = statistics.linear_regression(steps, values)
    residuals = (y - line.slope * x - line.intercept for x, y in zip(steps, values, strict=True))
    return math.hypot(*residuals) / math.sqrt(count - 2)


def compare(best: Estimate, other: Estimate) -> Tie:
    """Return whether a configuration ties with rank 1."""
    difference = abs(best.value - other.value)
    if difference == 0.0:
        return Tie.YES
    if best.error is None or other.error is None:
        return Tie.UNKNOWN
    tied = difference < STANDARD_ERRORS * math.hypot(best.error, other.error)
    return Tie.YES if tied else Tie.NO
