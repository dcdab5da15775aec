"""Whether the store has what a trial wants.

    trial  ->  data, weights to start from, resolved configuration  ->  goal  ->  its run
           ->  Served | ToTrain | Infeasible | Unknown

Training jobs, requests for resources, the audit of a plan, and workers all ask here.
"""

from dataclasses import dataclass
from pathlib import Path

from resweep.config.compose import infeasible
from resweep.config.schema import Schema
from resweep.data import store as data_store
from resweep.data.store import Prepared
from resweep.errors import ConfigError, DamagedFile, DataError, Problem, StoreError
from resweep.paths import Layout
from resweep.store.goal import Goal, goal_of
from resweep.store.parent import fetch_parent, is_fetched
from resweep.store.run import Run
from resweep.systems.registry import system_of
from resweep.trials.trial import WRITTEN_AGAIN, Trial


@dataclass(frozen=True, kw_only=True)
class Served:
    """The store has it: nothing needs to be trained.

    Attributes:
        goal: What the trial wants.
        run: The run that has it.
        record: The trial's record; None if it still has to be written from the run's metrics.
    """

    goal: Goal
    run: Run
    record: Path | None


@dataclass(frozen=True, kw_only=True)
class ToTrain:
    """A run has to be trained, or continued.

    Attributes:
        goal: What the trial wants.
        run: The run, as far as it got.
    """

    goal: Goal
    run: Run


@dataclass(frozen=True, kw_only=True)
class Infeasible:
    """It cannot be trained: its record says why."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """Only the training itself will show.

    Attributes:
        reason: What is missing: its data, or weights that another training makes.
        data: Its data, if prepared.
    """

    reason: str
    data: Prepared | None = None


Answer = Served | ToTrain | Infeasible | Unknown


def answer(trial: Trial, layout: Layout, *, weights: bool = False) -> Answer:
    """Return what the store has of what a trial wants; changes nothing.

    Args:
        trial: Not an empty slot.
        layout: Of the results folder.
        weights: Whether its weights are wanted even if they were pruned.

    Raises:
        ConfigError: Its file is damaged: a section is missing.
    """
    system = system_of(trial.config)
    _check_sections(trial, system.schema)
    reason = infeasible(trial.config, system.schema)
    if reason is not None:
        return Infeasible(reason=f"trial: {reason}")
    data = data_store.find(system, trial.config["data"], layout)
    if data is None:
        return Unknown(reason="its data is not prepared")
    try:
        return _answer(trial, data, layout, weights)
    except StoreError as error:
        return Unknown(reason=str(error), data=data)


def is_prepared(trial: Trial, layout: Layout) -> bool:
    """Whether `prepare_and_answer` has neither data to prepare nor weights to download."""
    system = system_of(trial.config)
    _check_sections(trial, system.schema)
    if infeasible(trial.config, system.schema) is not None:
        return True
    is_verified = data_store.is_verified(system, trial.config["data"], layout)
    return is_verified and is_fetched(system, trial.config, layout)


def prepare_and_answer(
    trial: Trial, layout: Layout, *, weights: bool = False
) -> Served | ToTrain | Infeasible:
    """Prepare a trial's data, download what it starts from, and return what the store has of it.

    Args:
        trial: Not an empty slot.
        layout: Of the results folder.
        weights: Whether its weights are wanted even if they were pruned.

    Raises:
        ConfigError: Its file is damaged: a section is missing.
        DataError: Its data cannot be prepared.
        StoreError: The weights to start from are missing.
    """
    system = system_of(trial.config)
    _check_sections(trial, system.schema)
    reason = infeasible(trial.config, system.schema)
    if reason is not None:
        return Infeasible(reason=f"trial: {reason}")
    data = data_store.ensure(system, trial.config["data"], layout)
    fetch_parent(system, trial.config, layout)
    return _answer(trial, data, layout, weights)


def _check_sections(trial: Trial, schema: Schema) -> None:
    """Raise ConfigError where a trial file lost a section: that is not a result of a training.

    Files of older versions lack sections that were added later.
    """
    for name in {"data", "training", *schema.sections} & {"data", "training", *trial.config}:
        if not isinstance(trial.config.get(name), dict):
            where = f"{trial.study}/{trial.phase}/{trial.trial}"
            hint = f"should be a section of its config; {WRITTEN_AGAIN}"
            raise ConfigError(Problem(where, name, trial.config.get(name), hint))


def _answer(
    trial: Trial, data: Prepared, layout: Layout, weights: bool
) -> Served | ToTrain | Infeasible:
    try:
        goal = goal_of(trial.config, trial.stop, data, layout, weights)
    except (ConfigError, DataError) as error:
        return Infeasible(reason=str(error))
    run = Run(layout.run(goal.run_id))
    try:
        if run.is_served(goal):
            return Served(goal=goal, run=run, record=run.find_record(goal))
    except DamagedFile:
        pass  # the training restores what is damaged
    return ToTrain(goal=goal, run=run)
