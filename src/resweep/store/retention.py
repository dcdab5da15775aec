"""Which checkpoints are kept: those of claimed runs, as far as a policy keeps them.

A trial whose weights may be kept claims its run: `claims/{study}.{phase}.{trial}`. After its phase
is ranked, the claims of all but the best are released, and a run without claims loses its
checkpoints. Records and metrics are always kept. A study's own claims on what was its best last
longer: `resweep.store.lasting_claims`.

Trials of one run may have different policies (`training.save_steps`, `keep_last`, `keep_best`): the
run's state has all that it was trained under, and what any of them keeps is kept.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resweep.config.metric import Metric
from resweep.config.training_section import Training
from resweep.errors import DamagedFile, LockTimeout
from resweep.files import may_write
from resweep.store import checkpoints as checkpoint
from resweep.store.lock import RunLock
from resweep.store.run import Run

log = logging.getLogger(__name__)


def claim(run: Run, study: str, phase: str, trial: str) -> None:
    """Ask to keep the run's weights; another user's are kept as long as that user wants."""
    file = run.folder.claim(study, phase, trial)
    if file.exists():
        return
    if run.path.exists() and not may_write(run.path):
        log.info("run %s: we may only read it; its owner decides what is kept", run.run_id)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def release(run: Run, study: str, phase: str, trial: str) -> None:
    """Release a claim; deletes the run's weights if it was the last one and nobody trains it.

    Weights that only another user may delete stay.
    """
    if not may_write(run.path):
        return
    run.folder.claim(study, phase, trial).unlink(missing_ok=True)
    drop_if_unclaimed(run)


def drop_if_unclaimed(run: Run) -> None:
    """Delete the run's weights if nobody claims them and nobody trains it."""
    if not has_claims(run) and checkpoint.steps_of(run.path):
        try:
            with RunLock(run.path, timeout=0.0):
                drop_unclaimed(run)
        except LockTimeout:
            log.info("run %s: is being trained; keeping its weights for now", run.run_id)
        except DamagedFile as error:
            log.warning("%s", error)


def has_claims(run: Run) -> bool:
    """Whether any trial, or a study itself, claims the weights.

    Raises:
        OSError: A folder of claims cannot be read: it may have some.
    """
    return bool(run.folder.all_claims() or run.folder.all_lasting_claims())


@dataclass(frozen=True)
class Policy:
    """Which of a run's checkpoints to keep, besides the newest and those of its records.

    Attributes:
        every: Multiples of this step, unless `last` is given.
        last: N of the newest.
        best: N of those with the best value of the system's metric.
    """

    every: int | None = None
    last: int | None = None
    best: int | None = None

    @classmethod
    def of(cls, training: Training) -> "Policy":
        """Return the policy of a `training` section."""
        return cls(training.save_steps, training.keep_last, training.keep_best)

    def keeps(self, steps: Iterable[int], values: "Values") -> set[int]:
        """Return the saved steps that it keeps."""
        steps = sorted(steps)
        kept = set(values.best_first(steps)[: self.best or 0])
        if self.last is not None:
            kept |= set(steps[-self.last :])
        elif self.every is not None:
            kept |= {step for step in steps if step % self.every == 0}
        return kept


def policies_of(run: Run) -> list[Policy]:
    """Return the policies that the run was trained under."""
    return [Policy(**policy) for policy in run.state().get("policies", [])]


def add_policy(run: Run, policy: Policy) -> None:
    """Add a policy to those of the run; needs the run's lock."""
    policies = policies_of(run)
    if policy not in (Policy(), *policies):
        run.update(policies=[asdict(one) for one in (*policies, policy)])


class Values:
    """The system's metric by step: it decides which checkpoints are kept.

    Args:
        metric: Its name and direction.
        lines: Of metrics.jsonl.
    """

    def __init__(self, metric: Metric, lines: Iterable[Mapping[str, Any]]):
        self.metric = metric
        self.by_step: dict[int, float] = {
            line["step"]: line[metric.name] for line in lines if metric.name in line
        }

    def best_first(self, steps: Iterable[int]) -> list[int]:
        """Return the evaluated steps, best first; of equal ones the earlier first."""
        known = (step for step in steps if step in self.by_step)
        return sorted(known, key=lambda step: (self.metric.sign * self.by_step[step], step))


def drop_before(run: Run, folder: Path, step: int, values: Values) -> None:
    """Delete checkpoints before a step that nothing keeps; needs the run's lock.

    Args:
        run: The run: the steps of its records are kept, and what its policies keep.
        folder: Of the checkpoints: the run's own, or that of a retraining, where no policy counts.
        step: Those from this step on are kept.
        values: What decides which are the best.
    """
    policies = policies_of(run) if folder == run.path else []
    for older in _spare(run, folder, step, policies, values):
        checkpoint.delete(folder / checkpoint.folder_name(older))
    count = max((policy.best or 0 for policy in policies), default=0)
    if count:
        best = values.best_first(checkpoint.steps_of(folder))[:count]
        name = values.metric.name
        run.update(best_checkpoints=[{"step": one, name: values.by_step[one]} for one in best])


def _spare(
    run: Run, folder: Path, step: int, policies: Iterable[Policy], values: Values
) -> list[int]:
    """Return the steps before a step whose checkpoints neither a record nor a policy keeps."""
    saved = checkpoint.steps_of(folder)
    kept = run.recorded_steps().union(*(policy.keeps(saved, values) for policy in policies))
    return [older for older in saved if older < step and older not in kept]


def spare_steps(run: Run, values: Values) -> list[int]:
    """Return the steps of the checkpoints of a run that nothing keeps.

    They are all of a run without claims, and older ones of another; none of a run that never ended,
    which continues from them.

    Args:
        run: The run.
        values: What decides which are the best.

    Raises:
        DamagedFile: Its state is damaged.
    """
    saved = checkpoint.steps_of(run.path)
    if not saved or not run.folder.all_records():
        return []
    if not has_claims(run):
        return saved
    return _spare(run, run.path, saved[-1], policies_of(run), values)


def drop_spare(run: Run, values: Values) -> None:
    """Delete the checkpoints that nothing keeps; needs the run's lock."""
    for step in spare_steps(run, values):
        checkpoint.delete(run.path / checkpoint.folder_name(step))
    if not run.folder.final_checkpoint.exists():
        run.folder.final_checkpoint.unlink(missing_ok=True)


def drop_unclaimed(run: Run) -> None:
    """Delete the checkpoints of a run without claims; needs the run's lock."""
    if has_claims(run):
        return
    run.folder.final_checkpoint.unlink(missing_ok=True)
    for step in checkpoint.steps_of(run.path):
        checkpoint.delete(run.path / checkpoint.folder_name(step))
    if run.state().get("best_checkpoints"):
        run.update(best_checkpoints=[])
