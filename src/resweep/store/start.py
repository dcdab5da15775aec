"""Where a training starts: from which checkpoint, and in which folder."""

import json
import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from resweep.errors import ConfigError, DamagedFile, Problem, StoreError
from resweep.paths import METRICS
from resweep.store import checkpoints as checkpoint
from resweep.store.curve import checkpoint_curve
from resweep.store.goal import Goal
from resweep.store.parent import resumed_step
from resweep.store.recorder import DONE
from resweep.store.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training starts.

    Attributes:
        folder: Where it writes: the run's own folder, or one beside its files.
        checkpoint: What it continues from; None: it starts at step 0.
        metrics: Content of metrics.jsonl up to there.
        begins: Whether nothing of the run itself is continued.
    """

    folder: Path
    checkpoint: Path | None
    metrics: bytes
    begins: bool = False

    @property
    def step(self) -> int:
        """The step that it starts at."""
        return _step_of(self.checkpoint)


def choose_start(run: Run, goal: Goal, until: int) -> Start:
    """Decide where to train and from which checkpoint; needs the run's lock.

    Settled steps are never written again: without a checkpoint to continue from there, the run is
    retrained in a folder beside it, and what was wanted is moved over.

    Args:
        run: What is trained.
        goal: What the trial wants of it.
        until: The step that it trains to.
    """
    checkpoint.drop_leftovers(run.path)
    shutil.rmtree(run.path / DONE, ignore_errors=True)
    start = _latest_intact(run.path, goal, until)
    if start.step >= run.settled_step():
        return start
    log.info(
        "run %s: trained to step %d before, but its checkpoint is gone; retraining beside it",
        run.run_id,
        run.settled_step(),
    )
    folder = run.folder.again
    checkpoint.drop_leftovers(folder)
    unfit = folder / checkpoint.folder_name(until)
    if unfit.is_dir() and not goal.gradients.is_met(unfit):
        checkpoint.delete(unfit)
    beside = _latest_intact(folder, goal, until)
    return beside if beside.step >= start.step else replace(start, folder=folder)


def _latest_intact(folder: Path, goal: Goal, until: int) -> Start:
    """Return where to continue in a folder: at a trial's end only from one with its gradients."""
    step = until
    while (found := checkpoint.latest_intact(folder, step)) is not None:
        step = _step_of(found)
        if step < until or goal.gradients.is_met(found):
            try:
                metrics = checkpoint_curve(found, step, goal.intervals)
                return Start(folder=folder, checkpoint=found, metrics=metrics)
            except DamagedFile as error:
                log.warning("%s: %s; %s is not used", error.path, error.what, found.name)
        step -= 1
    return _beginning(folder, goal)


def _beginning(folder: Path, goal: Goal) -> Start:
    """Return where a run begins: at step 0, or where it takes another one over.

    Raises:
        ConfigError: The other run logged at other steps.
        StoreError: Its checkpoint is damaged.
    """
    step = resumed_step(goal.config)
    if step is None:
        return Start(folder=folder, checkpoint=None, metrics=b"", begins=True)
    place = Path(goal.config["run"]["checkpoint"]).resolve()
    damage = checkpoint.find_damage(place)
    curve = checkpoint.read_intact(place, METRICS)
    if damage is not None or curve is None:
        what = damage or f"has no {METRICS}"
        raise StoreError(f"{place}: {what}; train its run again, or set run.resume: false")
    expected = goal.intervals.steps(step)
    kept = [line for line in curve.splitlines(keepends=True) if _step(line) in expected]
    if [_step(line) for line in kept] != expected:
        given = {name: goal.config["training"][name] for name in ("log_steps", "eval_steps")}
        hint = f"should be as in the run that it continues, {place.parent.name}"
        raise ConfigError(Problem("trial", "training", given, hint))
    return Start(folder=folder, checkpoint=place, metrics=b"".join(kept), begins=True)


def _step(line: bytes) -> int:
    return int(json.loads(line)["step"])


def _step_of(folder: Path | None) -> int:
    return int(folder.name.rsplit("_", 1)[1]) if folder is not None else 0
