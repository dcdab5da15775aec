"""A worker: advances the trials of a sweep straight in the run store, beside others.

    stage -> its trials -> claim one that nobody works on -> advance its run -> ... -> next stage

Workers on one machine, on several with a shared file system, and a workflow that builds the same
study share nothing but files: the lock of a run is the claim on its trial, and what one of them
finished is a link for the others. Rounds and rungs are filled by the same functions as in the
workflow; a round by whoever comes first, under a lock, into the file of proposals that the workflow
reads as well. Nothing is written where the workflow declares its results: it finds the runs in the
store.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from resweep.agents.sweep_study import SweepStudy
from resweep.errors import ConfigError, DataError, Interrupted, LockTimeout, Problem
from resweep.paths import Layout
from resweep.search.promote import promote
from resweep.search.rounds import propose_round
from resweep.search.stages import Stage
from resweep.store.answer import ToTrain, prepare_and_answer
from resweep.store.lock import RunLock
from resweep.store.run import Run
from resweep.study.kinds.sweep_phase import SweepPhase
from resweep.trials.record import read_record
from resweep.trials.trial import Outcome, Trial

POLL_SECONDS = 1.0  # between looks at trials that others train
NOTICE_SECONDS = 30.0  # between lines about waiting
MOST_IDLE_PASSES = 3  # in which a sweep without run_cap grew, and nothing was there to train

log = logging.getLogger(__name__)

Train = Callable[[Trial, Path, str], bool]
Slot = tuple[str, Trial]


@dataclass(kw_only=True)
class Worker:
    """One of the processes that work on a sweep.

    Attributes:
        sweep: What to work on.
        layout: Of the results folder.
        train: Advances a trial, with the record to write and whose weights stay; says whether it
            was trained now, and raises LockTimeout at once where another process trains it.
        count: How many trials to take; None: all there are.
        interrupted: Whether to leave.
        taken: Names of the trials that it took.
        exhausted: Why a search proposes nothing more, once it does not.
    """

    sweep: SweepStudy
    layout: Layout
    train: Train
    count: int | None = None
    interrupted: Callable[[], bool] = field(default=lambda: False)
    taken: list[str] = field(default_factory=list)
    exhausted: str | None = None
    _noticed: float = field(default_factory=time.monotonic)

    def work(self) -> bool:
        """Work until there is nothing to take; says whether the whole sweep is done.

        A worker that has taken its count stays until its round is over, since rungs go on with
        trials that were taken before. A sweep without run_cap grows by what the counts ask for.

        Raises:
            Interrupted: Told to leave; what was trained is saved.
            ConfigError: Nothing says how many trials there are.
        """
        if not self.sweep.open_ended:
            return self._work_through(self.sweep.phase())
        if self.count is None:
            hint = "is missing: the sweep has no run_cap, so say how many trials to take"
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
                why = self.exhausted or "new trials are known to the store, or cannot be trained"
                log.warning("sweep %s: no more to take: %s", self.sweep.id, why)
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
        """Return the trials of a stage, in view of all stages before it and of the latest."""
        if not stage.first:
            before = phase.stages[phase.stages.index(stage) - 1]
            return promote(phase.rung_plan(before), latest)[0]
        if phase.search is not None:
            tables = phase.warm_start_tables(self.layout)
            return propose_round(phase.round_plan(stage), known, tables, self.layout)
        return [phase.known_trial(name, stage) for name in stage.names]

    def _advance(
        self, phase: SweepPhase, stage: Stage, trials: Sequence[Trial]
    ) -> list[Outcome] | None:
        """Have the records of a stage; None where trials are left to others."""
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
            if waiting and self._is_left_to_others(phase, stage, waiting):
                return None
            if len(waiting) == len(pending):
                time.sleep(POLL_SECONDS)
            pending = waiting
        return [outcomes[slot] for slot in stage.slots]

    def _try(self, phase: SweepPhase, stage: Stage, slot: str, trial: Trial) -> Outcome | None:
        """Advance one trial; None where another process trains it, or it is not ours to take."""
        if self.interrupted():
            raise Interrupted(f"sweep {self.sweep.id}: left; the same command goes on")
        if stage.first and not self._may_take and run_to_train(trial, self.layout) is not None:
            return None
        record = self.sweep.folder.record(slot)
        try:
            trained = self.train(trial, record, phase.keep_at(stage))
        except LockTimeout as error:
            self._notice(slot, error)
            return None
        if trial.empty is not None:
            self.exhausted = trial.empty
        if trained and stage.first:  # not by one who was faster
            self.taken.append(trial.trial)
        outcome = Outcome(trial, read_record(record), record)
        if trained:
            end = outcome.record
            log.info("trial %s: %s at step %s", trial.trial, end.status, end.step)
        return outcome

    def _notice(self, slot: str, held: LockTimeout) -> None:
        """Say now and then what is waited for."""
        if time.monotonic() - self._noticed > NOTICE_SECONDS:
            self._noticed = time.monotonic()
            log.info("sweep %s: others train %s: %s", self.sweep.id, slot, held)

    def _is_left_to_others(self, phase: SweepPhase, stage: Stage, waiting: Sequence[Slot]) -> bool:
        """Whether waiting leads nowhere: nobody trains what is left, or there is more to take."""
        if self._may_take:
            return self.sweep.open_ended and phase.search is None
        runs = [run_to_train(trial, self.layout) for _, trial in waiting]
        return any(run is not None and not is_held(run) for run in runs)


def run_to_train(trial: Trial, layout: Layout) -> Run | None:
    """Return the run that a trial would advance; None where the store, or nothing, answers it."""
    if trial.empty is not None:
        return None
    try:
        found = prepare_and_answer(trial, layout)
    except DataError:
        return None  # its record will say so
    return found.run if isinstance(found, ToTrain) else None


def is_held(run: Run) -> bool:
    """Whether another process advances a run now."""
    if not run.path.exists():
        return False
    try:
        with RunLock(run.path, timeout=0.0):
            return False
    except LockTimeout:
        return True
