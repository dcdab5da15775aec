"""A metric: what a system declares about each value that its trainings log.

Everything that reads metrics (scores, monitors, rungs, searches, tables, reports) asks here for the
direction and for the steps at which there are values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

MetricGoal = Literal["minimize", "maximize"]


class Logged(StrEnum):
    """When a metric has a value."""

    LINE = "every training.log_steps"
    EVALUATION = "every training.eval_steps"
    END = "at the end"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One value that trainings log.

    Attributes:
        name: Its key in metrics.jsonl.
        goal: Which direction is better.
        logged: When it has a value.
        column: A second, readable name of its column in runs.csv; None: no second column.
    """

    name: str
    logged: Logged
    goal: MetricGoal = "minimize"
    column: str | None = None

    @property
    def sign(self) -> float:
        """1 where less is better, -1 where more is: `sign * value` is to be minimized."""
        return sign_of(self.goal)

    def interval(self, training: Mapping[str, Any]) -> int:
        """Return the steps between two values, given the `training` section.

        Raises:
            ValueError: It has a value only at the end.
        """
        if self.logged is Logged.END:
            raise ValueError(f"{self.name} is only logged at the end")
        return int(training["log_steps" if self.logged is Logged.LINE else "eval_steps"])


def sign_of(goal: str) -> float:
    """Return what to multiply values by so that less is better."""
    return -1.0 if goal == "maximize" else 1.0
