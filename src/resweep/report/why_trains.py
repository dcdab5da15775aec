"""Why a trial would be trained, as a value and as a line."""

from dataclasses import dataclass

from resweep.errors import DamagedFile
from resweep.report.nearest import Nearest, StoredIdentities
from resweep.store.answer import ToTrain, Unknown
from resweep.trials.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a trial would be trained.

    Attributes:
        phase, trial: Which.
        text: Why.
        nearest: The most similar run of the store; None if that is not why.
    """

    phase: str
    trial: str
    text: str
    nearest: Nearest | None = None


def why_trains(trial: Trial, found: ToTrain | Unknown, stored: StoredIdentities) -> Reason:
    """Return why the store does not serve a trial."""
    nearest = None
    if isinstance(found, Unknown):
        text = found.reason
    else:
        text = _state_text(found)
        if not text:
            nearest = stored.nearest(found.goal.identity)
            text = "the store has no run like it" if nearest else "the store has no runs"
    return Reason(phase=trial.phase, trial=trial.trial, text=text, nearest=nearest)


def _state_text(found: ToTrain) -> str:
    """Return what a run that was begun lacks; empty if it was not."""
    run, goal = found.run, found.goal
    try:
        step = int(run.state().get("step", 0))
    except DamagedFile as error:
        return f"run {run.run_id}: {error.path.name} {error.what}"
    if step >= goal.until:
        lacks = "its record"
        if not run.has_wanted(goal.until, goal):
            lacks = "its weights" if goal.weights else "its gradients"
        return f"run {run.run_id} is at step {step}, but lacks {lacks} of step {goal.until}"
    return f"run {run.run_id} is at step {step} of {goal.until}" if step else ""
