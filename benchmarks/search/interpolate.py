"""Learning curves at every point of a space, interpolated between the trainings of a table.

A Gaussian process each evaluation (Matern 5/2 with a length scale a dimension; Rasmussen and
Williams 2006, sections 2.2, 4.2 and 5.4), fitted to the means over seeds in the unit cube. What it
answers is smoother than real trainings are: it holds no narrow valley that the table does not show.
Noise is put back as it was measured: the deviation of a real training from the mean of its
repeats, as a whole curve, drawn from the repeated configuration that ended nearest.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import qmc, spearmanr

from benchmarks.search.objective import Objective
from benchmarks.search.table import Table, read_table
from resweep.canonical import file_digest
from resweep.config.metric import MetricGoal
from resweep.sweep import Parameter

VERSION = "1"  # changes with what the interpolation answers
FIT_STEPS = 80
FIT_RATE = 0.12
JITTER = 1e-6
SEARCH_POINTS = 2**14
SEARCH_STARTS = 64
SEARCH_ROUNDS = 60


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How well the interpolation predicts a configuration of the table that it was not shown.

    Attributes:
        error: Root mean square of the error of the last evaluation, leave-one-out.
        spread: Standard deviation of the last evaluation over the table.
        rank: Spearman's correlation of predicted and real last evaluations.
        best_error, best_rank: The same within the better half of the table.
        noise: Standard deviation between seeds, the median over repeated configurations; nan
            without repeats.
    """

    error: float
    spread: float
    rank: float
    best_error: float
    best_rank: float
    noise: float


class Interpolation:
    """Curves at any point of a table's space.

    Args:
        table: At least some hundred trainings, better than dozens.
    """

    def __init__(self, table: Table, goal: MetricGoal):
        self.table = table
        self.goal = goal
        self.axes = [_Axis(parameter) for parameter in table.parameters]
        groups: dict[tuple[Any, ...], list[np.ndarray]] = {}
        for point, curve in zip(table.points, _filled(table.curves, goal), strict=True):
            groups.setdefault(tuple(point.values()), []).append(curve)
        names = [parameter.name for parameter in table.parameters]
        self.points = [dict(zip(names, values, strict=True)) for values in groups]
        self.curves = np.array([np.mean(curves, axis=0) for curves in groups.values()])
        self.deviations = [
            (np.array(curves) - np.mean(curves, axis=0)) * math.sqrt(len(curves) / len(curves[1:]))
            for curves in groups.values()
            if len(curves) > 1
        ]
        self.repeated_ends = np.array(
            [np.mean(curves, axis=0)[-1] for curves in groups.values() if len(curves) > 1]
        )
        self.inputs = np.array([self.coordinates(point) for point in self.points])
        self.mean, self.scale = self.curves.mean(axis=0), self.curves.std(axis=0) + 1e-12
        self._fit()

    def coordinates(self, point: Mapping[str, Any]) -> np.ndarray:
        """Return the point in the unit cube: one number a parameter, one a choice of words."""
        return np.concatenate([axis.coordinates(point[axis.name]) for axis in self.axes])

    def curve(self, point: Mapping[str, Any]) -> np.ndarray:
        """Return the curve without noise: shape (evaluations,)."""
        return self.curves_at(self.coordinates(point)[np.newaxis])[0]

    def curves_at(self, inputs: np.ndarray) -> np.ndarray:
        """Return curves at coordinates: shapes (points, dimensions) -> (points, evaluations)."""
        weights = self.weights
        near = _matern(inputs[np.newaxis] / self.lengths, self.inputs / self.lengths)
        answers = self.amplitude * (near @ weights[:, :, np.newaxis])[:, :, 0]
        return (answers.T * self.scale) + self.mean

    def noise(self, point: Mapping[str, Any], rng: np.random.Generator) -> np.ndarray | float:
        """Return what one seed adds to the curve: shape (evaluations,); 0 without repeats."""
        if not self.deviations:
            return 0.0
        end = self.curve(point)[-1]
        nearest = int(np.abs(self.repeated_ends - end).argmin())
        chosen: np.ndarray = rng.choice(self.deviations[nearest])
        return chosen * rng.choice([-1.0, 1.0])

    def accuracy(self) -> Accuracy:
        """Leave each configuration out in turn (Rasmussen and Williams 2006, equation 5.12)."""
        inverse = np.linalg.inv(self.covariance[-1])
        errors = self.weights[-1] / np.diag(inverse) * self.scale[-1]
        real = self.curves[:, -1]
        predicted = real - errors
        sign = 1 if self.goal == "minimize" else -1
        best = sign * real <= np.median(sign * real)
        ends = [deviations[:, -1].std() for deviations in self.deviations]
        return Accuracy(
            error=float(np.sqrt((errors**2).mean())),
            spread=float(real.std()),
            rank=float(spearmanr(predicted, real).statistic),
            best_error=float(np.sqrt((errors[best] ** 2).mean())),
            best_rank=float(spearmanr(predicted[best], real[best]).statistic),
            noise=float(np.median(ends)) if ends else math.nan,
        )

    def optimum(self) -> float:
        """Return the best last value over the space: of Sobol points, moved while they gain."""
        sign = 1 if self.goal == "minimize" else -1
        rng = np.random.default_rng(0)
        dimensions = len(self.axes)
        units = qmc.Sobol(dimensions, rng=0).random(SEARCH_POINTS)
        ends = sign * self._ends(units)
        order = ends.argsort()[:SEARCH_STARTS]
        units, ends = units[order], ends[order]
        for width in np.geomspace(0.2, 1e-3, SEARCH_ROUNDS):
            moved = units + width * rng.normal(size=units.shape)
            moved = np.clip(moved, 0, np.nextafter(1, 0))
            values = sign * self._ends(moved)
            better = values < ends
            units[better], ends[better] = moved[better], values[better]
        return float(sign * ends.min())

    def _ends(self, units: np.ndarray) -> np.ndarray:
        """Last values at quantiles of each parameter: shapes (points, parameters) -> (points,)."""
        columns = [
            np.array([axis.coordinates(axis.parameter.draw(u)) for u in column.tolist()])
            for axis, column in zip(self.axes, units.T, strict=True)
        ]
        inputs = np.concatenate(columns, axis=1)
        near = _matern(inputs / self.lengths[-1, 0], self.inputs / self.lengths[-1, 0])
        return self.amplitude[-1, 0] * (near @ self.weights[-1]) * self.scale[-1] + self.mean[-1]

    def _fit(self) -> None:
        """Maximise the marginal likelihood, with a weak prior, of all evaluations at once."""
        inputs = torch.from_numpy(self.inputs)
        targets = torch.from_numpy((self.curves - self.mean) / self.scale).T
        evaluations, rows = targets.shape
        logs = torch.zeros(evaluations, self.inputs.shape[1] + 2, dtype=torch.float64)
        logs[:, -1] = math.log(0.05)
        logs.requires_grad_()
        optimizer = torch.optim.Adam([logs], lr=FIT_RATE)
        for _ in range(FIT_STEPS):
            optimizer.zero_grad()
            factor = torch.linalg.cholesky(_covariance(logs, inputs))
            solved = torch.cholesky_solve(targets[:, :, None], factor)[:, :, 0]
            likelihood = (
                -0.5 * (targets * solved).sum(dim=1)
                - factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
                - 0.5 * ((logs[:, :-2] - 0.5) ** 2).sum(dim=1)
                - 0.5 * ((logs[:, -1] + 4) ** 2) / 4
            )
            (-likelihood.sum() / rows).backward()
            optimizer.step()
        with torch.no_grad():
            covariance = _covariance(logs, inputs)
            factor = torch.linalg.cholesky(covariance)
            solved = torch.cholesky_solve(targets[:, :, None], factor)[:, :, 0]
        found = logs.detach().exp().numpy()
        self.lengths = found[:, np.newaxis, :-2]
        self.amplitude = found[:, -2:-1]
        self.weights = solved.numpy()
        self.covariance = covariance.numpy()


