"""Trainings in forked children of one warm process.

    parent   asks the store, imports what trainings need, forks; never uses a GPU itself
    child    one training: its lock, GPU, W&B, log and record; then it ends

Packs and workers train through this.
"""

import gc
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Any

from resweep.errors import ResweepError
from resweep.jobs.job_log import log_in_store, show_log, text_of
from resweep.jobs.train_trial import TrainingJob, retry_once
from resweep.machine.answer import ANSWER, Answer, answer_of, answer_of_error, trained
from resweep.machine.children import Children, End
from resweep.machine.launch import Crashed
from resweep.machine.log_file import add_log_file
from resweep.machine.memory import JobMemory
from resweep.machine.signals import watch_signals

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

    def __len__(self) -> int:
        return len(self._children)

    def start(self, key: Any, job: TrainingJob) -> None:
        """Start a training in a child."""
        job.follower.start()  # one for all children
        self._load(job)
        job.memory_mb = lambda: self.memory.mb
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
        if end.answer is None:
            raise Crashed(f"trial {job.trial.trial}: its process {end.text}")
        return trained(ANSWER.validate_python(end.answer))

    def _load(self, job: TrainingJob) -> None:
        """Import what a training needs; what is imported already takes no time."""
        before = len(sys.modules)
        from resweep.training.clock import core_flops

        job.goal.system.load(job.goal.config)
        core_flops()  # else each of them measures it
        if len(sys.modules) > before:
            gc.collect()
            gc.freeze()  # else the collector of each child copies the pages of all objects

    def _train(self, job: TrainingJob) -> Answer:
        """Be the child that trains."""
        trial = job.trial
        signals = watch_signals()
        show_log(f"{trial.study}/{trial.phase}/{trial.trial}: ", level=self.shown)
        if self.log_file is not None:
            handler = add_log_file(self.log_file)
            if handler is not None:
                handler.setLevel(self.shown)
        if self.logs is not None:
            add_log_file(self.logs / f"{trial.trial}.log")
        log.info("%s", trial.line)
        try:
            return answer_of(job.run(interrupted=lambda: bool(signals), on_run=log_in_store))
        except (ResweepError, OSError) as error:
            text = text_of(error)
            log.log(self.shown - 1, "%s", text)  # stderr gets it from who started this
            return answer_of_error(error, text)
        except Exception as error:
            log.exception("training failed")
            return answer_of_error(error, f"{type(error).__name__}: {error}")
