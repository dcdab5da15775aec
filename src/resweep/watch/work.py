"""The time that a phase still takes, by the steps that are left.

steps of each training that has no record     the most where a job decides later what it trains
x seconds of a step                           of this phase's records; else of what it trains
                                              now; else of the store's runs of this kind; else
                                                  of the phase before, by their FLOPs
/ trainings at once, stage by stage           a stage takes at least its longest training
"""

import statistics
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

from resweep.config import compose
from resweep.data import store as data_store
from resweep.paths import Layout
from resweep.report.measured import Measured
from resweep.report.possible import possible_configs
from resweep.search.stages import Stage
from resweep.study.packs import size_key
from resweep.study.study import Phase
from resweep.systems.registry import system_of
from resweep.watch.live_runs import LiveRun
from resweep.watch.trial_states import PhaseRecords

LIKE = 32  # records whose speed counts


@dataclass(frozen=True)
class Pace:
    """How fast a phase trains: seconds and FLOPs of a step."""

    seconds: float
    flops: float


@dataclass(frozen=True)
class Left:
    """What is left of a phase.

    Attributes:
        steps: Of all its trainings, at most.
        seconds: Until it is trained, with as many trainings at once as now; None if no training
            like it was measured.
        pace: What this rests on.
    """

    steps: int
    seconds: float | None
    pace: Pace | None = None


class PhaseWork:
    """The work of a phase.

    Args:
        phase: The phase.
        layout: Of the results folder.
    """

    def __init__(self, phase: Phase, layout: Layout):
        self._phase = phase
        self._layout = layout
        self._steps: dict[Hashable, int] = {}

    def left(
        self,
        records: PhaseRecords,
        live: Mapping[str, LiveRun],
        at_once: int,
        measured: Measured,
        before: Pace | None,
    ) -> Left:
        """Return what is left.

        Args:
            records: Of the phase.
            live: What is trained now, by trial.
            at_once: How many trainings run at once.
            measured: The speeds of the store's runs.
            before: Of the phase before.
        """
        by_stage = [self._steps_left(stage, records, live) for stage in self._phase.stages]
        total = sum(map(sum, by_stage))
        step = self._step_seconds(records, live)
        if step is None and total:
            step = self._as_measured(measured)
        if step is None and before is not None and self._flops:
            step = before.seconds * self._flops / before.flops
        pace = Pace(step, self._flops) if step and self._flops else None
        if step is None:
            return Left(total, None if total else 0.0)
        seconds = sum(max([sum(left) / at_once, *left]) * step for left in by_stage)
        return Left(total, seconds, pace)

    def until(self, stage: Stage, trial: str) -> int:
        """Return how far a trial is trained at a stage, counted from step 0."""
        before = self._phase.stages[: self._phase.stages.index(stage) + 1]
        of_round = (one for one in before if one.round == stage.round)
        return sum(self.steps(one, trial) for one in of_round)

    def steps(self, stage: Stage, name: str) -> int:
        """Return the steps of a slot of a stage; the most where a job decides what it trains."""
        if not self._phase.is_known(stage):
            return self._of_possible(stage)
        assigned = self._phase.assigned(name)
        key = (stage.name, size_key(assigned))
        if key not in self._steps:
            config = compose.assign(self._phase.config, assigned)
            self._steps[key] = self._steps_of(stage, config)
        return self._steps[key]

    def _of_possible(self, stage: Stage) -> int:
        if stage.name not in self._steps:
            most = max(self._steps_of(stage, config) for config in self._possible)
            if most == 0:
                return 0  # its data is not prepared: asked again
            self._steps[stage.name] = most
        return self._steps[stage.name]

    @cached_property
    def _possible(self) -> list[dict[str, object]]:
        return possible_configs(self._phase)

    def _steps_of(self, stage: Stage, config: Mapping[str, object]) -> int:
        system = system_of(config)
        try:
            horizon = system.steps_of(config, None)
            if not horizon:
                data = data_store.find(system, config["data"], self._layout)  # type: ignore[arg-type]
                horizon = system.steps_of(config, data)
            return self._phase.steps_at(stage, config, horizon) if horizon else 0
        except ValueError:  # it cannot be trained
            return 0

    def _steps_left(
        self, stage: Stage, records: PhaseRecords, live: Mapping[str, LiveRun]
    ) -> list[int]:
        """Return the steps left of each training of a stage without a record."""
        done = records.at(stage)
        left = {name: self.steps(stage, name) for name in stage.names if name not in done}
        training = [
            max(0, self.until(stage, trial) - run.step)
            for trial, run in live.items()
            if records.stage_of(trial) is stage and trial not in records.final
        ]
        # Slots of later rungs have numbers: any of those without a record may be the one.
        waiting = sorted(left.values(), reverse=True)[len(training) :]
        return [*training, *waiting]

    def _step_seconds(self, records: PhaseRecords, live: Mapping[str, LiveRun]) -> float | None:
        ended = [
            record.seconds / record.step
            for record in list(records.final.values())[-LIKE:]
            if record.seconds and record.step
        ]
        if ended:
            return statistics.median(ended)
        speeds = [run.speed for run in live.values() if run.speed]
        if speeds:
            return 1 / statistics.median(speeds)
        return None

    @cached_property
    def _flops(self) -> float:
        """FLOPs of a step; 0 where it cannot be trained."""
        try:
            return float(system_of(self._phase.config).cost(self._phase.config, None).step_flops)
        except ValueError:
            return 0.0

    def _as_measured(self, measured: Measured) -> float | None:
        config = self._phase.config
        steps = self._steps_of(self._phase.stages[-1], config)
        if not steps or not self._flops:
            return None
        seconds = measured.seconds(config, self._flops, steps)
        return seconds / steps if seconds is not None else None
