"""The cost of a study before it is spent: what is in the store, what would train, which job does.

each trial            ->  the store's answer  ->  stored, or the steps that its run still needs
slots decided later   ->  the largest training that they may get
steps, and the system's bounds  ->  steps, units, FLOPs, disk: never exceeded
and speeds in the store         ->  hours: an estimate
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.canonical import canonical_json
from resweep.data import store as data_store
from resweep.data.store import Prepared
from resweep.errors import DamagedFile
from resweep.paths import Layout
from resweep.ranking.old_bests import find_old_bests, kept_text
from resweep.report.amounts import Amounts, amounts_of, most
from resweep.report.measured import Measured
from resweep.report.nearest import StoredIdentities
from resweep.report.phase_cost import PhaseCost, RuleCost, StudyCost
from resweep.report.possible import possible_configs
from resweep.report.stops import observed_stops
from resweep.report.unchanged import Unchanged
from resweep.report.why_trains import Reason, why_trains
from resweep.search.stages import Stage
from resweep.store import checkpoints as checkpoint
from resweep.store.answer import Infeasible, Served, ToTrain, Unknown, answer
from resweep.store.goal import Goal
from resweep.store.parent import resumed_step
from resweep.store.retention import Policy, policies_of
from resweep.store.run import Run
from resweep.study.files import rule_name, train_suffix
from resweep.study.fill import Fill
from resweep.study.packs import size_key
from resweep.study.study import Phase, Study
from resweep.systems.registry import system_of
from resweep.systems.stop_rules import stop_rules
from resweep.trials.record import Status, read_record
from resweep.trials.trial import Trial

STORED, TO_TRAIN = "stored", "to train"
MOST_EXPLAINED = 4
MAX_STEPS = "training.max_steps"

log = logging.getLogger(__name__)


def audit(study: Study, layout: Layout, explained: int | None = MOST_EXPLAINED) -> StudyCost:
    """Count each phase of a study; a run that two phases share is trained in the first.

    Args:
        study: The study.
        layout: Of the results folder.
        explained: For how many trials to look up why they would be trained; None: all.
    """
    return _Audit(study, layout, explained).study_cost()


def audit_old_bests(study: Study, layout: Layout) -> str | None:
    """Return a line about the weights of older bests that stay; None where there are none."""
    scores = layout.phase(study.name, study.deciding.name).scores
    ranking = scores if scores.exists() else None
    return kept_text(study.name, find_old_bests(study.name, ranking, layout))


class _Audit:
    """Counts a study, phase by phase."""

    def __init__(self, study: Study, layout: Layout, explained: int | None):
        self.study = study
        self.layout = layout
        self.explained = explained
        self.unchanged = Unchanged(study, layout)
        self.measured = Measured(layout)
        self.stored = StoredIdentities(layout)
        self.seen: dict[str, int] = {}  # steps that runs would be trained to by then
        self.reasons: list[Reason] = []
        self._amounts: dict[Any, Amounts] = {}

    def study_cost(self) -> StudyCost:
        """Return the counts of all phases."""
        phases = {phase.name: self._count(phase) for phase in self.study.phases}
        return StudyCost(
            study=self.study,
            phases=phases,
            reasons=self.reasons,
            start_seconds=self.measured.start_seconds,
            measured=dict(self.measured.used),
        )

    def _count(self, phase: Phase) -> PhaseCost:
        cost = PhaseCost(
            phase=phase,
            device=self.measured.device_of(phase.config),
            stops=observed_stops(phase, self.layout),
        )
        states: dict[str, set[str]] = {}
        fills = {
            path: fill
            for fill in phase.fills(self.layout)
            for path in fill.outputs.get("trials", ())
        }
        open_at: dict[int, int] = {}
        for position, stage in enumerate(phase.stages):
            open_names: set[str] = set()
            trains: set[str] = set()
            for name, trial, record in self._trials(phase, stage, fills):
                if trial is None:
                    open_names.add(name)
                    continue
                before = cost.trainings
                state, stands = self._look_up(trial, record, cost)
                if cost.trainings != before:
                    trains.add(name)
                if state != Status.EMPTY:
                    states.setdefault(trial.trial, set()).add(state)
                if stands:
                    self.unchanged.add_record(record)
            if open_names:
                open_at[position] = len(open_names)
            cost.rules += _rule_costs(self.study, phase, stage, trains, open_names)
        self._add_open(cost, open_at)
        cost.stored = len([found for found in states.values() if found == {STORED}])
        cost.infeasible = len([found for found in states.values() if Status.INFEASIBLE in found])
        return cost

    def _trials(
        self, phase: Phase, stage: Stage, fills: Mapping[Path, Fill]
    ) -> Iterator[tuple[str, Trial | None, Path]]:
        """Yield the name, trial and record of each slot of a stage; no trial if it is open."""
        layout = self.layout
        files = {slot: layout.trial(phase.study, phase.name, slot) for slot in stage.slots}
        filled: dict[Path, Trial] | None = {}
        if not phase.is_known(stage):
            filled = self.unchanged.trials_of(fills[files[stage.slots[0]]], phase)
        for name, slot in zip(stage.names, stage.slots, strict=True):
            record = layout.record(phase.study, phase.name, slot)
            if phase.is_known(stage):
                yield name, phase.known_trial(name, stage), record
            else:
                yield name, None if filled is None else filled[files[slot]], record

    def _look_up(self, trial: Trial, record: Path, cost: PhaseCost) -> tuple[str, bool]:
        """Add the training that a trial needs; return how it is served, and if its record stays."""
        if trial.empty is not None:
            return Status.EMPTY, _has_status(record, Status.EMPTY)
        found = answer(trial, self.layout)
        if isinstance(found, Infeasible):
            return Status.INFEASIBLE, _has_status(record, Status.INFEASIBLE)
        if isinstance(found, Served):
            leads = None if found.record is None else found.record.resolve()
            return STORED, record.is_symlink() and record.resolve() == leads
        if self._add_training(trial, found, cost) and self._explains:
            self.reasons.append(why_trains(trial, found, self.stored))
        return TO_TRAIN, False

    @property
    def _explains(self) -> bool:
        return self.explained is None or len(self.reasons) < self.explained

    def _add_training(self, trial: Trial, found: ToTrain | Unknown, cost: PhaseCost) -> bool:
        """Add the steps that a run still needs; returns whether there are any."""
        needed = _needed_of(trial, found)
        begin = self.seen.get(needed.run, needed.begin)
        if needed.run not in self.seen:
            cost.to_train += 1
            cost.partial += needed.started
        elif needed.until is not None and needed.until <= begin:
            return False
        self.seen[needed.run] = max(begin, needed.until or 0)
        key = (cost.phase.name, size_key(trial.assignments), begin, needed.until, needed.policies)
        is_known = cost.phase.is_known(cost.phase.stages[0]) and trial.config is not needed.config
        amounts = self._amounts.get(key) if is_known else None
        if amounts is None:
            amounts = amounts_of(
                needed.config, needed.data, begin, needed.until, self.measured, needed.policies
            )
            self._amounts[key] = amounts
        cost.add(amounts)
        return True

    def _add_open(self, cost: PhaseCost, open_at: Mapping[int, int]) -> None:
        """Add the slots that are open at stages of a phase, with the most that they may train."""
        if not open_at:
            return
        phase = cost.phase
        configs, begin = possible_configs(phase), self._continued_from(phase)
        for position, slots in open_at.items():
            stage = phase.stages[position]
            possible = []
            for config in configs:
                data = data_store.find(system_of(config), config["data"], self.layout)
                horizon = system_of(config).steps_of(config, data)
                steps = phase.steps_at(stage, config, horizon) if horizon else None
                possible.append(amounts_of(config, data, begin, steps, self.measured))
            cost.open_slots += slots
            cost.add(most(possible), slots)

    def _continued_from(self, phase: Phase) -> int:
        """Return the step from which a phase continues runs of earlier ones at least."""
        if not phase.settings.get("resume"):
            return 0
        of = phase.settings["of"]
        ends = []
        for name in [of] if isinstance(of, str) else of:
            source = self.study.phase(name)
            if stop_rules(source.config).on:
                return 0
            own = source.config["training"]["max_steps"]
            ends += [assigned.get(MAX_STEPS, own) for assigned in source.possible()]
        return 0 if None in ends else min(ends)


@dataclass(frozen=True, kw_only=True)
class _Needed:
    """The training that a trial needs.

    Attributes:
        run: Its run, or what is known of it.
        config: As far as it is resolved.
        data: None if not prepared yet.
        begin, until: Its steps; None where only the data will show.
        started: Whether some were trained before.
        policies: Under which it was trained before.
    """

    run: str
    config: dict[str, Any]
    data: Prepared | None
    begin: int
    until: int | None
    started: bool = False
    policies: tuple[Policy, ...] = ()


def _needed_of(trial: Trial, found: ToTrain | Unknown) -> _Needed:
    if isinstance(found, Unknown):
        config = trial.config
        horizon = system_of(config).steps_of(config, found.data)
        return _Needed(
            run=canonical_json(config),
            config=config,
            data=found.data,
            begin=0,
            until=min(trial.stop or horizon, horizon) or None,
        )
    goal, run = found.goal, found.run
    try:
        started, policies = int(run.state().get("step", 0)) > 0, tuple(policies_of(run))
    except DamagedFile as error:
        log.warning("%s", error)
        started, policies = bool(checkpoint.steps_of(run.path)), ()
    return _Needed(
        run=goal.run_id,
        config=goal.config,
        data=goal.data,
        begin=_begin_of(run, goal),
        until=goal.until,
        started=started,
        policies=policies,
    )


def _begin_of(run: Run, goal: Goal) -> int:
    """Return the step that a training would continue from: its last checkpoint, if it has one."""
    folders = (run.path, run.folder.again)
    saved = {step: folder for folder in folders for step in checkpoint.steps_of(folder)}
    usable = [
        step
        for step, folder in saved.items()
        if step < goal.until
        or (step == goal.until and goal.gradients.is_met(folder / checkpoint.folder_name(step)))
    ]
    return max(usable, default=resumed_step(goal.config) or 0)


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


def _has_status(record: Path, status: Status) -> bool:
    """Whether there is a record of a trial that trained nothing, for this reason."""
    try:
        return read_record(record).status is status
    except (DamagedFile, OSError):
        return False
