"""The job of a pack: several trials, from one process.

    each trial  ->  the store's answer  ->  its record linked
                                        ->  a child that trains it and links its record
    a child that a fault of the machine stopped  ->  once more

The pack is done when each trial has a record, whatever its status. A child that fails takes no
other along; what the others saved stays in the store.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

from resweep.errors import Interrupted, ResweepError
from resweep.jobs.forked_trainings import ForkedTrainings
from resweep.jobs.job_log import text_of
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import TrainingJob, ask_store
from resweep.machine.answer import Answer
from resweep.machine.children import End
from resweep.machine.gpus import pool
from resweep.store.attempts import Attempts, is_nearly_full
from resweep.store.lock import RunLock
from resweep.systems.registry import system_of
from resweep.trials.pack import PackFile
from resweep.trials.record import read_record
from resweep.trials.trial import Trial, read_trial, require_unchanged, write_trial
from resweep.wandb.follower import Follower

# What another try cannot change.
FINAL = ("ConfigError", "DataError", "LockTimeout")
OUT_OF_GPU_MEMORY = "OutOfMemoryError"
TRIES = 2

log = logging.getLogger(__name__)


@dataclass
class _Slot:
    """One trial of the pack."""

    trial: Trial
    record: Path
    tries: int = 0


class Pack:
    """Trains the trials of a pack.

    Args:
        file: Which trials.
        options: Of the job.
        at_once: How many trainings may run at the same time.
        interrupted: Whether to save and stop.

    Attributes:
        failed: What stopped each trial that has no record, by its name.
    """

    def __init__(
        self,
        file: PackFile,
        options: JobOptions,
        at_once: int,
        interrupted: Callable[[], bool] = lambda: False,
    ):
        self.file = file
        self.options = options
        self.at_once = at_once
        self.interrupted = interrupted
        self.failed: dict[str, str] = {}
        self._follower = Follower(options.tracking, options.layout.study(file.study))
        self._done = 0
        self._waiting: list[tuple[_Slot, TrainingJob]] = []
        self._running: dict[str, tuple[_Slot, TrainingJob]] = {}  # by run
        logs = options.log_file.parent if options.log_file is not None else None
        self._trainings = ForkedTrainings(interrupted, log_file=options.log_file, logs=logs)

    def train(self) -> bool:
        """Train them; returns whether each trial has a record.

        Raises:
            Interrupted: Asked to stop, after saving.
        """
        with self._follower:
            return self._train()

    def _train(self) -> bool:
        total = len(self.file.trials)
        for slot in self._slots():
            self._ask(slot)
        if self._done:
            log.info("%d of %d in the store", self._done, total)
        if self._waiting and self.options.device in ("auto", "cuda"):
            self.at_once = min(self.at_once, len(pool()) or self.at_once)  # one training on each
        while self._running or (self._waiting and not self.interrupted()):
            if not self.interrupted():
                self._start()
            for run_id, end in self._trainings.wait().items():
                self._ended(*self._running.pop(run_id), end)
        if self._done == total:
            return True
        state = f"{self._done} of {total} trials are done and stay in the store"
        if self.interrupted():
            raise Interrupted(f"saved and stopped: {state}; the same command continues")
        for name, text in self.failed.items():
            log.error("trial %s: %s", name, text)
        log.error("%s; run the same command again for the rest", state)
        return False

    def _slots(self) -> Iterable[_Slot]:
        """Return the trials with their records; writes the trial files that no other job writes."""
        file = self.file
        folder = self.options.layout.phase(file.study, file.phase)
        known = list(file.known_trials())
        for trial in known:
            write_trial(folder.trial(file.slot(trial.trial)), trial)
        for number, name in enumerate(file.trials):
            slot = file.slot(name)
            if known:
                trial = known[number]
            else:
                trial = read_trial(folder.trial(slot))
                require_unchanged(trial, folder.trial(slot))
            yield _Slot(trial, folder.record(slot))

    def _ask(self, slot: _Slot) -> None:
        """Link the trial's record if the store has it; else let it wait for its training."""
        try:
            job = ask_store(slot.trial, slot.record, self.options, self._follower)
        except (ResweepError, OSError) as error:
            self.failed[slot.trial.trial] = text_of(error)
            return
        if job is None:
            self._done += 1
        else:
            self._waiting.append((slot, job))

    def _start(self) -> None:
        """Start the next trainings; a run that is already being trained waits for its record."""
        for slot, job in list(self._waiting):
            if len(self._running) >= self.at_once:
                return
            if job.run_id not in self._running:
                self._waiting.remove((slot, job))
                slot.tries += 1
                self._trainings.start(job.run_id, job)
                self._running[job.run_id] = slot, job

    def _ended(self, slot: _Slot, job: TrainingJob, end: End) -> None:
        if end.answer is not None and end.answer["error"] is None:
            self._done += 1
            self._show(slot)
            self._serve_equals(job.run_id)
        else:
            self._retry(slot, job, end)

    def _serve_equals(self, run_id: str) -> None:
        """Answer the trials that waited for the same run."""
        equals = [one for one in self._waiting if one[1].run_id == run_id]
        for slot, job in equals:
            self._waiting.remove((slot, job))
            before = self._done
            self._ask(slot)
            if self._done > before:
                self._show(slot)

    def _show(self, slot: _Slot) -> None:
        """Log how a trial ended: a line."""
        record = read_record(slot.record)
        metric = system_of(slot.trial.config).metric
        value = record.metrics.get(metric)
        shown = "" if value is None else f", {metric} {value:.4g}"
        total = len(self.file.trials)
        trial = slot.trial.line
        log.info("%d of %d  %s  %s%s", self._done, total, trial, record.end_text, shown)

    def _retry(self, slot: _Slot, job: TrainingJob, end: End) -> None:
        """Train a trial once more after a fault of the machine."""
        error, text = _error_of(end)
        if error == Interrupted.__name__ or self.interrupted():
            return
        again = slot.tries < TRIES and error not in FINAL
        if error == OUT_OF_GPU_MEMORY or self._ran_out_of_memory(job, end):
            self.at_once = max(1, self.at_once // 2)
            self._trainings.memory.forget()
            text = f"{text}: out of memory; at most {self.at_once} at once from now on"
        if not again:
            self.failed[slot.trial.trial] = text
            return
        log.warning("trial %s: %s; continuing it from its last checkpoint", slot.trial.trial, text)
        self._waiting.append((slot, job))

    def _ran_out_of_memory(self, job: TrainingJob, end: End) -> bool:
        """Whether the kernel killed a child for the pack's memory; its attempt then says so."""
        lease = {
            "memory_mb": self._trainings.memory.mb,
            "memory_limit_mb": self.options.memory_limit_mb,
        }
        if end.signal != SIGKILL or not is_nearly_full(lease):
            return False
        with RunLock(job.found.run.path, self.options.lock_timeout) as lock:
            Attempts(job.found.run).close({**lock.previous, **lease})
        return True


def _error_of(end: End) -> tuple[str, str]:
    """Return the type and the text of what ended a child without a record."""
    if end.answer is None:
        return "Killed", end.text
    answer: Answer = end.answer  # type: ignore[assignment]
    return answer["error"] or "", answer["text"]
