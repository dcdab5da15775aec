"""Test functions of optimisation with continuous, logarithmic and mixed spaces.

Definitions and minima of Branin, Hartmann 6, Ackley and Rosenbrock: Surjanovic and Bingham,
Virtual Library of Simulation Experiments, https://www.sfu.ca/~ssurjano/optimization.html.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.search.objective import Objective
from resweep.sweep import Parameter

HARTMANN_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
HARTMANN_SCALES = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
HARTMANN_CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def branin(point: Mapping[str, Any]) -> float:
    """Branin-Hoo: two dimensions, three minima of 0.397887."""
    x, y = point["x"], point["y"]
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def hartmann6(point: Mapping[str, Any]) -> float:
    """Hartmann: six dimensions, six local minima, the lowest -3.32237."""
    x = np.array([point[f"x{i}"] for i in range(1, 7)])
    inner = (HARTMANN_SCALES * (x - HARTMANN_CENTRES) ** 2).sum(axis=1)
    return float(-HARTMANN_WEIGHTS @ np.exp(-inner))


def mixed_ackley(point: Mapping[str, Any]) -> float:
    """Ackley's function of two floats and two whole numbers, at a scale that a choice sets.

    The choice moves the function as well: the best one has the minimum 0 at x = 1.3, y = -0.7,
    m = 3, n = -2; `shifted` is 0.5 worse everywhere, `rough` has valleys twice as narrow.
    """
    z = np.array([point["x"] - 1.3, point["y"] + 0.7, point["m"] - 3, point["n"] + 2])
    penalty = {"plain": 0.0, "shifted": 0.5, "rough": 0.25}[point["kind"]]
    z = z * (2 if point["kind"] == "rough" else 1)
    waves = math.exp(np.cos(2 * math.pi * z).mean())
    value = 20 + math.e - 20 * math.exp(-0.2 * math.sqrt((z**2).mean())) - waves
    return float(max(0.0, value) + penalty)


def log_rosenbrock(point: Mapping[str, Any]) -> float:
    """Logarithm of 1 + Rosenbrock's function of the decimal logarithms of four positive numbers.

    A narrow bent valley; minimum 0 where all are 10.
    """
    x = np.log10([point[name] for name in ("a", "b", "c", "d")])
    valley = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    return float(np.log1p(valley))


def _objective(
    name: str, function: Callable[[Mapping[str, Any]], float], optimum: float, *space: Parameter
) -> Objective:
    return Objective(
        name=name,
        parameters=space,
        goal="minimize",
        steps=(1,),
        curve=lambda point: np.array([function(point)]),
        optimum=optimum,
        version="1",
    )


def _uniform(name: str, low: float, high: float) -> Parameter:
    return Parameter(name, "uniform", low=low, high=high)


FUNCTIONS = (
    _objective("Branin", branin, 0.39788736, _uniform("x", -5, 10), _uniform("y", 0, 15)),
    _objective(
        "Hartmann 6", hartmann6, -3.32236801, *(_uniform(f"x{i}", 0, 1) for i in range(1, 7))
    ),
    _objective(
        "mixed Ackley",
        mixed_ackley,
        0.0,
        _uniform("x", -5, 5),
        _uniform("y", -5, 5),
        Parameter("m", "int_uniform", low=-5, high=5),
        Parameter("n", "int_uniform", low=-5, high=5),
        Parameter("kind", "categorical", values=("rough", "plain", "shifted")),
    ),
    _objective(
        "log Rosenbrock",
        log_rosenbrock,
        0.0,
        *(Parameter(name, "log_uniform_values", low=1e-2, high=1e2) for name in "abcd"),
    ),
)
