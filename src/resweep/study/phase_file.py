"""One phase of a study file: what each kind's keys stand on, and what a kind is loaded in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from resweep.config.compose import Layer
from resweep.errors import Problem
from resweep.study.schema import NAME, Keep, Part, Resources, Score
from resweep.study.study import Phase
from resweep.systems.system import System


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a phase is loaded in.

    Attributes:
        study_path: The study file, for messages.
        where: The phase's place in it.
        config_dir: Where modules and sweep files are.
        system: What is trained.
        config: The configuration as written, to resolve names in.
        complete: The same with defaults; empty where it has problems of its own.
        score: The study's.
        overrides: What the phase and the command line set: path -> value. Names that are not clear
            are left out: they are reported with their layer.
        earlier: The phases before, by name, but for those that have problems of their own.
        broken: Names of the latter.
        common: What every phase has.
    """

    study_path: str
    where: str
    config_dir: Path
    system: System
    config: dict[str, Any]
    complete: dict[str, Any]
    score: Score
    overrides: Mapping[str, Any]
    earlier: Mapping[str, Phase]
    broken: Collection[str]
    common: dict[str, Any]

    def problem(self, key: str, value: Any, hint: str) -> Problem:
        """Return what is wrong with a key of the phase."""
        return Problem(self.study_path, f"{self.where}.{key}", value, hint)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A phase, loaded.

    Attributes:
        phase: None where what it stands on has problems of its own.
        layer: What it sets in all its trials, above its configuration, for phases that stand on it.
        warnings: For people.
    """

    phase: Phase | None
    layer: Layer | None = None
    warnings: list[str]


class PhaseFile(Part):
    """One phase, as written: what all kinds have. A kind adds its keys and `load`."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")] = Field(description="folder and rule names")
    kind: str = Field(description="what its trials are")
    base: dict[str, Any] = Field({}, description="modules above the study's: section, name")
    set: dict[str, Any] = Field({}, description="values above all modules")
    keep: Keep | None = Field(None, description="null: the study's")
    resources: Resources | None = Field(None, description="null: the study's")

    @property
    def stands_on(self) -> str | None:
        """Name of the phase whose configuration is below this one's; None: the study's is."""
        return None

    def load(self, around: Surroundings) -> Loaded:
        """Load the phase; raises ConfigError with all that is wrong with it."""
        raise NotImplementedError
