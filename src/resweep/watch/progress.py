"""How far a study is: a value for each look at its files, which screens and lines show."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from resweep.config.metric import sign_of
from resweep.errors import ResweepError
from resweep.paths import Layout
from resweep.ranking.selection import short_name
from resweep.report.measured import Measured
from resweep.store.answer import Served, ToTrain, answer
from resweep.study.deciding import deciding_phase
from resweep.study.study import Phase, Study
from resweep.systems.registry import system_of
from resweep.trials.trial import Trial, read_trial
from resweep.watch.live_runs import LiveRun, LiveRuns
from resweep.watch.trial_states import Open, PhaseRecords
from resweep.watch.work import Left, Pace, PhaseWork

MEASURED_AGAIN = 60.0  # seconds
LOOKS = 8  # of which the most trainings at once count: between two trainings there are fewer


@dataclass(frozen=True, kw_only=True)
class Training:
    """A trial that is being trained.

    Attributes:
        phase, trial: Its names.
        step, until: How far it is, and how far it is trained now.
        speed: Steps a second; None before its first logged step.
        value: The last one of the phase's metric, or None.
        settings: What it varies: name -> value.
    """

    phase: str
    trial: str
    step: int
    until: int
    speed: float | None
    value: float | None
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best trial of a phase so far: `value` is the last one of the phase's metric."""

    phase: str
    trial: str
    metric: str
    value: float
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PhaseProgress:
    """How far a phase is.

    Attributes:
        name, kind: As in the study.
        states: How many trials are in each state: running, waiting, or the status of a record.
        rungs: Where it has rungs: slots with a record, and all slots, by stage. Else empty.
        packs: How many of its jobs that serve several trials are done, and how many there are.
        best: Its best trial with a result; None before one has.
        left: The work that is left.
        is_ranked: Whether its ranking is written.
    """

    name: str
    kind: str
    states: Mapping[str, int]
    rungs: Mapping[str, tuple[int, int]]
    packs: tuple[int, int]
    best: Best | None
    left: Left
    is_ranked: bool

    @property
    def trials(self) -> int:
        """How many trials it has."""
        return sum(self.states.values())

    @property
    def ended(self) -> int:
        """How many trials have ended, however."""
        return self.trials - self.states.get(Open.RUNNING, 0) - self.states.get(Open.WAITING, 0)


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """How far a study is.

    Attributes:
        name: Of the study.
        phases: In order.
        training: The trials that are being trained, in the order of the phases.
        steps: That are left, at most.
        seconds: That the trainings left take, with as many at once as now; None if unknown.
        is_complete: Whether all trials have ended, and the report is written.
    """

    name: str
    phases: tuple[PhaseProgress, ...]
    training: tuple[Training, ...]
    steps: int
    seconds: float | None
    is_complete: bool

    @property
    def trials(self) -> int:
        """How many trials it has."""
        return sum(phase.trials for phase in self.phases)

    @property
    def ended(self) -> int:
        """How many trials have ended, however."""
        return sum(phase.ended for phase in self.phases)

    @property
    def best(self) -> Best | None:
        """The best trial of the phase that decides, so far."""
        known = [phase for phase in self.phases if phase.best]
        return deciding_phase(known).best if known else None


