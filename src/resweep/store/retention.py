"""Which weights stay: those that some trial claims.

A trial that was trained to be kept claims its run: `claims/{study}.{phase}.{trial}`. After its
phase was ranked, the claims of all but the best are released, and a run without claims loses its
checkpoints. Records and metrics always stay.
"""

import logging
import shutil
from pathlib import Path

from resweep.errors import LockTimeout
from resweep.store.lock import RunLock
from resweep.store.run import Run
from resweep.training import checkpoint

log = logging.getLogger(__name__)


def _claim_file(run: Run, study: str, phase: str, trial: str) -> Path:
    return run.path / "claims" / f"{study}.{phase}.{trial}"


def claim(run: Run, study: str, phase: str, trial: str) -> None:
    """Ask that the run's weights stay."""
    file = _claim_file(run, study, phase, trial)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def release(run: Run, study: str, phase: str, trial: str) -> None:
    """Take a claim back; deletes the run's weights if it was the last one and nobody trains it."""
    _claim_file(run, study, phase, trial).unlink(missing_ok=True)
    if not has_claims(run) and checkpoint.steps_of(run.path):
        try:
            with RunLock(run.path, timeout=0.0):
                drop_unclaimed(run)
        except LockTimeout:
            log.info("run %s: is being trained; its weights stay for now", run.run_id)


def has_claims(run: Run) -> bool:
    """Whether any trial wants the weights to stay."""
    folder = run.path / "claims"
    return folder.is_dir() and any(folder.iterdir())


def drop_before(run: Run, folder: Path, step: int, every: int | None) -> None:
    """Delete checkpoints before a step that no record stands for; needs the run's lock.

    Args:
        run: Whose records.
        folder: Of the checkpoints: the run's own, or that of a retraining.
        step: Those from here on stay.
        every: Multiples of it stay too.
    """
    recorded = run.recorded_steps()
    for older in checkpoint.steps_of(folder):
        asked = older in recorded or (every and older % every == 0)
        if older < step and not asked:
            shutil.rmtree(folder / checkpoint.folder_name(older))


def drop_unclaimed(run: Run) -> None:
    """Delete the checkpoints of a run that nobody claims; needs the run's lock."""
    if has_claims(run):
        return
    (run.path / "final_checkpoint").unlink(missing_ok=True)
    for step in checkpoint.steps_of(run.path):
        folder = run.path / checkpoint.folder_name(step)
        # A half-deleted checkpoint must not look like one.
        doomed = folder.with_name(f".{folder.name}.0")
        folder.rename(doomed)
        shutil.rmtree(doomed)
