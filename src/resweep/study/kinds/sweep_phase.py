"""A loaded sweep: its trials or rounds, its rungs, and the jobs that fill them.

grid, random     trials, named by what is swept: known before any job
bayes            rounds of numbered slots, each suggested from the results of those before
with rungs       numbered slots of a rung, filled by the trials that continue from the one before
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.paths import Layout
from resweep.search.promote import RungPlan
from resweep.search.rounds import RoundPlan
from resweep.search.rungs import step_of
from resweep.search.stages import Stage, lay_out
from resweep.study.files import (
    data_stamps,
    rung_decisions,
    stage_records,
    stage_trials,
)
from resweep.study.fill import Fill
from resweep.study.study import Phase, distinct
from resweep.sweep import EarlyTerminate, Parameter
from resweep.systems.registry import metric_of, system_of
from resweep.trials.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Search:
    """How the rounds of a Bayesian sweep are filled.

    Attributes:
        rounds: Names of each round's trials.
        round_size: Trials of a whole round.
        parameters: The space; names are full paths.
        sampler: auto, gp or tpe.
        seed: What each round's own seed is derived from.
        target: Value of the metric at which the search ends, or None.
        warm_start: Earlier phases (`sweep`, `study/sweep`) and CSV files to start from.
    """

    rounds: tuple[tuple[str, ...], ...]
    round_size: int
    parameters: tuple[Parameter, ...]
    sampler: str
    seed: int
    target: float | None
    warm_start: tuple[str, ...]


@dataclass(frozen=True)
class Rungs:
    """How trials are stopped early.

    Attributes:
        rule: Which trials continue.
        bands: Logged values of the metric to train to.
    """

    rule: EarlyTerminate
    bands: tuple[int, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """The rule as plain values, without those that it does not set."""
        return {name: value for name, value in asdict(self.rule).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class SweepPhase(Phase):
    """A sweep.

    Attributes:
        space: What is swept; names are full paths.
        assignments: Of grid and random: for each trial, path -> value of what is swept.
        search: Of bayes: how it is filled.
        rungs: How its trials are stopped early, or None.
    """

    kind: ClassVar[str] = "sweep"

    space: tuple[Parameter, ...] = ()
    assignments: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    search: Search | None = None
    rungs: Rungs | None = None

    @property
    def trials(self) -> list[str]:
        """Names of the trials: hashes of what is swept, or numbers of slots by round."""
        if self.search is not None:
            return [name for names in self.search.rounds for name in names]
        return list(self.assignments)

    @property
    def settings(self) -> dict[str, Any]:
        """What a sweep adds to the phase."""
        return {
            "space": [parameter.content for parameter in self.space],
            "rounds": len(self.search.rounds) if self.search else None,
            "early_terminate": self.rungs.settings if self.rungs else None,
            "rungs": [list(pair) for pair in self.rung_sizes] or None,
        }

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Batches of trainings between which something is decided."""
        rounds = self.search.rounds if self.search else (tuple(self.trials),)
        rule, bands = (self.rungs.rule, self.rungs.bands) if self.rungs else (None, ())
        return lay_out(rounds, self.search is not None, rule, bands)

    @property
    def rung_sizes(self) -> list[tuple[int | None, int]]:
        """Band and slots of each rung of the first round; empty without rungs."""
        if self.rungs is None:
            return []
        return [(stage.rung.band, stage.rung.slots) for stage in self.stages if stage.round == 1]

    # What is known before any job

    def trial_config(self, trial: str) -> dict[str, Any]:
        """Return the configuration that a trial trains."""
        return compose.assign(self.config, self.assignments[trial])

    def varied(self) -> Iterable[Mapping[str, Any]]:
        """Yield the assignments; for a search, each extreme of a parameter by itself."""
        if self.search is None:
            return self.assignments.values()
        return [{p.name: value} for p in self.search.parameters for value in p.extremes]

    def trial_data(self, trial: str) -> dict[str, Any] | None:
        """Return the data settings of a trial; None if it is infeasible, or a job chooses them."""
        if not self._sweeps_data:
            return self.config["data"]  # one object for all
        if self.search is not None:
            return None
        config = self.trial_config(trial)
        if compose.infeasible(config, system_of(self.config).schema) is not None:
            return None
        return dict(config["data"])

    def data_settings(self) -> list[dict[str, Any]]:
        """Return the different data settings of the trials, as far as they are known."""
        if not self._sweeps_data:
            return [self.config["data"]]
        known = map(self.trial_data, self.trials)
        return distinct(settings for settings in known if settings is not None)

    @cached_property
    def _sweeps_data(self) -> bool:
        varied = self.assignments.values() if self.search is None else self.varied()
        return any(path.startswith("data.") for assigned in varied for path in assigned)

    def is_known(self, stage: Stage) -> bool:
        """Whether it is the first rung of a grid or random sweep."""
        return self.search is None and stage.first

    def known_trial(self, trial: str, stage: Stage) -> Trial:
        """Return a trial of the first rung of a grid or random sweep."""
        return Trial(
            self.study,
            self.name,
            trial,
            config=self.trial_config(trial),
            assignments=self.assignments[trial],
            stop=self.known_stop(trial, stage),
        )

    def known_stop(self, trial: str, stage: Stage) -> int | None:
        """Return the step of the first rung; None without rungs."""
        if stage.rung.band is None:
            return None
        config = self.trial_config(trial)
        return step_of(stage.rung.band, metric_of(config, self.metric), config["training"])

    def assigned(self, trial: str) -> dict[str, Any]:
        """Return what a trial of a grid or random sweep varies; nothing for a suggested one."""
        return dict(self.assignments.get(trial, {}))

    # What is filled by jobs

    def fills(self, layout: Layout) -> list[Fill]:
        """A job for each round that is suggested, and for each rung at which trials are stopped.

        After the last rung of a round, a job gives each trial the record of its own last rung.
        """
        return [fill for stage in self.stages for fill in self._fills(stage, layout)]

    def _fills(self, stage: Stage, layout: Layout) -> Iterator[Fill]:
        if stage.first and self.search is not None:
            yield Fill(
                verb="suggest",
                stage=stage.round_name,
                script="suggest.py",
                plan=canonical_json(self.round_plan(stage).content()),
                records=stage_records(layout, self, self.stages_before(stage)),
                inputs={
                    "warm_start": self.warm_start_tables(layout),
                    "data": data_stamps(layout, self),
                },
                outputs={"trials": stage_trials(layout, self, [stage])},
                passes=("warm_start", "trials"),
            )
        if not stage.last:
            yield Fill(
                verb="promote",
                stage=stage.name,
                script="promote.py",
                plan=canonical_json(self.rung_plan(stage).content()),
                records=stage_records(layout, self, [stage]),
                outputs={
                    "trials": stage_trials(layout, self, [self.following(stage)]),
                    "decisions": rung_decisions(layout, self, [stage]),
                },
                passes=("decisions", "trials"),
            )
        elif self.rungs is not None:
            stages = self.stages_of_round(stage)
            folder = layout.phase(self.study, self.name)
            yield Fill(
                verb="conclude",
                stage=stage.round_name,
                script="conclude.py",
                records=stage_records(layout, self, stages),
                inputs={"decisions": rung_decisions(layout, self, stages)},
                outputs={
                    "trials": [folder.trial(name) for name in stages[0].names],
                    "concluded": [folder.record(name) for name in stages[0].names],
                },
                passes=("decisions",),
            )

    def warm_start_tables(self, layout: Layout) -> list[Path]:
        """Return the tables that a Bayesian sweep starts from: rankings of phases, and files."""
        tables = []
        for source in self.search.warm_start if self.search else ():
            study, _, phase = source.rpartition("/")
            ranking = layout.phase(study or self.study, phase).scores
            tables.append(Path(source) if source.endswith(".csv") else ranking)
        return tables

    def round_plan(self, stage: Stage) -> RoundPlan:
        """Return what the trials of a round are proposed from, besides records."""
        assert self.search is not None
        return RoundPlan(
            study=self.study,
            phase=self.name,
            round=stage.round,
            slots=stage.names,
            size=self.search.round_size,
            config=self.config,
            parameters=self.search.parameters,
            sampler=self.search.sampler,
            seed=self.search.seed,
            metric=self.metric,
            goal=self.goal,
            target=self.search.target,
            band=stage.rung.band,
        )

    def rung_plan(self, stage: Stage) -> RungPlan:
        """Return how the slots of the next rung are filled from those of `stage`."""
        assert self.rungs is not None
        following = self.following(stage)
        return RungPlan(
            study=self.study,
            phase=self.name,
            rule=self.rungs.rule,
            rung=stage.rung,
            band=following.rung.band,
            slots=following.names,
            metric=self.metric,
            goal=self.goal,
            keep=self.keep,
        )