class _Axis:
    """A parameter's place in the cube."""

    def __init__(self, parameter: Parameter):
        self.parameter = parameter
        self.name = parameter.name
        self.words = [value for value in parameter.values if isinstance(value, str)]

    def coordinates(self, value: Any) -> list[float]:
        if self.words:
            return [float(value == word) for word in self.words]
        return [self.parameter.locate(value)]


def _filled(curves: np.ndarray, goal: MetricGoal) -> np.ndarray:
    """Let a training that diverged count as the worst of each evaluation that it lacks."""
    worst = np.nanmax(curves, axis=0) if goal == "minimize" else np.nanmin(curves, axis=0)
    return np.where(np.isnan(curves), worst, curves)


def _matern(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Matern 5/2 correlation of scaled inputs: (..., n, d) and (..., m, d) -> (..., n, m)."""
    squares = (left**2).sum(-1)[..., :, np.newaxis] + (right**2).sum(-1)[..., np.newaxis, :]
    distance = np.sqrt(5 * np.maximum(squares - 2 * left @ np.swapaxes(right, -1, -2), 0))
    return (1 + distance + distance**2 / 3) * np.exp(-distance)


def _covariance(logs: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Covariance of the rows under each evaluation's parameters: shape (evaluations, n, n).

    `logs` are logarithms of the length scales, the amplitude and the variance of the noise.
    """
    scaled = inputs[None] / logs[:, None, :-2].exp()
    norms = scaled.pow(2).sum(-1)
    squares = norms[:, :, None] + norms[:, None] - 2 * scaled @ scaled.mT
    distance = (5 * squares).clamp(min=1e-10).sqrt()
    near = (1 + distance + distance**2 / 3) * (-distance).exp()
    noise = (logs[:, -1].exp() + JITTER)[:, None, None] * torch.eye(len(inputs)).double()
    return logs[:, -2].exp()[:, None, None] * near + noise


@functools.cache
def interpolation(path: Path, goal: MetricGoal) -> Interpolation:
    """Read and fit a table, once a process."""
    return Interpolation(read_table(path), goal)


def objective_from(path: Path, goal: MetricGoal) -> Objective:
    """Make an objective of a table.

    Raises:
        ConfigError: The table cannot be read.
    """
    fitted = interpolation(path, goal)
    return Objective(
        name=fitted.table.name,
        parameters=fitted.table.parameters,
        goal=goal,
        steps=fitted.table.steps,
        curve=fitted.curve,
        optimum=fitted.optimum(),
        version=f"{VERSION}/{file_digest(path)[:12]}",
        noise=fitted.noise,
    )
