"""A round of a Bayesian sweep: proposed from the results of all earlier rounds.

    plan (settings alone) + records of earlier rounds -> trials of this round

Reads the records of earlier rounds with their trial files, the tables of a warm start, and
`rounds/{round}.json`, which holds the inputs and the points of a proposed round. While its digest
matches, the round is taken from it, so that another machine, whose libraries may round differently,
continues the same search. Otherwise the round is proposed again.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from resweep.canonical import digest
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.schema import Schema
from resweep.data import store as data_store
from resweep.errors import DamagedFile, DataError
from resweep.files import file_lock
from resweep.json_files import read_json, set_aside, write_json
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.search.focus import Focus, propose_focused
from resweep.search.observe import Progress, no_progress, observe, reached, read_table
from resweep.search.rungs import step_of
from resweep.search.space import Space
from resweep.search.suggest import Observation, Point, suggest
from resweep.sweep import Parameter
from resweep.systems.registry import metric_of, system_of
from resweep.systems.system import System
from resweep.trials.trial import Outcome, Trial, read_outcome


class _Round(TypedDict):
    """Content of a round's file, as far as it is read."""

    digest: str
    infeasible: Annotated[int, Field(ge=0)]
    repeated: Annotated[int, Field(ge=0)]
    points: list[dict[str, Any]]


_ROUND = TypeAdapter(_Round)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RoundPlan:
    """A round, as the settings define it.

    Attributes:
        study, phase: Where it belongs.
        round: From 1.
        slots: Names of its trials.
        size: Of a full round. This many points are proposed whatever the number of slots, so that
            a partial round can be completed later.
        config: The configuration without the swept values.
        parameters: The search space; names are full paths.
        sampler: auto, gp or tpe.
        seed: Of the sweep.
        metric, goal: What is optimised.
        target: Value of the metric that ends the search, or None.
        band: The first rung, in logged values of the metric; None: train to the end.
        focus: Of a resample: how it is focused; None: by the sampler.
        fixed: Of a fine-tuning: what all trials are assigned besides their points: path -> value.
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
    focus: Focus | None = None
    fixed: dict[str, Any] | None = None

    @property
    def derived_seed(self) -> int:
        """The round's seed, below 2^32: each round starts a new sampler, which must not repeat."""
        return int(digest([self.seed, self.study, self.phase, self.round], 8), 16)

    def focused(self, focus: Focus) -> "RoundPlan":
        """Return the plan of a round that is proposed near the best."""
        return dataclasses.replace(self, focus=focus)

    def content(self) -> dict[str, Any]:
        """Return the plan as plain values; without `focus` and `fixed` as before there were any."""
        content = dataclasses.asdict(self)
        for later in ("focus", "fixed"):
            if content[later] is None:
                content = _without(content, later)
        return content

    def starting_from(self, config: dict[str, Any], fixed: dict[str, Any]) -> "RoundPlan":
        """Return the plan for another configuration, of which the trials say what is fixed."""
        return dataclasses.replace(self, config=config, fixed=fixed)


def plan_from(content: dict[str, Any]) -> RoundPlan:
    """Make a plan from plain values, as `RoundPlan.content` returns them."""
    parameters = tuple(Parameter(**parameter) for parameter in content["parameters"])
    focus = content.get("focus")
    return RoundPlan(
        **{
            **content,
            "slots": tuple(content["slots"]),
            "parameters": parameters,
            "focus": None if focus is None else Focus(**focus),
        }
    )


def propose_round(
    plan: RoundPlan,
    outcomes: Iterable[Outcome],
    tables: Sequence[Path],
    layout: Layout,
    read: Callable[[Path], Outcome] = read_outcome,
    progress: Progress = no_progress,
) -> list[Trial]:
    """Fill a round.

    Args:
        plan: The round.
        outcomes: Of all earlier rounds, at all their rungs.
        tables: CSVs of a warm start.
        layout: Of the results folder.
        read: Reads the trials of phases in these tables by their records.
        progress: Returns how much a training still improved in its second half.

    Returns:
        One trial per slot; unfilled slots are empty, with the reason.

    Raises:
        ConfigError: A table cannot be read.
    """
    outcomes = list(outcomes)
    ended = _reached_target(plan, outcomes)
    if ended is not None:
        return ended
    observations = _observations(plan, outcomes, tables, read, progress)
    file = layout.phase(plan.study, plan.phase).round(plan.round)
    with file_lock(file.with_name(f".{file.name}.lock")):
        proposed = _known_or_new(plan, observations, file)
    trials = _trials(plan, proposed)
    system = system_of(plan.config)
    filled = (trial for trial in trials if trial.empty is None)
    wanted = {digest(trial.config["data"]): trial.config["data"] for trial in filled}
    for settings in wanted.values():
        _prepare(system, settings, layout)
    return trials


