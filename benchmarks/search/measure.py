"""Every method on every objective, over many seeds; what was measured is kept in a cache.

A repetition searches until it has spent the budget, counted in evaluations of the metric: a full
training of 20 evaluations costs 20, one that a rung stops after 6 costs 6. On the way it notes the
simple regret: that of the trial which the search would name as its best, the one with the best
observed value among those that trained furthest, judged without noise.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import KW_ONLY, asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.methods import Proposer
from benchmarks.search.objective import Objective, Point
from resweep.canonical import digest
from resweep.search.observe import observe
from resweep.search.rungs import RungEntry, decide, rungs
from resweep.sweep import EarlyTerminate
from resweep.trials.record import Record, Status
from resweep.trials.trial import Outcome, Trial

METRIC = "value"


@dataclass(frozen=True)
class Incumbent:
    """The trial that a search would name as its best.

    Attributes:
        spent: Evaluations when it became that.
        regret: Its own.
        point: Its hyperparameters.
    """

    spent: int
    regret: float
    point: Point


@dataclass(frozen=True)
class Method:
    """A way to search.

    Attributes:
        name: For tables.
        propose: Makes its proposer from an objective and a seed.
        batch: Points of a round.
        rule: How trials of a round are stopped, or None.
        version: Changes with the code that proposes and stops.
    """

    name: str
    propose: Callable[[Objective, int], Proposer]
    _: KW_ONLY
    batch: int = 1
    rule: EarlyTerminate | None = None
    version: str = ""

    def key(self, objective: Objective, budget: int) -> str:
        """Return what equal measurements share."""
        rule = asdict(self.rule) if self.rule else None
        return digest(
            [objective.name, objective.version, self.name, self.batch, rule, self.version, budget],
            12,
        )


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """What one seed gave.

    Attributes:
        key: Of the measurement.
        objective, method, seed: For people.
        trials, stopped: How many were started, and how many of them a rung stopped.
        incumbents: The best so far, whenever it changed.
    """

    key: str
    objective: str
    method: str
    seed: int
    trials: int
    stopped: int
    incumbents: list[Incumbent]

    def incumbent(self, evaluations: int) -> Incumbent:
        """Return the best trial once so many evaluations were spent, at least one."""
        return [best for best in self.incumbents if best.spent <= evaluations][-1]


def search(objective: Objective, method: Method, seed: int, budget: int) -> Repetition:
    """Search once.

    Args:
        objective: What to optimise.
        method: How.
        seed: Of proposals and trainings.
        budget: In full trainings.
    """
    proposer = method.propose(objective, seed)
    progress = _Progress(objective, seed)
    try:
        while progress.spent < budget * len(objective.steps):
            points = proposer.propose(method.batch, observe(progress.outcomes, METRIC))
            progress.train(points, method.rule)
    finally:
        proposer.close()
    key = method.key(objective, budget)
    return Repetition(
        key=key,
        objective=objective.name,
        method=method.name,
        seed=seed,
        trials=progress.trials,
        stopped=progress.stopped,
        incumbents=progress.incumbents,
    )


class _Progress:
    """Trains what is proposed, and keeps count."""

    def __init__(self, objective: Objective, seed: int):
        self.objective = objective
        self.seed = seed
        self.outcomes: list[Outcome] = []
        self.trials = self.spent = self.stopped = 0
        self.incumbents: list[Incumbent] = []
        self.best = (0, -math.inf)  # evaluations of the incumbent, and how good it looks

    def train(self, points: Sequence[dict[str, Any]], rule: EarlyTerminate | None) -> None:
        """Train a round, from rung to rung."""
        sign = 1.0 if self.objective.goal == "minimize" else -1.0
        end = len(self.objective.steps)
        going: dict[str, tuple[Trial, np.ndarray]] = {}
        for point in points:
            name = f"{len(going) + self.trials:06d}"
            curve = self.objective.train(point, (self.seed, name))
            going[name] = (Trial("benchmark", "search", name, assignments=point), curve)
        self.trials += len(points)
        before = 0
        bands = rule.bands(end) if rule else ()
        levels = rungs(rule, bands, len(points)) if rule else ()
        for band in [level.band or end for level in levels] or [end]:
            entries = []
            for name, (trial, curve) in going.items():
                value = float(curve[band - 1])
                status = Status.FINISHED if band == end else Status.STOPPED
                self.spent += band - before
                entries.append(
                    RungEntry(
                        trial=name, run_id=None, step=band, status=status, rule=None, value=value
                    )
                )
                record = Record(
                    run_id=None,
                    status=status,
                    stop_reason=None,
                    step=band,
                    metrics={METRIC: value},
                )
                self.outcomes.append(Outcome(trial, record, Path(name)))
                shown = (band, -sign * value)
                if shown > self.best:
                    self.best = shown
                    regret = self.objective.regret(trial.assignments)
                    self.incumbents.append(Incumbent(self.spent, regret, trial.assignments))
            if band < end and rule is not None:
                (level,) = [level for level in levels if level.band == band]
                rows = decide(rule, level, entries, self.objective.goal)
                kept = [row["trial"] for row in rows if row["decision"] == "promote"]
                self.stopped += len(going) - len(kept)
                going = {name: going[name] for name in sorted(kept)}
                before = band


def measure(
    objectives: Sequence[Objective],
    methods: Sequence[Method],
    seeds: Iterable[int],
    *,
    budget: int,
    cache: Path,
    make: Callable[[str, str], tuple[Objective, Method]],
    processes: int,
) -> list[Repetition]:
    """Search with all methods, seeds in parallel processes; what the cache has is not repeated.

    Args:
        objectives, methods, seeds: To combine.
        budget: In full trainings.
        cache: A file of JSON lines, one a repetition.
        make: Gives objective and method by their names, in another process.
        processes: How many at once.
    """
    wanted = {
        (method.key(objective, budget), seed): (objective.name, method.name)
        for seed in seeds
        for objective in objectives
        for method in methods
    }
    found = {(known.key, known.seed): known for known in read_cache(cache)}
    todo = [key for key in wanted if key not in found]
    cache.parent.mkdir(parents=True, exist_ok=True)
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        cache.open("a") as file,
    ):
        if file.tell() and not cache.read_text().endswith("\n"):
            file.write("\n")  # after a line that a killed process left unfinished
        jobs = [pool.submit(_repeat, make, *wanted[key], key[1], budget) for key in todo]
        for done, job in enumerate(as_completed(jobs), 1):
            made = job.result()
            file.write(json.dumps(asdict(made)) + "\n")
            file.flush()
            found[made.key, made.seed] = made
            regret = made.incumbents[-1].regret
            text = f"{made.objective}, {made.method}, seed {made.seed}: {regret:.4g}"
            print(f"{done} of {len(todo)}: {text}", flush=True)
    return [found[key] for key in wanted]


def _repeat(
    make: Callable[[str, str], tuple[Objective, Method]],
    objective: str,
    method: str,
    seed: int,
    budget: int,
) -> Repetition:
    return search(*make(objective, method), seed, budget)


def read_cache(path: Path) -> Iterator[Repetition]:
    """Yield what was measured before; a line that was being written is left out."""
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        incumbents = [Incumbent(**entry) for entry in content["incumbents"]]
        yield Repetition(**{**content, "incumbents": incumbents})
