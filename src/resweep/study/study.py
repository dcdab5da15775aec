"""A study: one experiment from start to end, as frozen phases with their trials.

How many trials each phase has, and what the trials of a sweep are called, follows from the
configuration alone: the graph of jobs is known before the first one runs.
"""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.paths import Layout
from resweep.search.promote import RungPlan
from resweep.search.rounds import RoundPlan
from resweep.search.rungs import step_of
from resweep.search.stages import Stage, lay_out, numbers
from resweep.study.metric import PhaseScore
from resweep.study.schema import Publish, Resources, Score, Tracking
from resweep.sweep import EarlyTerminate, Parameter
from resweep.systems.registry import metric_of
from resweep.trials.trial import Trial


@dataclass(frozen=True)
class Search:
    """How a Bayesian sweep is filled, round by round.

    Attributes:
        rounds: Names of each round's trials.
        round_size: Trials of a whole round.
        parameters: The space; names are full paths.
        sampler: auto, gp or tpe.
        seed: What each round's own seed is derived from.
        target: Value of the metric at which the search is over, or None.
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
    """How trials are stopped on the way.

    Attributes:
        rule: Who goes on.
        bands: Logged values of the metric to train to.
    """

    rule: EarlyTerminate
    bands: tuple[int, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """The rule as plain values, without what it does not set."""
        return {name: value for name, value in asdict(self.rule).items() if value is not None}


@dataclass(frozen=True)
class Phase:
    """One stage of a study.

    Attributes:
        study: The study's name.
        name: The phase's name.
        kind: sweep or rerun (numbered slots).
        config: The configuration below what each trial assigns, complete and checked.
        keep: Whose weights stay: best, all or none.
        resources: For the cluster.
        score: How its trials are ranked.
        own: Names of hyperparameters of the user's own, which are no misspellings.
        assignments: sweep by grid or random: for each trial, path -> value of what is swept.
        search: sweep by bayes: how it is filled.
        rungs: sweep: how its trials are stopped on the way, or None.
        overrides: rerun: path -> value set above the best trial's assignments.
        source: rerun: the phase whose best are rerun.
        top: rerun: how many of them.
        seeds: rerun: seeds that each of them is trained with.
        selects: How many best configurations later phases ask of this one (at least one).
    """

    study: str
    name: str
    kind: str
    config: dict[str, Any]
    keep: str
    resources: Resources
    score: PhaseScore
    own: tuple[str, ...] = ()
    assignments: dict[str, dict[str, Any]] = field(default_factory=dict)
    search: Search | None = None
    rungs: Rungs | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    top: int = 0
    seeds: tuple[int, ...] = ()
    selects: int = 1

    @property
    def static(self) -> bool:
        """Whether the trials' configurations are known before any job."""
        return self.kind == "sweep" and self.search is None

    @property
    def trials(self) -> list[str]:
        """Names of the trials: hashes of what is swept, or numbers of slots."""
        if self.search is not None:
            return [name for names in self.search.rounds for name in names]
        if self.static:
            return list(self.assignments)
        return list(numbers(self.top * len(self.seeds)))

    @property
    def metric(self) -> str:
        """What trials are ranked, and searched, by."""
        return self.score.metric

    @property
    def goal(self) -> str:
        """Minimize or maximize."""
        return self.score.goal

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

    def keep_at(self, stage: Stage | None) -> str:
        """Return whose weights stay at a stage: at a rung all do until it is decided who goes on.

        None: a rerun, which has no stages.
        """
        if stage is not None and not stage.last and self.keep == "none":
            return "best"
        return self.keep

    def stages_before(self, stage: Stage) -> list[Stage]:
        """Return the stages of all earlier rounds."""
        return [other for other in self.stages if other.round < stage.round]

    def stages_of_round(self, stage: Stage) -> list[Stage]:
        """Return the stages of the same round."""
        return [other for other in self.stages if other.round == stage.round]

    def warm_start_tables(self, layout: Layout) -> list[Path]:
        """Return the tables that a Bayesian sweep starts from: rankings of phases, and files."""
        tables = []
        for source in self.search.warm_start if self.search else ():
            study, _, phase = source.rpartition("/")
            ranking = layout.phase(study or self.study, phase) / "scores.csv"
            tables.append(Path(source) if source.endswith(".csv") else ranking)
        return tables

    def round_plan(self, stage: Stage) -> RoundPlan:
        """Return what the trials of a round are proposed from, beside records."""
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
        following = self.stages[self.stages.index(stage) + 1]
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

    def trial_data(self, trial: str) -> dict[str, Any]:
        """Return the data settings of a trial of a sweep."""
        swept = {p: v for p, v in self.assignments[trial].items() if p.startswith("data.")}
        return dict(compose.assign(self.config, swept)["data"])

    def data_settings(self) -> list[dict[str, Any]]:
        """Return the different data settings of the phase's trials, as far as they are known."""
        swept = any(path.startswith("data.") for a in self.assignments.values() for path in a)
        if not swept:
            return [self.config["data"]]
        found = (self.trial_data(trial) for trial in self.trials)
        return list({canonical_json(settings): settings for settings in found}.values())

    def plan(self) -> dict[str, Any]:
        """Return what a rerun's slots are filled from, beside the best configurations."""
        return {
            "study": self.study,
            "phase": self.name,
            "config": self.config,
            "overrides": self.overrides,
            "seeds": list(self.seeds),
            "own": list(self.own),
        }

    def trial_config(self, trial: str) -> dict[str, Any]:
        """Return the configuration that a trial of a sweep trains."""
        return compose.assign(self.config, self.assignments[trial])

    def known_trial(self, trial: str, band: int | None = None) -> Trial:
        """Return a trial of a grid or random sweep.

        Args:
            trial: Its name.
            band: Logged values of the metric to train to; None: to the end.
        """
        config = self.trial_config(trial)
        stop = step_of(band, metric_of(config, self.metric), config["training"])
        return Trial(
            self.study,
            self.name,
            trial,
            config=config,
            assignments=self.assignments[trial],
            stop=stop,
        )

    def trial_content(self, trial: str, band: int | None = None) -> str:
        """Return what the trial file of such a trial holds, as canonical JSON."""
        return canonical_json(self.known_trial(trial, band).content())