def foresee_round(
    plan: RoundPlan,
    outcomes: Iterable[Outcome],
    tables: Sequence[Path],
    layout: Layout,
    read: Callable[[Path], Outcome] = read_outcome,
    progress: Progress = no_progress,
) -> list[Trial] | None:
    """Return what `propose_round` would, and change nothing; None for a round that is new."""
    outcomes = list(outcomes)
    ended = _reached_target(plan, outcomes)
    if ended is not None:
        return ended
    file = layout.phase(plan.study, plan.phase).round(plan.round)
    try:
        known = read_json(file, "", _ROUND)
    except FileNotFoundError:
        return None
    except DamagedFile:
        known = None
    observations = _observations(plan, outcomes, tables, read, progress)
    return _trials(plan, known if _is_same(known, plan, observations) else _new(plan, observations))


def propose_again(
    plan: RoundPlan,
    outcomes: Iterable[Outcome],
    tables: Sequence[Path],
    layout: Layout,
    read: Callable[[Path], Outcome] = read_outcome,
    progress: Progress = no_progress,
) -> tuple[list[Trial], dict[str, Any] | None]:
    """Propose a round as if it had not been, and change nothing; arguments of `propose_round`.

    Returns:
        Its trials, and what its file should have; None where the search had reached its target.
    """
    outcomes = list(outcomes)
    ended = _reached_target(plan, outcomes)
    if ended is not None:
        return ended, None
    content = _new(plan, _observations(plan, outcomes, tables, read, progress))
    return _trials(plan, content), content


def _observations(
    plan: RoundPlan,
    outcomes: Iterable[Outcome],
    tables: Sequence[Path],
    read: Callable[[Path], Outcome],
    progress: Progress,
) -> list[Observation]:
    """Return all that a round is proposed from."""
    return [*_warm_start(plan, tables, read, progress), *_observe(plan, outcomes, progress)]


def _observe(
    plan: RoundPlan, outcomes: Iterable[Outcome], progress: Progress
) -> Iterator[Observation]:
    """Yield what was observed, at points without what is fixed."""
    names = {parameter.name for parameter in plan.parameters}
    for seen in observe(outcomes, plan.metric, progress):
        if plan.fixed is not None:
            point = {path: value for path, value in seen.point.items() if path in names}
            seen = dataclasses.replace(seen, point=point)
        yield seen


def _reached_target(plan: RoundPlan, outcomes: Sequence[Outcome]) -> list[Trial] | None:
    """Return empty trials if earlier rounds reached the target; None otherwise."""
    if plan.target is None:
        return None
    best = reached(outcomes, plan.metric, plan.goal, plan.target)
    if best is None:
        return None
    reason = (
        f"the target {plan.metric} = {plan.target:g} was reached by {best.trial.trial} "
        f"({best.record.value(plan.metric):.5g})"
    )
    return [Trial(plan.study, plan.phase, slot, empty=reason) for slot in plan.slots]


def _trials(plan: RoundPlan, proposed: Mapping[str, Any]) -> list[Trial]:
    """Return a trial for each slot; slots beyond the points are empty, with the reason."""
    points = zip(plan.slots, proposed["points"], strict=False)
    trials = [_trial(plan, slot, point) for slot, point in points]
    reason = (
        f"no further point found: {proposed['infeasible']} proposals were infeasible, "
        f"{proposed['repeated']} had been tried before"
    )
    lacking = plan.slots[len(trials) :]
    return trials + [Trial(plan.study, plan.phase, slot, empty=reason) for slot in lacking]


def _warm_start(
    plan: RoundPlan,
    tables: Sequence[Path],
    read: Callable[[Path], Outcome],
    progress: Progress,
) -> list[Observation]:
    if not tables:
        return []
    space = Space([parameter for parameter in plan.parameters if parameter.swept])
    names = [parameter.name for parameter in space.parameters]
    found: list[Observation] = []
    for table in tables:
        schema = system_of(plan.config).schema
        tried = read_table(table, plan.metric, names, schema, read, progress)
        # Points near the best count wherever they lie.
        inside = [seen for seen in tried if plan.focus is not None or space.holds(seen.point)]
        outside = len(tried) - len(inside)
        log.info(
            "%s: warm start from %s; %d outside the space",
            table,
            counted(len(inside), "training"),
            outside,
        )
        found += inside
    return found


