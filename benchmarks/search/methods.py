"""Methods that propose points, all behind one interface.

A proposer is asked for the next `batch` points with all trials so far at hand. `resweep` is a pure
function of those; the study loops of Optuna and W&B's engine keep their state, and are told what is
new.
"""

import json
import os
import subprocess
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna

from benchmarks.search.objective import Objective, Point
from resweep.canonical import digest
from resweep.errors import ResweepError
from resweep.search.focus import Focus, propose_focused
from resweep.search.space import Space
from resweep.search.suggest import Observation, suggest
from resweep.sweep import Parameter, uniform
from resweep.sweep.points import sobol_points

ROOT = Path(__file__).resolve().parents[2]
MOST_POINTS = 1024  # of a Sobol sequence
ENGINE_PYTHON = ROOT / ".venv-oracle/bin/python"


class Proposer:
    """Proposes points of an objective's space.

    Args:
        objective: Only its space and goal are used.
        seed: Another one for each repetition.
    """

    def __init__(self, objective: Objective, seed: int):
        self.parameters = objective.parameters
        self.goal = objective.goal
        self.seed = seed

    def propose(self, count: int, observations: Sequence[Observation]) -> list[Point]:
        """Return the next points.

        Args:
            count: How many.
            observations: Of all trials so far, in the order in which they were proposed.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Free what it holds."""


class Random(Proposer):
    """Independent draws, as of `method: random`."""

    def propose(self, count: int, observations: Sequence[Observation]) -> list[Point]:
        """Draw; the index of a trial tells its values."""
        first = len(observations)
        return [
            {p.name: p.draw(uniform(self.seed, index, p.name)) for p in self.parameters}
            for index in range(first, first + count)
        ]


class Sobol(Proposer):
    """A scrambled Sobol sequence, as of `sampler: sobol`."""

    def __init__(self, objective: Objective, seed: int):
        super().__init__(objective, seed)
        self.sequence = sobol_points(self.parameters, MOST_POINTS, seed)

    def propose(self, count: int, observations: Sequence[Observation]) -> list[Point]:
        """Take the next of the sequence."""
        return [next(self.sequence) for _ in range(count)]


class Bayes(Proposer):
    """`method: bayes`: rounds by `resweep.search.suggest.suggest`."""

    def __init__(self, objective: Objective, seed: int, sampler: str):
        super().__init__(objective, seed)
        self.sampler = sampler

    def propose(self, count: int, observations: Sequence[Observation]) -> list[Point]:
        """Propose a round."""
        return suggest(
            self.parameters,
            observations,
            count,
            seed=int(digest([self.seed, len(observations)], 8), 16),
            goal=self.goal,
            sampler=self.sampler,
        ).points


class Resampled(Random):
    """Independent draws, then `kind: resample` near the best, within the space.

    Args:
        objective, seed: As of all.
        first: Number of draws.
        focus: How the others are focused.
    """

    def __init__(self, objective: Objective, seed: int, first: int, focus: Focus):
        super().__init__(objective, seed)
        self.first = first
        self.focus = focus
        self.space = Space(self.parameters)

    def propose(self, count: int, observations: Sequence[Observation]) -> list[Point]:
        """Draw, or propose a round; where its regions are used up, draw again."""
        if len(observations) < self.first:
            return super().propose(count, observations)
        made, _ = propose_focused(
            self.parameters,
            observations,
            count,
            self.focus,
            seed=int(digest([self.seed, len(observations)], 8), 16),
            goal=self.goal,
            feasible=self.space.holds,
        )
        missing = count - len(made.points)
        return [*made.points, *(super().propose(missing, observations) if missing else ())]


class OptunaLoop(Proposer):
    """Optuna's ask and tell, with its defaults, in its own terms of distributions."""

    def __init__(
        self, objective: Objective, seed: int, sampler: Callable[[int], optuna.samplers.BaseSampler]
    ):
        super().__init__(objective, seed)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study = optuna.create_study(sampler=sampler(seed), direction=self.goal)
        self.distributions = {p.name: _distribution(p) for p in self.parameters}
        self.asked: list[optuna.Trial] = []
        self.told = 0

    def propose(self, count: int, observations: Sequence[Observation]) -> list[Point]:
        """Tell what is new, then ask."""
        for trial, seen in zip(self.asked[self.told :], observations[self.told :], strict=True):
            self.study.tell(trial, seen.value)
        self.told = len(observations)
        new = [self.study.ask(self.distributions) for _ in range(count)]
        self.asked += new
        return [dict(trial.params) for trial in new]


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    if parameter.values:
        return optuna.distributions.CategoricalDistribution(parameter.values)
    if parameter.distribution == "int_uniform":
        return optuna.distributions.IntDistribution(int(parameter.low), int(parameter.high))
    log = parameter.distribution == "log_uniform_values"
    return optuna.distributions.FloatDistribution(parameter.low, parameter.high, log=log)


class WandbEngine(Proposer):
    """`method: bayes` of W&B's own engine, in a process of another environment.

    Raises:
        ResweepError: There is no such environment.
    """

    def __init__(self, objective: Objective, seed: int):
        super().__init__(objective, seed)
        if not ENGINE_PYTHON.exists():
            raise ResweepError(f"{ENGINE_PYTHON} is missing; build it: make oracle")
        sweep = {
            "method": "bayes",
            "metric": {"name": "value", "goal": objective.goal},
            "parameters": {p.name: _in_sweep_file(p) for p in self.parameters},
        }
        self.process = subprocess.Popen(
            [ENGINE_PYTHON, Path(__file__).with_name("wandb_engine.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ""},
        )
        self._send({"sweep": sweep, "seed": seed})
        self.told = 0

    def propose(self, count: int, observations: Sequence[Observation]) -> list[Point]:
        """Tell what is new, then ask; more than one at a time are asked for blindly."""
        points = []
        for _ in range(count):
            new = [[dict(seen.point), seen.value] for seen in observations[self.told :]]
            self.told = len(observations)
            self._send({"finished": new})
            assert self.process.stdout is not None
            answer = self.process.stdout.readline()
            if not answer:
                raise ResweepError("W&B's engine ended; its message stands above")
            points.append(json.loads(answer)["point"])
        return points

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _send(self, content: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(content) + "\n")
        self.process.stdin.flush()


def _in_sweep_file(parameter: Parameter) -> dict[str, Any]:
    if parameter.values:
        return {"distribution": "categorical", "values": list(parameter.values)}
    return {
        "distribution": parameter.distribution,
        "min": parameter.low,
        "max": parameter.high,
    }
