"""A worker: advances the trials of a sweep directly in the run store, next to other workers.

    stage -> its trials -> claim one that nobody works on -> advance its run -> ... -> next stage

Workers on one machine, on several with a shared file system, and a workflow that builds the same
study share only files: the lock of a run is the claim on its trial, and what one of them finished
is a link for the others. Rounds and rungs are filled by the same functions as in the workflow; the
first to need a round fills it, under a lock, into the file of proposals that the workflow reads as
well. Nothing is written where the workflow declares its results: it finds the runs in the store.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from resweep.agents.sweep_study import SweepStudy
from resweep.errors import ConfigError, DataError, Interrupted, LockTimeout, Problem
from resweep.files import may_write
from resweep.paths import Layout
from resweep.search.promote import promote
from resweep.search.rounds import propose_round
from resweep.search.stages import Stage
from resweep.store.answer import ToTrain, prepare_and_answer
from resweep.store.lock import RunLock
from resweep.store.outcome import OutcomeReader
from resweep.store.run import Run
from resweep.study.kinds.sweep_phase import SweepPhase
from resweep.trials.record import read_record
from resweep.trials.trial import Outcome, Trial

POLL_SECONDS = 1.0  # between looks at trials that others train
NOTICE_SECONDS = 30.0  # between lines about waiting
MOST_IDLE_PASSES = 3  # in which a sweep without run_cap grew, but there was nothing to train

log = logging.getLogger(__name__)

Train = Callable[[Trial, Path, str], bool]
Slot = tuple[str, Trial]


@dataclass(kw_only=True)
class Worker:
    """One of the processes that work on a sweep.

    Attributes:
        sweep: What to work on.
        layout: Of the results folder.
        train: Advances a trial, given the record to write and which weights to keep; returns
            whether it was trained now, and raises LockTimeout if another process trains it.
        count: How many trials to take; None: all.
        interrupted: Whether to stop.
        taken: Names of the trials that it took.
        exhausted: Why a search has no more proposals, or None.
    """

    sweep: SweepStudy
    layout: Layout
    train: Train
    count: int | None = None
    interrupted: Callable[[], bool] = field(default=lambda: False)
    taken: list[str] = field(default_factory=list)
    exhausted: str | None = None
    _shown: set[str] = field(default_factory=set)  # slots whose settings were logged
    _held: set[str] = field(default_factory=set)  # slots that others were found to train
    _noticed: float = field(default_factory=time.monotonic)

    def work(self) -> bool:
        """Work until there is nothing to take; returns whether the whole sweep is done.

        A worker that has taken its count stays until its round is over, since rungs continue
        trials that were taken before. A sweep without run_cap grows by the workers' counts.

        Raises:
            Interrupted: Asked to stop; what was trained is saved.
            ConfigError: The number of trials is not given.
        """
        if not self.sweep.open_ended:
            return self._work_through(self.sweep.phase())
        if self.count is None:
            hint = "is missing: the sweep has no run_cap, so give the number of trials to take"
            raise ConfigError(Problem(str(self.sweep.folder.study), "--count", None, hint))
        self.sweep.ask_for(self.count)
        idle = 0
        while True:
            before, phase = len(self.taken), self.sweep.phase()
            done = self._work_through(phase)
            missing = self.count - len(self.taken)
            if missing == 0:
                return done
            idle = 0 if len(self.taken) > before else idle + 1
            if self.exhausted is not None or idle > MOST_IDLE_PASSES:
                why = self.exhausted or "new trials are in the store, or cannot be trained"
                log.warning("sweep %s: no more trials to take: %s", self.sweep.id, why)
                return done
            self.sweep.ask_for_more(missing, len(phase.trials))

    @property
    def _may_take(self) -> bool:
        return self.count is None or len(self.taken) < self.count

    def _work_through(self, phase: SweepPhase) -> bool:
        known: list[Outcome] = []
        latest: list[Outcome] = []
        for stage in phase.stages:
            if stage.first and not self._may_take:
                return False
            outcomes = self._advance(phase, stage, self._fill(phase, stage, known, latest))
            if outcomes is None:
                return False
            latest = outcomes
            known += outcomes
        return True

    def _fill(
        self, phase: SweepPhase, stage: Stage, known: list[Outcome], latest: list[Outcome]
    ) -> list[Trial]:
        """Return the trials of a stage, given the results of all stages before it."""
        if not stage.first:
            before = phase.stages[phase.stages.index(stage) - 1]
            return promote(phase.rung_plan(before), latest)[0]
        if phase.search is not None:
            tables = phase.warm_start_tables(self.layout)
            read = OutcomeReader(self.layout).read
            return propose_round(phase.round_plan(stage), known, tables, self.layout, read)
        return [phase.known_trial(name, stage) for name in stage.names]

    def _advance(
        self, phase: SweepPhase, stage: Stage, trials: Sequence[Trial]
    ) -> list[Outcome] | None:
        """Return the outcomes of a stage; None if trials are left to others."""
        pending = list(zip(stage.slots, trials, strict=True))
        outcomes: dict[str, Outcome] = {}
        while pending:
            waiting: list[Slot] = []
            for slot, trial in pending:
                outcome = self._try(phase, stage, slot, trial)
                if outcome is None:
                    waiting.append((slot, trial))
                else:
                    outcomes[slot] = outcome
            if waiting and self._is_left_to_others(phase, waiting):
                return None
            if len(waiting) == len(pending):
                time.sleep(POLL_SECONDS)
            pending = waiting
        return [outcomes[slot] for slot in stage.slots]

    def _try(self, phase: SweepPhase, stage: Stage, slot: str, trial: Trial) -> Outcome | None:
        """Advance one trial; None if another process trains it, or it is not ours to take."""
        if self.interrupted():
            raise Interrupted("stopped; the same command continues")
        if stage.first and not self._may_take and run_to_train(trial, self.layout) is not None:
            return None
        record = self.sweep.folder.record(slot)
        if slot not in self._shown:
            self._shown.add(slot)
            log.info("%s", trial.line)
        try:
            trained = self.train(trial, record, phase.keep_at(stage))
        except LockTimeout as error:
            self._notice(slot, trial, error)
            return None
        if trial.empty is not None:
            self.exhausted = trial.empty
        if trained and stage.first:  # not if another process was faster
            self.taken.append(trial.trial)
        if not trained and slot in self._held:
            log.info("trial %s: trained by another process", trial.trial)
        return Outcome(trial, read_record(record), record)

    def _notice(self, slot: str, trial: Trial, held: LockTimeout) -> None:
        """Log once that another process is training a trial, and now and then what it waits for."""
        if slot not in self._held:
            self._held.add(slot)
            log.info("trial %s: another process is training it", trial.trial)
        elif time.monotonic() - self._noticed > NOTICE_SECONDS:
            log.info("waiting for trial %s: %s", trial.trial, held)
        else:
            return
        self._noticed = time.monotonic()

    def _is_left_to_others(self, phase: SweepPhase, waiting: Sequence[Slot]) -> bool:
        """Whether waiting is useless: nobody trains the rest, or there are other trials to take."""
        if self._may_take:
            return self.sweep.open_ended and phase.search is None
        runs = [run_to_train(trial, self.layout) for _, trial in waiting]
        return any(run is not None and not is_held(run) for run in runs)


def run_to_train(trial: Trial, layout: Layout) -> Run | None:
    """Return the run that a trial would advance; None if it needs no training."""
    if trial.empty is not None:
        return None
    try:
        found = prepare_and_answer(trial, layout)
    except DataError:
        return None  # its record will have the error
    return found.run if isinstance(found, ToTrain) else None


def is_held(run: Run) -> bool:
    """Whether another process advances a run now."""
    if not may_write(run.path):  # there is none yet, or it is not ours to train
        return False
    try:
        with RunLock(run.path, timeout=0.0):
            return False
    except LockTimeout:
        return True