class StudyWatch:
    """Looks at the files of a study.

    Args:
        study: The study.
        layout: Of the results folder.
    """

    def __init__(self, study: Study, layout: Layout):
        self.study = study
        self._layout = layout
        self._runs = LiveRuns(layout)
        self._records = {phase.name: PhaseRecords(phase, layout) for phase in study.phases}
        self._work = {phase.name: PhaseWork(phase, layout) for phase in study.phases}
        self._settings: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._asked: dict[str, set[str]] = {phase.name: set() for phase in study.phases}
        self._claims: dict[str, list[tuple[str, str]]] = {}  # of trials that claim no weights
        self._measured = Measured(layout)
        self._since = time.monotonic()
        self._at_once: list[int] = []

    def look(self) -> StudyProgress:
        """Return how far it is now."""
        live = self._live()
        self._at_once = [*self._at_once, sum(map(len, live.values()))][-LOOKS:]
        if time.monotonic() - self._since > MEASURED_AGAIN:
            self._measured, self._since = Measured(self._layout), time.monotonic()
        phases: list[PhaseProgress] = []
        pace: Pace | None = None
        for phase in self.study.phases:
            phases.append(self._look_at(phase, live[phase.name], pace))
            pace = phases[-1].left.pace or pace
        seconds = [phase.left.seconds for phase in phases]
        folder = self._layout.study(self.study.name)
        ended = all(phase.ended == phase.trials and phase.is_ranked for phase in phases)
        return StudyProgress(
            name=self.study.name,
            phases=tuple(phases),
            training=tuple(self._trainings(live)),
            steps=sum(phase.left.steps for phase in phases),
            seconds=None if None in seconds else sum(one for one in seconds if one is not None),
            is_complete=ended and folder.report.exists(),
        )

    def _live(self) -> dict[str, dict[str, LiveRun]]:
        """Return the runs that are being trained for trials without a record, by phase."""
        found: dict[str, dict[str, LiveRun]] = {phase.name: {} for phase in self.study.phases}
        for records in self._records.values():
            records.look()
        name = self.study.name
        for run in self._runs.look():
            claims = [(phase, trial) for study, phase, trial in run.places if study == name]
            for phase, trial in claims or self._unclaimed(run.run_id):
                if phase in found and trial not in self._records[phase].final:
                    found[phase][trial] = run
        return found

    def _unclaimed(self, run_id: str) -> list[tuple[str, str]]:
        """Return the trials of phases that keep no weights, and so claim no run, that want one."""
        if run_id not in self._claims:
            for phase in self.study.phases:
                if phase.keep == "none":
                    self._ask(phase)
        return self._claims.get(run_id, [])

    def _ask(self, phase: Phase) -> None:
        """Look up the runs of the trials of a phase, each once."""
        records = self._records[phase.name]
        for trial in phase.trials:
            if trial in self._asked[phase.name] or trial in records.final:
                continue
            try:
                found = answer(self._trial(phase, trial), self._layout)
            except (ResweepError, OSError):  # a job has yet to write what it trains
                continue
            if isinstance(found, Served | ToTrain):
                self._claims.setdefault(found.run.run_id, []).append((phase.name, trial))
                self._asked[phase.name].add(trial)

    def _trial(self, phase: Phase, trial: str) -> Trial:
        """Return what a trial trains; raises ConfigError before a job has written it."""
        first = next(stage for stage in phase.stages if stage.first and trial in stage.names)
        if phase.is_known(first):
            return phase.known_trial(trial, first)
        return read_trial(self._layout.trial(phase.study, phase.name, first.slot(trial)))

    def _look_at(
        self, phase: Phase, live: Mapping[str, LiveRun], before: Pace | None
    ) -> PhaseProgress:
        records = self._records[phase.name]
        states = records.states(live)
        packs = [
            all(name in records.at(stage) for name in pack.names)
            for stage in phase.stages
            for pack in phase.packs[stage.name]
            if not pack.is_alone
        ]
        has_rungs = any(not stage.last for stage in phase.stages)
        at_once = max([1, *self._at_once])
        return PhaseProgress(
            name=phase.name,
            kind=phase.kind,
            states=Counter(states.values()),
            rungs={
                stage.name: (len(records.at(stage)), len(stage.names))
                for stage in phase.stages
                if has_rungs
            },
            packs=(sum(packs), len(packs)),
            best=self._best(phase),
            left=self._work[phase.name].left(records, live, at_once, self._measured, before),
            is_ranked=records.folder.scores.exists(),
        )

    def _best(self, phase: Phase) -> Best | None:
        """Return the best trial with a result."""
        sign, known = sign_of(phase.goal), set(phase.trials)
        values = {
            trial: record.value(phase.metric)
            for trial, record in self._records[phase.name].final.items()
            if record.has_result and trial in known
        }
        ranked = sorted(
            (sign * value, trial) for trial, value in values.items() if value is not None
        )
        if not ranked:
            return None
        value, trial = ranked[0]
        return Best(
            phase=phase.name,
            trial=trial,
            metric=phase.metric,
            value=sign * value,
            settings=self._varied(phase, trial),
        )

    def _trainings(self, live: Mapping[str, Mapping[str, LiveRun]]) -> Iterator[Training]:
        for phase in self.study.phases:
            for trial, run in sorted(live[phase.name].items()):
                stage = self._records[phase.name].stage_of(trial)
                ends = [self._work[phase.name].until(stage, trial), run.max_steps]
                yield Training(
                    phase=phase.name,
                    trial=trial,
                    step=run.step,
                    until=min((end for end in ends if end), default=0),
                    speed=run.speed,
                    value=run.metrics.get(phase.metric),
                    settings=self._varied(phase, trial),
                )

    def _varied(self, phase: Phase, trial: str) -> Mapping[str, Any]:
        """Return what a trial varies, by short names."""
        key = (phase.name, trial)
        if key not in self._settings:
            assigned: Mapping[str, Any] = phase.assigned(trial)
            if not assigned:
                try:
                    assigned = self._trial(phase, trial).assignments
                except (ResweepError, OSError):
                    return {}
            schema = system_of(phase.config).schema
            named = {short_name(path, schema): value for path, value in sorted(assigned.items())}
            self._settings[key] = named
        return self._settings[key]
