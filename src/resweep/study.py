"""A study: one experiment from start to end, as frozen phases with their trials.

How many trials each phase has, and what the trials of a sweep are called, follows from the
configuration alone: the graph of jobs is known before the first one runs.
"""

from dataclasses import dataclass, field
from typing import Any

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.study_file import Publish, Resources, Score, Tracking


@dataclass(frozen=True)
class Phase:
    """One stage of a study.

    Attributes:
        study: The study's name.
        name: The phase's name.
        kind: sweep (trials known from the files) or rerun (numbered slots).
        config: The configuration below what each trial assigns, complete and checked.
        keep: Whose weights stay: best, all or none.
        resources: For the cluster.
        score: How its trials are ranked.
        assignments: sweep: for each trial, path -> value of what is swept.
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
    score: Score
    assignments: dict[str, dict[str, Any]] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    top: int = 0
    seeds: tuple[int, ...] = ()
    selects: int = 1

    @property
    def static(self) -> bool:
        """Whether the trials' configurations are known before any job."""
        return self.kind == "sweep"

    @property
    def trials(self) -> list[str]:
        """Names of the trials: hashes of what is swept, or numbers of slots."""
        if self.static:
            return list(self.assignments)
        count = self.top * len(self.seeds)
        return [f"{slot:0{max(2, len(str(count)))}d}" for slot in range(1, count + 1)]

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
        }

    def trial_config(self, trial: str) -> dict[str, Any]:
        """Return the configuration that a trial of a sweep trains."""
        return compose.assign(self.config, self.assignments[trial])

    def trial_content(self, trial: str) -> str:
        """Return what the trial file of a sweep's trial holds, as canonical JSON."""
        return canonical_json(
            {
                "study": self.study,
                "phase": self.name,
                "trial": trial,
                "assignments": self.assignments[trial],
                "config": self.trial_config(trial),
            }
        )


@dataclass(frozen=True)
class Study:
    """One experiment from start to end.

    Attributes:
        origin: The file it was read from.
        warnings: Lines that a user should see, and that stop nothing.
    """

    name: str
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
            "score": self.score.model_dump(),
            "tracking": self.tracking.model_dump(),
            "publish": self.publish.model_dump(),
            "tolerate_failures": self.tolerate_failures,
            "phases": [
                {
                    "name": phase.name,
                    "kind": phase.kind,
                    "trials": len(phase.trials),
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
