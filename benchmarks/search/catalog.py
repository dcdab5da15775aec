"""The objectives and methods that are compared, by name."""

import functools
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.samplers import GPSampler, QMCSampler, TPESampler

from benchmarks.search.functions import FUNCTIONS
from benchmarks.search.interpolate import objective_from
from benchmarks.search.measure import Method
from benchmarks.search.methods import Bayes, OptunaLoop, Random, Resampled, Sobol, WandbEngine
from benchmarks.search.objective import Objective
from resweep.canonical import digest, file_digest
from resweep.config.metric import MetricGoal
from resweep.search import focus, observe, rungs, space, suggest
from resweep.search.focus import Focus
from resweep.sweep import EarlyTerminate

TABLE = Path(__file__).with_name("tiny-gpt.csv")
ROUND = 8
BRACKET = 27  # trials of one halving, where nothing is learned between rounds


def _code() -> str:
    """Digest of resweep's code for proposing and stopping: changes are measured again."""
    files = [Path(str(module.__file__)) for module in (suggest, space, observe, rungs, focus)]
    return digest([[file.name, file_digest(file)] for file in files], 8)


def _optuna(make: Callable[[int], optuna.samplers.BaseSampler]) -> functools.partial[OptunaLoop]:
    return functools.partial(OptunaLoop, sampler=make)


OURS = _code()
OTHERS = f"optuna {optuna.__version__}"
HALVING = EarlyTerminate(type="hyperband", max_iter=20, s=2, eta=3)  # bands at 6 and 2 of 20
ONE_RUNG = EarlyTerminate(type="hyperband", max_iter=20, s=1, eta=3)  # 6
LATE_RUNG = EarlyTerminate(type="hyperband", min_iter=10, eta=3)  # 10
CUT_LATE = EarlyTerminate(type="one_cut", min_iter=10, keep=9)
CUT_EARLY = EarlyTerminate(type="one_cut", min_iter=2, keep=3)  # 10 %, the best three

GP = functools.partial(Bayes, sampler="gp")
TPE = functools.partial(Bayes, sampler="tpe")

ALONE = (
    Method("random", Random),
    Method("Sobol", Sobol),
    Method("bayes, gp", GP, batch=ROUND, version=OURS),
    Method("bayes, tpe", TPE, batch=ROUND, version=OURS),
    Method("Optuna GPSampler", _optuna(lambda seed: GPSampler(seed=seed)), version=OTHERS),
    Method("Optuna TPESampler", _optuna(lambda seed: TPESampler(seed=seed)), version=OTHERS),
    Method(
        "Optuna QMCSampler",
        _optuna(lambda seed: QMCSampler(seed=seed, scramble=True)),  # unscrambled: no seeds
        version=f"{OTHERS}, scrambled",
    ),
    Method("W&B bayes", WandbEngine, version="sweeps 0.3.0"),
)
ROUND_SIZES = (
    Method("bayes, gp, rounds of 4", GP, batch=4, version=OURS),
    Method("bayes, gp, one by one", GP, batch=1, version=OURS),
)
WITH_RUNGS = (
    Method("random, rungs 2 and 6", Random, batch=BRACKET, rule=HALVING, version=OURS),
    Method("Sobol, rungs 2 and 6", Sobol, batch=BRACKET, rule=HALVING, version=OURS),
    Method("Sobol, rung 6", Sobol, batch=BRACKET, rule=ONE_RUNG, version=OURS),
    Method("Sobol, rung 10", Sobol, batch=BRACKET, rule=LATE_RUNG, version=OURS),
    Method("Sobol, one cut at 2, best 3 of 27", Sobol, batch=BRACKET, rule=CUT_EARLY, version=OURS),
    Method("Sobol, one cut at 10, best 9 of 27", Sobol, batch=BRACKET, rule=CUT_LATE, version=OURS),
    Method("bayes, gp, rungs 2 and 6", GP, batch=ROUND, rule=HALVING, version=OURS),
    Method("bayes, gp, rung 6", GP, batch=ROUND, rule=ONE_RUNG, version=OURS),
    Method("bayes, gp, rung 10", GP, batch=ROUND, rule=LATE_RUNG, version=OURS),
    Method("bayes, tpe, rung 10", TPE, batch=ROUND, rule=LATE_RUNG, version=OURS),
)
RESAMPLED = tuple(
    Method(
        f"{first} random, resampled near the best {top}{', adaptive' if adaptive else ''}",
        functools.partial(Resampled, first=first, focus=Focus(top=top, adaptive=adaptive)),
        batch=ROUND,
        version=OURS,
    )
    for first, top, adaptive in ((16, 1, False), (16, 2, False), (16, 2, True))
)
METHODS = {method.name: method for method in (*ALONE, *ROUND_SIZES, *WITH_RUNGS, *RESAMPLED)}


def named(table: Path, goal: MetricGoal, objective: str, method: str) -> tuple[Objective, Method]:
    """Return an objective and a method by their names; any other objective is the table's."""
    known = {function.name: function for function in FUNCTIONS}
    return known.get(objective) or objective_from(table, goal), METHODS[method]
