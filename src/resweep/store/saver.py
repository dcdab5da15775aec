"""The checkpoints of one training: copied, written in the background, deleted when outdated.

    save     waits for the previous write, copies the training to main memory
    thread   metrics to disk -> folder written and renamed -> the run's state -> older ones deleted

Whatever is reported as saved has its name: a process killed in between loses only the copy.
"""

from pathlib import Path

from resweep.paths import METRICS
from resweep.store import checkpoints as checkpoint
from resweep.store.lock import RunLock
from resweep.store.retention import Values, drop_before
from resweep.store.run import Run
from resweep.training.learner import Learner, Snapshot
from resweep.training.metrics import MetricLog
from resweep.training.writer import Writer


class Saver:
    """Saves checkpoints into a folder.

    Args:
        run: The run.
        folder: The run's own, or that of a retraining, where only the newest are kept.
        lock: The run's.
        keep_best: How many of the best evaluations are saved and kept.
        values: What decides which are the best, from the run's metrics so far.
        writer: Does the writing.
        metrics: Log of the metrics; each checkpoint has a copy.
    """

    def __init__(
        self,
        run: Run,
        folder: Path,
        lock: RunLock,
        keep_best: int | None,
        values: Values,
        writer: Writer,
        metrics: MetricLog,
    ):
        self.run = run
        self.folder = folder
        self.lock = lock
        self.keep_best = keep_best if folder == run.path else None
        self.values = values
        self.writer = writer
        self.metrics = metrics
        self.newest: set[int] = set()  # it may not have its name yet

    def save(self, learner: Learner) -> None:
        """Save the current state of the training."""
        self.writer.wait()  # memory may have no room for two copies
        snapshot, curve = learner.snapshot(), self.metrics.content()
        self.newest = {snapshot.step}
        self.writer.begin(lambda: self._write(snapshot, curve))

    def is_best(self, step: int, value: float) -> bool:
        """Add the value of a step; returns whether its checkpoint would be one of the best."""
        self.values.by_step[step] = value
        if self.keep_best is None:
            return False
        steps = {*checkpoint.steps_of(self.folder), *self.newest, step}
        return step in self.values.best_first(steps)[: self.keep_best]

    def _write(self, snapshot: Snapshot, curve: bytes) -> None:
        def write(folder: Path) -> None:
            snapshot.write(folder)
            (folder / METRICS).write_bytes(curve)

        self.metrics.flush_to_disk()
        place = self.folder / checkpoint.folder_name(snapshot.step)
        checkpoint.write_checkpoint(place, write, self.lock.confirm)
        if self.folder == self.run.path:
            self.run.update(step=max(snapshot.step, self.run.state().get("step", 0)))
        # The previous one stays too, in case this one is damaged.
        newest = checkpoint.steps_of(self.folder)[-2:]
        drop_before(self.run, self.folder, newest[0], self.values)
