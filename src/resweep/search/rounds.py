"""A round of a Bayesian sweep: filled in view of all rounds before it.

    plan (settings alone) + records of earlier rounds -> trials of this round

What a replay reads: the records of earlier rounds with their trial files, the tables of a warm
start, and `rounds/{round}.json` beside them. That file holds what a round was proposed from and
what came out; while its digest fits, the round is taken from it, so that another machine, whose
libraries may round otherwise, continues the same search. Without it the round is proposed again.
"""

import dataclasses
import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.canonical import digest
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.schema import Schema
from resweep.data import store as data_store
from resweep.errors import DataError
from resweep.paths import Layout, file_lock, write_atomically
from resweep.search.observe import observe, reached, read_table
from resweep.search.rungs import step_of
from resweep.search.space import Space
from resweep.search.suggest import Observation, Point, suggest
from resweep.sweep import Parameter
from resweep.systems.registry import metric_of, system_of
from resweep.systems.system import System
from resweep.trials.trial import Outcome, Trial

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RoundPlan:
    """A round, as far as the settings tell.

    Attributes:
        study, phase: Its place.
        round: From 1.
        slots: Names of its trials.
        size: Of a whole round. So many points are proposed, whatever the number of slots, so that
            a round that is begun can be completed later.
        config: The configuration below what is swept.
        parameters: The space; names are full paths.
        sampler: auto, gp or tpe.
        seed: Of the sweep.
        metric, goal: What is optimised.
        target: Value of the metric at which the search is over, or None.
        band: Logged values of the metric to train to at first; None: to the end.
    """

    study: str
    phase: str
    round: int
    slots: tuple[str, ...]
    size: int
    config: dict[str, Any]
    parameters: tuple[Parameter, ...]
    sampler: str
    seed: int
    metric: str
    goal: str
    target: float | None = None
    band: int | None = None

    @property
    def derived_seed(self) -> int:
        """The round's own seed, below 2^32: a sampler that starts anew must not repeat itself."""
        return int(digest([self.seed, self.study, self.phase, self.round], 8), 16)

    def content(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return dataclasses.asdict(self)


def plan_from(content: dict[str, Any]) -> RoundPlan:
    """Make a plan of what `RoundPlan.content` gave."""
    parameters = tuple(Parameter(**parameter) for parameter in content["parameters"])
    return RoundPlan(**{**content, "slots": tuple(content["slots"]), "parameters": parameters})


def propose_round(
    plan: RoundPlan, outcomes: Iterable[Outcome], tables: Sequence[Path], layout: Layout
) -> list[Trial]:
    """Fill a round.

    Args:
        plan: The round.
        outcomes: Of all earlier rounds, at all their rungs.
        tables: CSVs of a warm start.
        layout: Of the results folder.

    Returns:
        One trial a slot; a slot that nothing fills is empty, with the reason.

    Raises:
        ConfigError: A table cannot be read.
    """
    outcomes = list(outcomes)
    if plan.target is not None:
        best = reached(outcomes, plan.metric, plan.goal, plan.target)
        if best is not None:
            reason = (
                f"the target {plan.metric} = {plan.target:g} was reached by {best.trial.trial} "
                f"({best.record.value(plan.metric):.5g})"
            )
            return [Trial(plan.study, plan.phase, slot, empty=reason) for slot in plan.slots]
    observations = [
        *_warm_start(plan, tables),
        *observe(outcomes, plan.metric),
    ]
    file = layout.phase(plan.study, plan.phase).round(plan.round)
    with file_lock(file.with_name(f".{file.name}.lock")):
        proposed = _known_or_new(plan, observations, file)
    filled = zip(plan.slots, proposed["points"], strict=False)
    trials = [_trial(plan, slot, point) for slot, point in filled]
    system = system_of(plan.config)
    wanted = {digest(trial.config["data"]): trial.config["data"] for trial in trials}
    for settings in wanted.values():
        _prepare(system, settings, layout)
    reason = (
        f"no further point was found: {proposed['infeasible']} proposals cannot be trained, "
        f"{proposed['repeated']} were tried before"
    )
    lacking = plan.slots[len(trials) :]
    return trials + [Trial(plan.study, plan.phase, slot, empty=reason) for slot in lacking]


def _warm_start(plan: RoundPlan, tables: Sequence[Path]) -> list[Observation]:
    if not tables:
        return []
    space = Space([parameter for parameter in plan.parameters if parameter.swept])
    names = [parameter.name for parameter in space.parameters]
    found: list[Observation] = []
    for table in tables:
        read = read_table(table, plan.metric, names, system_of(plan.config).schema)
        inside = [seen for seen in read if space.holds(seen.point)]
        outside = len(read) - len(inside)
        log.info("%s: starts from %d trainings; %d outside the space", table, len(inside), outside)
        found += inside
    return found


def _known_or_new(
    plan: RoundPlan, observations: Sequence[Observation], file: Path
) -> dict[str, Any]:
    """Return what a round's file holds, after writing it where it does not fit."""
    told = [dataclasses.asdict(seen) | {"status": seen.status.value} for seen in observations]
    settings = {key: value for key, value in plan.content().items() if key != "slots"}
    source = digest({"plan": settings, "observations": told})
    if file.exists():
        known: dict[str, Any] = json.loads(file.read_text())
        if known["digest"] == source:
            log.info("%s: proposed before", file)
            return known
    started = time.monotonic()
    made = suggest(
        plan.parameters,
        observations,
        plan.size,
        seed=plan.derived_seed,
        goal=plan.goal,
        sampler=plan.sampler,
        feasible=lambda point: _fits(plan, point),
    )
    schema = system_of(plan.config).schema
    points = [_assigned(point, schema) for point in made.points]
    log.info(
        "round %d: %d points by %s from %d observations in %.1f s; passed over: %d infeasible, "
        "%d tried before",
        plan.round,
        len(points),
        made.sampler,
        len(observations),
        time.monotonic() - started,
        made.infeasible,
        made.repeated,
    )
    content = {
        "round": plan.round,
        "digest": source,
        "sampler": made.sampler,
        "seed": plan.derived_seed,
        "infeasible": made.infeasible,
        "repeated": made.repeated,
        "points": points,
        "observations": told,
    }
    write_atomically(file, json.dumps(content, indent=2) + "\n")
    return content


def _assigned(point: Point, schema: Schema) -> dict[str, Any]:
    """Give the values of a point the types of their fields; raises ValueError."""
    return {path: compose.coerce(path, value, schema) for path, value in point.items()}


def _fits(plan: RoundPlan, point: Point) -> bool:
    """Whether values are allowed, on their own and together."""
    schema = system_of(plan.config).schema
    try:
        full = compose.assign(plan.config, _assigned(point, schema))
    except ValueError:  # the tail of a distribution without bounds
        return False
    return not compose.validate(Composed(full, {}), plan.phase, schema)[1]


def _trial(plan: RoundPlan, slot: str, point: Point) -> Trial:
    config = compose.assign(plan.config, point)
    stop = step_of(plan.band, metric_of(config, plan.metric), config["training"])
    return Trial(plan.study, plan.phase, slot, config=config, assignments=dict(point), stop=stop)


def _prepare(system: System, settings: dict[str, Any], layout: Layout) -> None:
    """Have the data of new trials ready, so that no GPU waits for it."""
    try:
        data_store.ensure(system, settings, layout)
    except DataError as error:
        log.warning("%s", error)  # the trial's own record will say so
