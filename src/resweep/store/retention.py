"""Which checkpoints stay: of runs that some trial claims, and of those what the policy says.

A trial that was trained to be kept claims its run: `claims/{study}.{phase}.{trial}`. After its
phase was ranked, the claims of all but the best are released, and a run without claims loses its
checkpoints. Records and metrics always stay.

Trials of one run may ask for different ones (`training.save_steps`, `keep_last`, `keep_best`): the
run's state has all policies that it was trained under, and what any of them keeps stays.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resweep.config.metric import Metric
from resweep.config.training_section import Training
from resweep.errors import LockTimeout
from resweep.store import checkpoints as checkpoint
from resweep.store.lock import RunLock
from resweep.store.run import Run

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


@dataclass(frozen=True)
class Policy:
    """What stays of a run's checkpoints beside the newest and those of its records.

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
        """Return those of the saved steps that stay for it."""
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
    """Have the run keep what a policy says, too; needs the run's lock."""
    policies = policies_of(run)
    if policy not in (Policy(), *policies):
        run.update(policies=[asdict(one) for one in (*policies, policy)])


class Values:
    """The system's metric by step: what checkpoints are kept by.

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
        """Order the steps that were evaluated; of equal ones the earlier comes first."""
        known = (step for step in steps if step in self.by_step)
        return sorted(known, key=lambda step: (self.metric.sign * self.by_step[step], step))


def drop_before(run: Run, folder: Path, step: int, values: Values) -> None:
    """Delete checkpoints before a step that nothing stands for; needs the run's lock.

    Args:
        run: Whose: the steps of its records stay, and what its policies keep.
        folder: Of the checkpoints: the run's own; of a retraining no policy keeps any.
        step: Those from here on stay.
        values: What they are kept by.
    """
    saved = checkpoint.steps_of(folder)
    policies = policies_of(run) if folder == run.path else []
    kept = run.recorded_steps().union(*(policy.keeps(saved, values) for policy in policies))
    for older in saved:
        if older < step and older not in kept:
            checkpoint.delete(folder / checkpoint.folder_name(older))
    count = max((policy.best or 0 for policy in policies), default=0)
    if count:
        best = values.best_first(checkpoint.steps_of(folder))[:count]
        name = values.metric.name
        run.update(best_checkpoints=[{"step": one, name: values.by_step[one]} for one in best])


def drop_unclaimed(run: Run) -> None:
    """Delete the checkpoints of a run that nobody claims; needs the run's lock."""
    if has_claims(run):
        return
    (run.path / "final_checkpoint").unlink(missing_ok=True)
    for step in checkpoint.steps_of(run.path):
        checkpoint.delete(run.path / checkpoint.folder_name(step))
    if run.state().get("best_checkpoints"):
        run.update(best_checkpoints=[])