@dataclass(frozen=True)
class Study:
    """One experiment from start to end.

    Attributes:
        system: Name of what it trains.
        origin: The file it was read from.
        warnings: Lines that a user should see, and that stop nothing.
    """

    name: str
    system: str
    origin: str
    phases: tuple[Phase, ...]
    score: Score
    tracking: Tracking
    publish: Publish
    tolerate_failures: int
    warnings: tuple[str, ...] = ()

    def data_settings(self) -> list[dict[str, Any]]:
        """Return the different data settings of all phases."""
        found = [settings for phase in self.phases for settings in phase.data_settings()]
        return list({canonical_json(settings): settings for settings in found}.values())

    def phase(self, name: str) -> Phase:
        """Return a phase by name; raises KeyError."""
        return next(phase for phase in self.phases if phase.name == name)

    def resolved(self) -> dict[str, Any]:
        """Return the whole study as plain values, for `results/{study}/study.yaml`."""
        return {
            "name": self.name,
            "system": self.system,
            "score": self.score.model_dump(),
            "tracking": self.tracking.model_dump(),
            "publish": self.publish.model_dump(),
            "tolerate_failures": self.tolerate_failures,
            "phases": [
                {
                    "name": phase.name,
                    "kind": phase.kind,
                    "trials": len(phase.trials),
                    "rounds": len(phase.search.rounds) if phase.search else None,
                    "early_terminate": phase.rungs.settings if phase.rungs else None,
                    "rungs": [list(pair) for pair in phase.rung_sizes] or None,
                    "keep": phase.keep,
                    "of": phase.source,
                    "top": phase.top or None,
                    "seeds": list(phase.seeds) or None,
                    "overrides": phase.overrides or None,
                    "score": phase.score.model_dump(),
                    "resources": phase.resources.model_dump(),
                    "config": phase.config,
                }
                for phase in self.phases
            ],
        }
