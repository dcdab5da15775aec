"""The job of a pack: several trials, from one process.

    each trial  ->  the store's answer  ->  its record linked
                                        ->  a child that trains it and links its record
    a child that a fault of the machine stopped  ->  retried once

The pack is done when each trial has a record, whatever its status. A child that fails takes no
other along; what the others saved stays in the store.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

from resweep.errors import ConfigError, DataError, GpuFull, Interrupted, LockTimeout
from resweep.jobs.forked_trainings import ForkedTrainings
from resweep.jobs.job_log import line_of
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import TrainingJob
from resweep.machine.children import End
from resweep.machine.gpus import pool
from resweep.store.attempts import LACKED_MEMORY, Attempts, is_nearly_full
from resweep.store.lock import RunLock
from resweep.systems.registry import system_of
from resweep.trials.pack import PackFile
from resweep.trials.record import read_record
from resweep.trials.trial import Trial, read_trial, require_unchanged, write_trial
from resweep.wandb.follower import Follower

# What another try cannot change.
FINAL = tuple(kind.__name__ for kind in (ConfigError, DataError, LockTimeout))
LACKS_MEMORY = (MemoryError.__name__, GpuFull.__name__)
TRIES = 2

log = logging.getLogger(__name__)


@dataclass
class _Slot:
    """One trial of the pack.

    Attributes:
        at_once: How many could run when its last try began.
    """

    trial: Trial
    record: Path
    tries: int = 0
    at_once: int = 1


class PackJob:
    """Trains the trials of a pack.

    Args:
        file: Which trials.
        options: Of the job.
        at_once: How many trainings may run at the same time.
        interrupted: Whether to save and stop.

    Attributes:
        failed: What stopped each trial that has no record, by its name.
        total: How many trials there are.
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
        self.total = len(file.trials)
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
            try:
                self._train()
            finally:  # also after an error here
                self._trainings.stop()
        if self._done == self.total:
            return True
        state = f"{self._done} of {self.total} trials are done and stay in the store"
        if self.interrupted():
            raise Interrupted(f"saved and stopped: {state}; the same command continues")
        for name, text in self.failed.items():
            log.error("trial %s: %s", name, text)
        log.error("%s; the same command links them again and trains the rest", state)
        return False

    def _train(self) -> None:
        self._ask_all()
        if self._waiting and self.options.device in ("auto", "cuda"):
            self.at_once = min(self.at_once, len(pool()) or self.at_once)  # one training on each
        while self._running or (self._waiting and not self.interrupted()):
            if not self.interrupted():
                self._start()
            for run_id, end in self._trainings.wait().items():
                self._ended(*self._running.pop(run_id), end)

    def _ask_all(self) -> None:
        """Ask the store for each trial; writes the trial files that no other job writes."""
        file = self.file
        folder = self.options.layout.phase(file.study, file.phase)
        known = {trial.trial: trial for trial in file.known_trials()}
        stored = 0
        for name in file.trials:
            path = folder.trial(file.slot(name))
            if self.interrupted():
                return
            try:
                if name in known:
                    trial = known[name]
                    write_trial(path, trial)
                else:
                    trial = read_trial(path)
                    require_unchanged(trial, path)
            except Exception as error:
                self.failed[name] = line_of(error)
            else:
                slot = _Slot(trial, folder.record(file.slot(name)))
                # Others have a record of their own: they cannot be trained.
                stored += self._ask(slot) and slot.record.is_symlink()
        if stored:
            log.info("%d of %d in the store", stored, self.total)

    def _ask(self, slot: _Slot) -> bool:
        """Link the trial's record if the store has it; else let it wait for its training.

        Returns whether it has its record.
        """
        try:
            job = self._trainings.ask(slot.trial, slot.record, self.options, self._follower)
        except Exception as error:
            self.failed[slot.trial.trial] = line_of(error)
            return False
        if job is None:
            self._done += 1
            return True
        self._waiting.append((slot, job))
        return False

    def _start(self) -> None:
        """Start the next trainings; a run that is already being trained waits for its record."""
        for slot, job in list(self._waiting):
            if len(self._running) >= self.at_once or self.interrupted():
                return
            if job.run_id in self._running:
                continue
            try:
                self._trainings.start(job.run_id, job)
            except OSError as error:
                if not self._running:
                    raise
                self.at_once = len(self._running)
                log.warning("%s; at most %d at once from now on", error.strerror, self.at_once)
                return
            slot.tries, slot.at_once = slot.tries + 1, self.at_once
            self._waiting.remove((slot, job))
            self._running[job.run_id] = slot, job

    def _ended(self, slot: _Slot, job: TrainingJob, end: End) -> None:
        error, text = _error_of(end)
        if error is None:
            self._done += 1
            self._show(slot)
            self._serve_equals(job.run_id)
        elif self.interrupted():
            log.info("trial %s: %s", slot.trial.trial, text)
        else:
            self._retry(slot, job, end, error, text)

    def _serve_equals(self, run_id: str) -> None:
        """Answer the trials that waited for the same run."""
        equals = [one for one in self._waiting if one[1].run_id == run_id]
        for slot, job in equals:
            self._waiting.remove((slot, job))
            if self._ask(slot):
                self._show(slot)

    def _show(self, slot: _Slot) -> None:
        """Log how a trial ended: a line."""
        record = read_record(slot.record)
        metric = system_of(slot.trial.config).metric
        value = record.metrics.get(metric)
        shown = "" if value is None else f", {metric} {value:.4g}"
        trial = slot.trial.line
        log.info("%d of %d  %s  %s%s", self._done, self.total, trial, record.end_text, shown)

    def _retry(self, slot: _Slot, job: TrainingJob, end: End, error: str, text: str) -> None:
        """Train a trial again after a fault of the machine."""
        if error in LACKS_MEMORY or self._was_killed_for_memory(job, end):
            text = f"{text}: out of memory"
            half = max(1, slot.at_once // 2)
            if half < self.at_once:  # else it was lowered already, for one that ran beside it
                self.at_once = half
                text += f"; at most {half} at once from now on"
            self._trainings.memory.forget()
        # A child that got a signal of its own has saved: the machine has no fault.
        if slot.tries == TRIES or error in (*FINAL, Interrupted.__name__):
            self.failed[slot.trial.trial] = text
            return
        log.warning("trial %s: %s; continuing it from its last checkpoint", slot.trial.trial, text)
        self._waiting.append((slot, job))

    def _was_killed_for_memory(self, job: TrainingJob, end: End) -> bool:
        """Whether the kernel killed a child for the pack's memory; its attempt then says so."""
        memory, run = self._trainings.memory, job.found.run
        used = {"memory_mb": memory.mb, "memory_limit_mb": self.options.memory_limit_mb}
        if end.signal != SIGKILL or not (memory.has_killed() or is_nearly_full(used)):
            return False

        def note() -> None:
            with RunLock(run.path, timeout=0) as lock:
                Attempts(run).close({**lock.previous, **used, LACKED_MEMORY: True})

        self._trainings.call(job.trial, note)  # a lock has a thread
        return True


def _error_of(end: End) -> tuple[str | None, str]:
    """Return the type and the text of what ended a child; no type where nothing did."""
    if end.answer is None:
        return "Killed", end.text
    return end.answer["error"], end.answer["text"]
