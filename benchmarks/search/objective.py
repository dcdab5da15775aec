"""What methods search: a function from a point of a space to a learning curve."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from resweep.canonical import canonical_json
from resweep.config.metric import MetricGoal
from resweep.sweep import Parameter

Point = dict[str, Any]


def no_noise(point: Mapping[str, Any], rng: np.random.Generator) -> float:
    """Return what a deterministic objective adds to its curve."""
    return 0.0


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A function to optimise.

    Attributes:
        name: For tables.
        parameters: Its space.
        goal: minimize or maximize.
        steps: At which a training is evaluated; a test function has one evaluation.
        curve: Values at these steps without noise, shape (evaluations,).
        optimum: The best last value without noise, over the space.
        noise: What a seed adds to the curve: shape (evaluations,), or one number.
        version: Changes with whatever changes the numbers.
    """

    name: str
    parameters: tuple[Parameter, ...]
    goal: MetricGoal
    steps: tuple[int, ...]
    curve: Callable[[Mapping[str, Any]], np.ndarray]
    optimum: float
    version: str
    noise: Callable[[Mapping[str, Any], np.random.Generator], np.ndarray | float] = no_noise

    def train(self, point: Mapping[str, Any], seed: Sequence[Any]) -> np.ndarray:
        """Return the curve that a training with this seed shows; the same for the same seed."""
        return self.curve(point) + self.noise(point, generator(self.name, *seed))

    def regret(self, point: Mapping[str, Any]) -> float:
        """How far the end of the training, without noise, is from the optimum; 0 is best."""
        value = float(self.curve(point)[-1])
        return value - self.optimum if self.goal == "minimize" else self.optimum - value


def generator(*parts: Any) -> np.random.Generator:
    """Return a random generator that depends on all parts, the same on every machine."""
    name = canonical_json(list(parts)).encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest()[:8], "big"))
