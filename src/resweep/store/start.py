"""Where a training starts: from which checkpoint, and in which folder."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from resweep.files import write_atomically
from resweep.paths import METRICS, TIMING
from resweep.store import checkpoints as checkpoint
from resweep.store.goal import Goal
from resweep.store.recorder import DONE
from resweep.store.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training starts.

    Attributes:
        folder: Where it writes: the run's own folder, or one beside its files.
        checkpoint: What it continues from; None: it starts at step 0.
    """

    folder: Path
    checkpoint: Path | None

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
    found = _latest_intact(run.path, goal, until)
    if _step_of(found) >= run.settled_step():
        return Start(folder=run.path, checkpoint=found)
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
    if _step_of(beside) >= _step_of(found):
        return Start(folder=folder, checkpoint=beside)
    for name in (METRICS, TIMING):  # truncated to that step when they are opened
        write_atomically(folder / name, (run.path / name).read_bytes())
    return Start(folder=folder, checkpoint=found)


def _latest_intact(folder: Path, goal: Goal, until: int) -> Path | None:
    """Return the checkpoint to continue from: that of the trial's end only with gradients."""
    found = checkpoint.latest_intact(folder, until)
    if _step_of(found) < until or found is None or goal.gradients.is_met(found):
        return found
    return checkpoint.latest_intact(folder, until - 1)


def _step_of(folder: Path | None) -> int:
    return int(folder.name.rsplit("_", 1)[1]) if folder is not None else 0
