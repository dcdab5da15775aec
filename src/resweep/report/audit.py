"""The cost of a study: how many trials it has, which are in the store, which jobs train which."""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.data import store as data_store
from resweep.errors import DamagedFile
from resweep.paths import Layout
from resweep.ranking.old_bests import find_old_bests, kept_text
from resweep.report.unchanged import Unchanged
from resweep.search.stages import Stage
from resweep.store import checkpoints as checkpoint
from resweep.store.answer import Infeasible, Served, Unknown, answer
from resweep.store.run import Run
from resweep.study.files import rule_name, train_suffix
from resweep.study.fill import Fill
from resweep.study.study import Phase, Study, distinct
from resweep.systems.registry import system_of
from resweep.trials.record import Status, read_record
from resweep.trials.trial import Trial

STORED, TO_TRAIN = "stored", "to train"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RuleCost:
    """What the jobs of one training rule would train.

    Attributes:
        rule: Its name.
        is_pack: Whether one job serves all of its trials; otherwise each has one.
        size: Number of its trials.
        trains: The trials that would be trained or continued. One that waits for another with the
            same run is not among them.
        open_slots: Its slots that are decided later.
    """

    rule: str
    is_pack: bool
    size: int
    trains: tuple[str, ...]
    open_slots: int

    @property
    def jobs(self) -> int:
        """How many jobs train, at most."""
        trials = len(self.trains) + self.open_slots
        return min(trials, 1) if self.is_pack else trials


@dataclass(kw_only=True)
class PhaseCost:
    """Counts of one phase.

    Attributes:
        trials: Number of trials; one that is promoted from rung to rung counts once.
        stored: Trials in the store that need no training at any rung known so far.
        partial: Runs that were started but not finished; `to_train` includes them.
        to_train: Distinct runs that would be trained or continued.
        infeasible: Trials whose values do not fit each other, or not the data: they get a record
            that says so, and train nothing.
        open_slots: Slots that are decided later: an earlier phase, round or rung that fills them
            will be trained or ranked first. At most so many more runs are trained.
        steps: Optimizer steps to train at most: open slots count as the longest training that they
            may get, and none stops early.
        units: What these steps train on, in the system's unit.
        rules: What each training rule would train.
    """

    trials: int = 0
    stored: int = 0
    partial: int = 0
    to_train: int = 0
    infeasible: int = 0
    open_slots: int = 0
    steps: int = 0
    units: int = 0
    rules: list[RuleCost] = field(default_factory=list)


def audit(study: Study, layout: Layout) -> dict[str, PhaseCost]:
    """Count each phase of a study; a run that two phases share is trained in the first."""
    seen: dict[str, int] = {}
    unchanged = Unchanged(study, layout)
    return {
        phase.name: _audit_phase(study, phase, layout, unchanged, seen) for phase in study.phases
    }


def audit_old_bests(study: Study, layout: Layout) -> str | None:
    """Return a line about the weights of older bests that stay; None where there are none."""
    scores = layout.phase(study.name, study.phases[-1].name).scores
    ranking = scores if scores.exists() else None
    return kept_text(study.name, find_old_bests(study.name, ranking, layout))


def _audit_phase(
    study: Study, phase: Phase, layout: Layout, unchanged: Unchanged, seen: dict[str, int]
) -> PhaseCost:
    """Count one phase.

    Args:
        study: The study.
        phase: The phase.
        layout: Of the results folder.
        unchanged: What stands of earlier phases; adds its own.
        seen: Steps that the runs of earlier phases would be trained to; adds its own.
    """
    cost = PhaseCost(trials=len(phase.trials))
    states: dict[str, set[str]] = {}
    fills = {path: fill for fill in phase.fills(layout) for path in fill.outputs.get("trials", ())}
    open_at: dict[int, int] = {}
    for position, stage in enumerate(phase.stages):
        open_names: set[str] = set()
        trains: set[str] = set()
        for name, trial, record in _trials(phase, stage, fills, layout, unchanged):
            if trial is None:
                open_names.add(name)
                continue
            before = cost.to_train, cost.steps
            state, stands = _audit_trial(trial, record, cost, layout, seen)
            if (cost.to_train, cost.steps) != before:
                trains.add(name)
            if state != Status.EMPTY:
                states.setdefault(trial.trial, set()).add(state)
            if stands:
                unchanged.add_record(record)
        if open_names:
            open_at[position] = len(open_names)
        cost.rules += _rule_costs(study, phase, stage, trains, open_names)
    _add_open(cost, open_at, phase, layout)
    cost.stored = len([found for found in states.values() if found == {STORED}])
    cost.infeasible = len([found for found in states.values() if Status.INFEASIBLE in found])
    return cost


