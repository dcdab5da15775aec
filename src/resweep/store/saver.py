"""The checkpoints of one training: copied at once, written beside it, deleted when they have to go.

    save     waits for the write before, copies the training to main memory
    thread   metrics to disk -> folder written and renamed -> the run's state -> older ones deleted

Whatever is reported as saved has its name: a process killed in between loses nothing but the copy.
"""

from collections.abc import Callable
from pathlib import Path

from resweep.store import checkpoints as checkpoint
from resweep.store.lock import RunLock
from resweep.store.retention import Values, drop_before
from resweep.store.run import Run
from resweep.training.learner import Learner, Snapshot
from resweep.training.writer import Writer


class Saver:
    """Saves checkpoints into a folder.

    Args:
        run: Whose.
        folder: The run's own, or one beside: of a retraining nothing is kept but to go on from.
        lock: The run's.
        keep_best: How many of the best evaluations stay, and so are saved.
        values: What checkpoints are kept by, as far as the run's metrics say.
        writer: Does the writing.
        flush: Makes the metrics up to now survive a crash; called from the writer's thread.
    """

    def __init__(
        self,
        run: Run,
        folder: Path,
        lock: RunLock,
        keep_best: int | None,
        values: Values,
        writer: Writer,
        flush: Callable[[], None],
    ):
        self.run = run
        self.folder = folder
        self.lock = lock
        self.keep_best = keep_best if folder == run.path else None
        self.values = values
        self.writer = writer
        self.flush = flush
        self.newest: set[int] = set()  # it may not have its name yet

    def save(self, learner: Learner) -> None:
        """Save the training as it is now."""
        self.writer.wait()  # two copies at a time would be one too many
        snapshot = learner.snapshot()
        self.newest = {snapshot.step}
        self.writer.begin(lambda: self._write(snapshot))

    def is_best(self, step: int, value: float) -> bool:
        """Take the value of a step; returns whether its checkpoint would be one of the best."""
        self.values.by_step[step] = value
        if self.keep_best is None:
            return False
        steps = {*checkpoint.steps_of(self.folder), *self.newest, step}
        return step in self.values.best_first(steps)[: self.keep_best]

    def _write(self, snapshot: Snapshot) -> None:
        self.flush()
        place = self.folder / checkpoint.folder_name(snapshot.step)
        checkpoint.write_checkpoint(place, snapshot.write, self.lock.confirm)
        if self.folder == self.run.path:
            self.run.update(step=max(snapshot.step, self.run.state().get("step", 0)))
        # The last one before stays too, should this one be damaged.
        newest = checkpoint.steps_of(self.folder)[-2:]
        drop_before(self.run, self.folder, newest[0], self.values)
