"""Trainings in forked children of one warm process.

    parent   asks the store, imports what trainings need, forks; never uses a GPU itself
    child    one training: its lock, GPU, W&B, log and record; then it ends

What may start threads, as libraries that download or tokenize do, is a child's work too: a process
with threads cannot fork. Packs and workers train through this.
"""

import contextlib
import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Any

from resweep.errors import Interrupted
from resweep.jobs.job_log import line_of, log_in_store, show_log
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import TrainingJob, ask_store, retry_once
from resweep.machine.answer import ANSWER, Answer, answer_of, answer_of_error, trained
from resweep.machine.children import Children, End
from resweep.machine.launch import Crashed
from resweep.machine.log_file import add_log_file
from resweep.machine.memory import JobMemory
from resweep.machine.signals import watch_signals
from resweep.store.answer import is_prepared, prepare_and_answer
from resweep.trials.trial import Trial
from resweep.wandb.follower import Follower

SECONDS_BETWEEN_LOOKS = 0.2  # at signals; the end of a child is seen at once

log = logging.getLogger(__name__)


@dataclass
class ForkedTrainings:
    """The trainings that run now; keys are the caller's names for them.

    Attributes:
        interrupted: Whether to ask all of them to save and stop.
        shown: The lowest level of their log that stderr shows.
        log_file: Also gets what stderr shows of each.
        logs: Folder of a log for each, by the trial's name; None: only its run has one.
        memory: Of this process and all of them together.
    """

    interrupted: Callable[[], bool]
    shown: int = logging.WARNING
    log_file: Path | None = None
    logs: Path | None = None
    memory: JobMemory = field(default_factory=JobMemory)
    _children: Children = field(default_factory=Children)
    _asked_to_stop: bool = False
    _has_started: bool = False

    def ask(
        self, trial: Trial, record: Path, options: JobOptions, follower: Follower
    ) -> TrainingJob | None:
        """Link a trial's record if nothing needs to be trained; else return what does.

        As `ask_store`, but what has to be prepared or downloaded first is a child's work.
        """
        layout = options.layout
        if trial.empty is None and not is_prepared(trial, layout):
            self._answer_of(trial, self.call(trial, lambda: prepare_and_answer(trial, layout)))
        return ask_store(trial, record, options, follower)

    def start(self, key: Any, job: TrainingJob) -> None:
        """Start a training in a child; raises OSError where there is no place for another one."""
        job.follower.start()  # one for all children
        self._load(job)
        job.memory_mb = lambda: self.memory.mb
        startup = None if self._has_started else time.process_time()
        self._has_started = True
        job.startup = lambda: startup
        self._children.start(key, lambda: self._train(job))

    def wait(self) -> Mapping[Any, End]:
        """Wait a moment, or until one ends; returns those that have ended.

        The answer of one that was not killed is an `Answer`.
        """
        if self.interrupted() and not self._asked_to_stop:
            self._asked_to_stop = True
            self._children.signal(SIGTERM)
        self.memory.measure([os.getpid(), *self._children.pids])
        return self._children.wait(SECONDS_BETWEEN_LOOKS)

    def train(self, job: TrainingJob) -> bool:
        """Train, and wait for the end; returns whether anything was trained.

        Raises:
            Crashed: The child was killed, twice.
            ResweepError: What the training raised.
        """
        return retry_once(lambda: self._train_and_wait(job))

    def _train_and_wait(self, job: TrainingJob) -> bool:
        self.start(job.run_id, job)
        while not (ended := self.wait()):
            pass
        (end,) = ended.values()
        return self._answer_of(job.trial, end)

    def _answer_of(self, trial: Trial, end: End) -> bool:
        if end.answer is not None:
            return trained(ANSWER.validate_python(end.answer))
        text = f"trial {trial.trial}: its process {end.text}"
        raise Interrupted(text) if self.interrupted() else Crashed(text)

    def stop(self) -> None:
        """Have all of them save and stop, and wait until they have."""
        self._children.signal(SIGTERM)
        while len(self._children):
            self._children.wait(SECONDS_BETWEEN_LOOKS)

    def call(self, trial: Trial, work: Callable[[], Any]) -> End:
        """Do something for a trial in a child that does not train, and wait for it.

        It is killed when the trainings are to stop.
        """

        def be_child() -> Answer:
            self._log(trial)
            return self._answered(work)

        child, stopped = Children(), False
        child.start(None, be_child)
        while True:
            for end in child.wait(SECONDS_BETWEEN_LOOKS).values():
                return end
            if self.interrupted() and not stopped:
                stopped = True
                child.signal(SIGTERM)

    def _load(self, job: TrainingJob) -> None:
        """Import what a training needs; what is imported already takes no time."""
        before = len(sys.modules)
        import resweep.store.advance  # noqa: F401
        from resweep.training.clock import core_flops

        with contextlib.suppress(Exception):  # raised again in its child, and reported there
            job.goal.system.load(job.goal.config)
        core_flops()  # else each of them measures it
        if len(sys.modules) > before:
            gc.collect()
            gc.freeze()  # else the collector of each child copies the pages of all objects

    def _train(self, job: TrainingJob) -> Answer:
        """Be the child that trains."""
        signals = watch_signals()
        self._log(job.trial)
        log.info("%s", job.trial.line)
        return self._answered(
            lambda: job.run(interrupted=lambda: bool(signals), on_run=log_in_store)
        )

    def _log(self, trial: Trial) -> None:
        """Show the warnings of a child under its trial's name, and log all that it says."""
        name = f"{trial.study}/{trial.phase}/{trial.trial}"
        show_log(f"{name}: ", level=self.shown)
        if self.log_file is not None:
            shown = name.replace("%", "%%")
            handler = add_log_file(self.log_file, f"%(asctime)s %(levelname)s {shown}: %(message)s")
            if handler is not None:
                handler.setLevel(self.shown)
        if self.logs is not None:
            add_log_file(self.logs / f"{trial.trial}.log")

    def _answered(self, work: Callable[[], Any]) -> Answer:
        """Return the answer of a child that does some work: what it returned, or raised."""
        try:
            return answer_of(bool(work()))
        except Exception as error:
            text = line_of(error)
            self._be_quiet()
            level = logging.INFO if isinstance(error, Interrupted) else logging.ERROR
            log.log(level, "%s", text)
            return answer_of_error(error, text)

    def _be_quiet(self) -> None:
        """Leave what is said on stderr, and in the log of all, to who started this."""
        for handler in logging.getLogger().handlers:
            if handler.level >= self.shown:
                handler.setLevel(logging.CRITICAL)