def _rule_costs(
    study: Study, phase: Phase, stage: Stage, trains: Collection[str], open_names: Collection[str]
) -> Iterator[RuleCost]:
    """Yield what each training rule of a stage would train."""
    for pack in phase.packs[stage.name]:
        yield RuleCost(
            rule=rule_name("train", study, phase, train_suffix(stage, pack)),
            is_pack=not pack.is_alone,
            size=len(pack.names),
            trains=tuple(name for name in pack.names if name in trains),
            open_slots=sum(name in open_names for name in pack.names),
        )


def _trials(
    phase: Phase,
    stage: Stage,
    fills: Mapping[Path, Fill],
    layout: Layout,
    unchanged: Unchanged,
) -> Iterator[tuple[str, Trial | None, Path]]:
    """Yield the name, trial and record of each slot of a stage; the trial is None if it is open."""
    files = {slot: layout.trial(phase.study, phase.name, slot) for slot in stage.slots}
    filled: dict[Path, Trial] | None = {}
    if not phase.is_known(stage):
        filled = unchanged.trials_of(fills[files[stage.slots[0]]], phase)
    for name, slot in zip(stage.names, stage.slots, strict=True):
        record = layout.record(phase.study, phase.name, slot)
        if phase.is_known(stage):
            yield name, phase.known_trial(name, stage), record
        else:
            yield name, None if filled is None else filled[files[slot]], record


def _audit_trial(
    trial: Trial, record: Path, cost: PhaseCost, layout: Layout, seen: dict[str, int]
) -> tuple[str, bool]:
    """Add the training that a trial needs; return how it is served, and if its record stays."""
    if trial.empty is not None:
        return Status.EMPTY, _has_status(record, Status.EMPTY)
    found = answer(trial, layout)
    if isinstance(found, Infeasible):
        return Status.INFEASIBLE, _has_status(record, Status.INFEASIBLE)
    if isinstance(found, Served):
        leads = None if found.record is None else found.record.resolve()
        return STORED, record.is_symlink() and record.resolve() == leads
    if isinstance(found, Unknown):
        config = trial.config
        horizon = system_of(config).steps_of(config, found.data)
        until = min(trial.stop or horizon, horizon)
        _add_run(cost, canonical_json(config), config, 0, until, seen)
    else:
        goal, done = found.goal, _step_of(found.run)
        _add_run(cost, goal.run_id, goal.config, done, goal.until, seen)
    return TO_TRAIN, False


def _has_status(record: Path, status: Status) -> bool:
    """Whether there is a record of a trial that trained nothing, for this reason."""
    try:
        return read_record(record).status is status
    except (DamagedFile, OSError):
        return False


def _step_of(run: Run) -> int:
    """Return how far a run is; if its state is damaged, by its checkpoints."""
    try:
        return int(run.state().get("step", 0))
    except DamagedFile as error:
        log.warning("%s", error)
        return max(checkpoint.steps_of(run.path), default=0)


def _add_run(
    cost: PhaseCost, run: str, config: dict[str, Any], done: int, until: int, seen: dict[str, int]
) -> None:
    """Add the steps that a run still needs."""
    if run not in seen:
        cost.to_train += 1
        if done > 0:
            cost.partial += 1
    begin = seen.get(run, done)
    _add_steps(cost, config, max(0, until - begin))
    seen[run] = max(begin, until)


def _add_open(cost: PhaseCost, open_at: Mapping[int, int], phase: Phase, layout: Layout) -> None:
    """Add the slots that are open at stages of a phase, with the most that they may train."""
    if not open_at:
        return
    configs = _possible_configs(phase)
    for position, slots in open_at.items():
        stage = phase.stages[position]
        steps = [phase.steps_at(stage, config, _horizon(config, layout)) for config in configs]
        units = [
            count * system_of(config).cost(config, None).step_units
            for config, count in zip(configs, steps, strict=True)
        ]
        cost.open_slots += slots
        cost.steps += slots * max(steps)
        cost.units += slots * max(units)


def _possible_configs(phase: Phase) -> list[dict[str, Any]]:
    """Return what a slot of a phase may train, as far as it is known: at least one."""
    schema = system_of(phase.config).schema
    possible = distinct(map(dict, phase.possible()))
    configs = [compose.assign(phase.config, one) for one in possible]
    return [one for one in configs if compose.infeasible(one, schema) is None] or [phase.config]


def _horizon(config: dict[str, Any], layout: Layout) -> int:
    """Steps of a run; 0 if they depend on data that is not prepared yet."""
    system = system_of(config)
    return system.steps_of(config, data_store.find(system, config["data"], layout))


def _add_steps(cost: PhaseCost, config: dict[str, Any], steps: int) -> None:
    cost.steps += steps
    cost.units += steps * system_of(config).cost(config, None).step_units
