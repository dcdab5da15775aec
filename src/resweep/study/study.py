"""A study: one experiment from start to end, as frozen phases with their trials.

How many trials each phase has, what they are called, and between which of them something is
decided, follows from the configuration alone: the graph of jobs is known before the first one runs.
The rest of a phase is in the module of its kind (`resweep.study.kinds`).
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.paths import Layout
from resweep.search.rungs import step_of
from resweep.search.stages import Stage, lay_out
from resweep.study.deciding import deciding_phase
from resweep.study.fill import Fill
from resweep.study.metric import PhaseScore
from resweep.study.notify import Notify
from resweep.study.packs import Pack, Work, divide, most_of, size_key, work_of
from resweep.study.schema import Budget, Publish, Resources, Score, Tracking
from resweep.systems.registry import metric_of, system_of
from resweep.systems.system import System
from resweep.trials.trial import Trial

RESULTS = Layout()


@dataclass(frozen=True, kw_only=True)
class Phase(ABC):
    """One stage of a study: what all kinds of phase have.

    Attributes:
        kind: As in the study file.
        publishes_configs: Whether what its trials train is published.
        study: The study's name.
        name: The phase's name.
        config: The configuration that each trial's assignments change, complete and checked.
        keep: Which trials keep their weights: best, all or none.
        resources: For the cluster.
        score: How its trials are ranked.
        own: Names of the user's own hyperparameters, which are not misspellings.
        selects: How many best configurations later phases take from this one (at least one).
    """

    kind: ClassVar[str]
    publishes_configs: ClassVar[bool] = False

    study: str
    name: str
    config: dict[str, Any]
    keep: str
    resources: Resources
    score: PhaseScore
    own: tuple[str, ...] = ()
    selects: int = 1

    @property
    @abstractmethod
    def trials(self) -> list[str]:
        """Names of the trials."""

    @property
    def settings(self) -> dict[str, Any]:
        """What its kind adds to the phase, as plain values for study.yaml."""
        return {}

    @property
    def asks(self) -> Mapping[str, int]:
        """How many best configurations it takes from each earlier phase, by name."""
        return {}

    def best_lists(self, layout: Layout) -> list[Path]:
        """Return the lists of best configurations that it takes its trials from."""
        return [layout.phase(self.study, of).best_configs(top) for of, top in self.asks.items()]

    def fills(self, layout: Layout) -> list[Fill]:
        """Return the jobs that write the trial files that the configuration alone does not fill."""
        return []

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Batches of trainings between which something is decided."""
        return lay_out((tuple(self.trials),), False, None, ())

    def is_known(self, stage: Stage) -> bool:
        """Whether the configuration alone fills the slots of a stage; else a job does."""
        return False

    def known_trial(self, trial: str, stage: Stage) -> Trial:
        """Return a trial of a stage that is known; raises LookupError otherwise."""
        raise LookupError(f"{self.name}/{trial}: a job fills it")

    def known_stop(self, trial: str, stage: Stage) -> int | None:
        """Return the step at which a known trial of a stage should stop; None for its horizon."""
        return None

    def assigned(self, trial: str) -> dict[str, Any]:
        """Return what a known trial varies, path -> value; nothing while a job has to fill it."""
        return {}

    def varied(self) -> Iterable[Mapping[str, Any]]:
        """Yield what trials assign, as far as it is known: path -> value; at least once nothing."""
        return [{}]

    def trial_data(self, trial: str) -> dict[str, Any] | None:
        """Return the data settings of a trial, as far as they are known; None if it needs none."""
        data: dict[str, Any] = self.config["data"]
        return data

    def data_settings(self) -> list[dict[str, Any]]:
        """Return the distinct data settings of the phase's trials, as far as they are known."""
        return [self.config["data"]]

    def data_prepared_first(self) -> list[dict[str, Any]]:
        """Return the data settings of the phase whose sources are there before any job."""
        system = system_of(self.config)
        return [one for one in self.data_settings() if not is_made_here(system, one)]

    def possible(self) -> Iterable[Mapping[str, Any]]:
        """Yield what a slot may be assigned, as far as that is known; at least once nothing."""
        return [{}, *self.varied()]

    @cached_property
    def packs(self) -> Mapping[str, tuple[Pack, ...]]:
        """Which trials a training job serves, by the name of their stage."""
        wanted = self.resources.pack
        return {
            stage.name: divide(stage.names, self._work_at(stage), wanted) for stage in self.stages
        }

    def _work_at(self, stage: Stage) -> Iterator[Work]:
        """Yield the work of each trial of a stage; of those filled later, the most possible."""
        known: dict[Hashable, Work] = {}

        def look(assigned: Mapping[str, Any]) -> Work:
            key = size_key(assigned)
            if key not in known:
                config = compose.assign(self.config, assigned)
                known[key] = work_of(config, lambda horizon: self.steps_at(stage, config, horizon))
            return known[key]

        if self.is_known(stage):
            yield from (look(self.assigned(name)) for name in stage.names)
        else:
            yield from repeat(most_of(list(map(look, self.possible()))), len(stage.names))

    def steps_at(self, stage: Stage, config: Mapping[str, Any], horizon: int) -> int:
        """Return for how many steps a configuration is trained at a stage.

        Args:
            stage: One of its stages.
            config: Complete.
            horizon: Its steps without rungs.
        """
        metric, training = metric_of(config, self.metric), config["training"]

        def end(band: int | None) -> int:
            step = step_of(band, metric, training)
            return horizon if step is None else min(step, horizon)

        if stage.first:
            return end(stage.rung.band)
        before = self.stages[self.stages.index(stage) - 1]
        return end(stage.rung.band) - end(before.rung.band)

    @property
    def metric(self) -> str:
        """The metric that trials are ranked, and searched, by."""
        return self.score.metric

    @property
    def goal(self) -> str:
        """Minimize or maximize."""
        return self.score.goal

    def keep_at(self, stage: Stage) -> str:
        """Return which weights to keep at a stage: all until it is decided which continue."""
        return "best" if self.keep == "none" and not stage.last else self.keep

    def stages_before(self, stage: Stage) -> list[Stage]:
        """Return the stages of all earlier rounds."""
        return [other for other in self.stages if other.round < stage.round]

    def stages_of_round(self, stage: Stage) -> list[Stage]:
        """Return the stages of the same round."""
        return [other for other in self.stages if other.round == stage.round]

    def following(self, stage: Stage) -> Stage:
        """Return the stage after one that is not the last of its round."""
        return self.stages[self.stages.index(stage) + 1]

    def resolved(self) -> dict[str, Any]:
        """Return the phase as plain values, for `results/{study}/study.yaml`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "trials": len(self.trials),
            "keep": self.keep,
            **self.settings,
            "score": self.score.model_dump(),
            "resources": self.resources.model_dump(),
            "config": self.config,
        }


@dataclass(frozen=True, kw_only=True)
class Study:
    """One experiment from start to end.

    Attributes:
        system: Name of what it trains.
        origin: The file it was read from.
        budget: What it may take. It decides whether a build starts, and changes no result.
        notify: Whom to notify when a build ends. Like the budget, it is not in study.yaml.
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
    budget: Budget = field(default_factory=Budget)
    notify: Notify = field(default_factory=Notify)
    warnings: tuple[str, ...] = ()

    @property
    def deciding(self) -> Phase:
        """The phase whose rank 1 is the study's winner, and whose best model is published."""
        return deciding_phase(self.phases)

    def data_settings(self) -> list[dict[str, Any]]:
        """Return the distinct data settings of all phases with sources before any job."""
        return distinct(s for phase in self.phases for s in phase.data_prepared_first())

    def phase(self, name: str) -> Phase:
        """Return a phase by name; raises KeyError."""
        return {phase.name: phase for phase in self.phases}[name]

    def resolved(self) -> dict[str, Any]:
        """Return the whole study as plain values, for `results/{study}/study.yaml`."""
        return {
            "name": self.name,
            "system": self.system,
            "score": self.score.model_dump(),
            "tracking": self.tracking.model_dump(),
            "publish": self.publish.model_dump(),
            "tolerate_failures": self.tolerate_failures,
            "phases": [phase.resolved() for phase in self.phases],
        }


def is_made_here(system: System, settings: Mapping[str, Any]) -> bool:
    """Whether data is prepared from other prepared data, as with the tokenizer of a phase."""
    made = RESULTS.data("").absolute()
    folders = system.source_folders(settings)
    return any(folder.absolute().is_relative_to(made) for folder in folders)


def distinct(settings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return settings without duplicates."""
    return list({canonical_json(one): one for one in settings}.values())