def _known_or_new(
    plan: RoundPlan, observations: Sequence[Observation], file: Path
) -> dict[str, Any]:
    """Return the content of a round's file; proposes the round and writes it if outdated."""
    known = _read_round(file)
    if known is not None and _is_same(known, plan, observations):
        log.info("%s: using the points proposed before", file)
        return known
    content = _new(plan, observations)
    write_json(file, content)
    return content


def _is_same(
    known: Mapping[str, Any] | None, plan: RoundPlan, observations: Sequence[Observation]
) -> bool:
    """Whether a round was proposed from these settings and observations."""
    return known is not None and known["digest"] == _source(plan, _plain(observations))


def _new(plan: RoundPlan, observations: Sequence[Observation]) -> dict[str, Any]:
    """Propose a round; returns the content of its file."""
    started = time.monotonic()

    def fits(point: Point) -> bool:
        return _fits(plan, point)

    seed = plan.derived_seed
    if plan.focus is None:
        made = suggest(
            plan.parameters,
            observations,
            plan.size,
            seed=seed,
            goal=plan.goal,
            sampler=plan.sampler,
            feasible=fits,
        )
    else:
        made, lines = propose_focused(
            plan.parameters,
            observations,
            plan.size,
            plan.focus,
            seed=seed,
            goal=plan.goal,
            feasible=fits,
        )
        for line in lines:
            log.warning("%s", line)
    schema = system_of(plan.config).schema
    points = [_assigned(point, schema) for point in made.points]
    log.info(
        "round %d: %s by %s from %s in %.1f s; rejected: %d infeasible, %d tried before",
        plan.round,
        counted(len(points), "point"),
        made.sampler,
        counted(len(observations), "observation"),
        time.monotonic() - started,
        made.infeasible,
        made.repeated,
    )
    observed = _plain(observations)
    return {
        "round": plan.round,
        "digest": _source(plan, observed),
        "sampler": made.sampler,
        "seed": plan.derived_seed,
        "infeasible": made.infeasible,
        "repeated": made.repeated,
        "points": points,
        "observations": observed,
    }


def _plain(observations: Sequence[Observation]) -> list[dict[str, Any]]:
    """Return observations as plain values, without what they do not have."""
    plain = []
    for seen in observations:
        one = dataclasses.asdict(seen) | {"status": seen.status.value}
        plain.append(one if seen.progress is not None else _without(one, "progress"))
    return plain


def _without(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a mapping without a key."""
    return {key: value for key, value in content.items() if key != name}


def _source(plan: RoundPlan, observed: list[dict[str, Any]]) -> str:
    """Digest of all that a round is proposed from."""
    settings = {key: value for key, value in plan.content().items() if key != "slots"}
    return digest({"plan": settings, "observations": observed})


def _read_round(file: Path) -> dict[str, Any] | None:
    """Return a round's file; None if there is none, or a damaged one, which is set aside.

    Proposed again from the same inputs, it has the same points.
    """
    try:
        known: dict[str, Any] = read_json(file, "delete it", _ROUND)
        return known
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        set_aside(file, error.what)
        return None


def _assigned(point: Point, schema: Schema) -> dict[str, Any]:
    """Convert the values of a point to the types of their fields; raises ValueError."""
    return {path: compose.coerce(path, value, schema) for path, value in point.items()}


def _fits(plan: RoundPlan, point: Point) -> bool:
    """Whether values are allowed, on their own and together."""
    schema = system_of(plan.config).schema
    try:
        full = compose.assign(plan.config, _assigned(point, schema))
    except ValueError:  # the tail of an unbounded distribution
        return False
    return not compose.validate(Composed(full, {}), plan.phase, schema)[1]


def _trial(plan: RoundPlan, slot: str, point: Point) -> Trial:
    config = compose.assign(plan.config, point)
    stop = step_of(plan.band, metric_of(config, plan.metric), config["training"])
    assignments = {**(plan.fixed or {}), **point}
    return Trial(plan.study, plan.phase, slot, config=config, assignments=assignments, stop=stop)


def _prepare(system: System, settings: dict[str, Any], layout: Layout) -> None:
    """Prepare the data of new trials, so that no GPU waits for it."""
    try:
        data_store.ensure(system, settings, layout)
    except (DataError, DamagedFile) as error:
        log.warning("%s", error)  # its training will fail with it
