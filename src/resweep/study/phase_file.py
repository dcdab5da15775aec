"""One phase of a study file: the keys that all kinds share, and what a phase is loaded in."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from resweep.config import compose
from resweep.config.compose import Layer
from resweep.config.nesting import nest
from resweep.config.schema import Schema
from resweep.config.section import Text, as_tuple
from resweep.errors import Problem
from resweep.study.command_layers import NO_LAYERS, CommandLayers
from resweep.study.names import Name
from resweep.study.schema import Keep, Part, Resources, Score
from resweep.study.study import Phase
from resweep.systems.system import System


def _as_names(value: Any) -> Any:
    """Read a name, a list of names, or nothing, as a tuple."""
    return () if value is None else as_tuple(value)


# Of earlier phases.
Names = Annotated[
    tuple[Text, ...],
    BeforeValidator(_as_names, json_schema_input_type=Text | tuple[Text, ...] | None),
]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a phase is loaded in.

    Attributes:
        study_path: The study file, for messages.
        where: The phase's key in it.
        config_dir: Where modules and sweep files are.
        system: What is trained.
        config: The configuration as written, to resolve names in.
        complete: The same with defaults; empty where it has errors.
        score: The study's.
        given: Paths that the phase's own modules, its `set` and the command line set.
        overrides: What the phase and the command line set: path -> value. Ambiguous names are left
            out: they are reported with their layer.
        earlier: The phases before, by name, without those that have errors.
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
    given: Collection[str]
    overrides: Mapping[str, Any]
    earlier: Mapping[str, Phase]
    broken: Collection[str]
    common: dict[str, Any]

    def problem(self, key: str, value: Any, hint: str) -> Problem:
        """Return an error of a key of the phase."""
        return Problem(self.study_path, f"{self.where}.{key}", value, hint)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A phase, loaded.

    Attributes:
        phase: None where what it builds on has errors.
        layer: What it sets in all its trials, above its configuration, for phases that build on it.
        warnings: For the user.
    """

    phase: Phase | None
    layer: Layer | None = None
    warnings: list[str]


class PhaseFile(Part, ABC):
    """One phase, as written: what all kinds have. A kind adds its keys and `load`."""

    name: Name = Field(description="folder and rule names")
    kind: str = Field(description="what its trials are")
    base: dict[str, Any] = Field({}, description="modules that override the study's: section, name")
    set: dict[str, Any] = Field({}, description="values that override all modules")
    keep: Keep | None = Field(None, description="null: the study's")
    resources: Resources | None = Field(None, description="null: the study's")

    @property
    def builds_on(self) -> str | None:
        """Name of the phase whose configuration is below this one's; None: the study's is."""
        return None

    @property
    def replaces(self) -> Collection[str]:
        """Sections of which its own module replaces those below, instead of overriding them."""
        return ()

    def implied(self, study: str) -> dict[str, Any]:
        """Return what its kind sets in its configuration, below its own base and set.

        Args:
            study: The study's name.
        """
        return {}

    def of_command(self, config_dir: Path, schema: Schema, own: Collection[str]) -> CommandLayers:
        """Return what the command of a sweep file sets in its configuration.

        Args:
            config_dir: Where modules and sweep files are.
            schema: The known fields.
            own: Names of the user's own hyperparameters.

        Raises:
            ConfigError: What the command sets is wrong.
        """
        return NO_LAYERS

    def check_files(self, config_dir: Path) -> list[Problem]:
        """Return what is wrong with the files that it names, whatever is trained."""
        return []

    def sample(self, around: Surroundings) -> Layer | None:
        """Return what one of its trials is assigned; None if that is nothing, or unknown.

        By default, it is what is assigned in a feasible trial of the phase that it builds on.
        """
        source = around.earlier.get(self.builds_on or "")
        if source is None:
            return None
        for assigned in source.varied():
            given = {**assigned, **around.overrides}
            try:
                config = compose.assign(source.config, given)
                if compose.infeasible(config, around.system.schema) is None:
                    return Layer(source.name, nest(given))
            except ValueError:  # reported when it is loaded
                return None
        return None

    @abstractmethod
    def load(self, around: Surroundings) -> Loaded:
        """Load the phase; raises ConfigError with all its errors."""
