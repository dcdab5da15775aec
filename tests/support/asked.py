"""What a trial wants of a store, and what it is trained with: `advance(*ask(...), layout)`."""

from dataclasses import fields
from typing import Any, NamedTuple

from resweep.data.store import Prepared
from resweep.paths import Layout
from resweep.store.goal import Goal
from resweep.store.run import Run
from resweep.store.training_attempt import Surroundings
from tests.support.learners import CPU


class Asked(NamedTuple):
    """A goal, and the surroundings to advance its run with."""

    goal: Goal
    surroundings: Surroundings


def ask(config: dict[str, Any], data: Prepared, **options: Any) -> Asked:
    """Ask for the run of a resolved configuration, on a CPU unless the options say otherwise.

    Args:
        config: Resolved.
        data: Its data.
        options: Of `Goal` (stop, weights) and of `Surroundings`.
    """
    of_goal = {field.name for field in fields(Goal)} & options.keys()
    goal = Goal(config=config, data=data, **{name: options.pop(name) for name in of_goal})
    return Asked(goal, Surroundings(**{"device": CPU, **options}))


def run_of(asked: Asked, layout: Layout) -> Run:
    """Return the run that is asked for."""
    return Run(layout.run(asked.goal.run_id))
