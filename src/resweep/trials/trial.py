"""A trial: what it asks for, and together with its record its result.

trial file -> data ensured -> configuration resolved -> run advanced -> record linked
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.errors import ConfigError, Problem
from resweep.files import write_atomically
from resweep.paths import trial_of
from resweep.trials.record import Record, read_record


@dataclass(frozen=True)
class Trial:
    """A slot in a phase that asks for one training.

    Attributes:
        study, phase, trial: Where it belongs.
        config: What to train.
        assignments: The part of `config` that distinguishes it: path -> value.
        stop: Step at which the run should stop; None: the run's horizon.
        empty: Why there is nothing to train, for a slot that could not be filled.
    """

    study: str
    phase: str
    trial: str
    _: KW_ONLY
    config: dict[str, Any] = field(default_factory=dict)
    assignments: dict[str, Any] = field(default_factory=dict)
    stop: int | None = None
    empty: str | None = None

    def content(self) -> dict[str, Any]:
        """Return the content of the trial file, without empty parts."""
        everything = {
            "study": self.study,
            "phase": self.phase,
            "trial": self.trial,
            "empty": self.empty,
            "stop": self.stop,
            "assignments": self.assignments,
            "config": self.config,
        }
        return {name: value for name, value in everything.items() if value is not None}


def trial_from(content: Mapping[str, Any], where: str) -> Trial:
    """Make a trial from a trial file's content.

    Raises:
        ConfigError: Something is missing or unknown; `where` names the place.
    """
    try:
        return Trial(**content)
    except TypeError as error:
        raise ConfigError(Problem(where, "", None, f"is not a trial file: {error}")) from None


def read_trial(path: Path) -> Trial:
    """Read a trial file; raises ConfigError."""
    return trial_from(yaml12.load_mapping(path), str(path))


def write_trial(path: Path, trial: Trial) -> None:
    """Write a trial file."""
    write_atomically(path, yaml12.dump(trial.content()))


@dataclass(frozen=True)
class Outcome:
    """A trial with its record.

    Attributes:
        trial: What was asked for.
        record: Its result.
        path: The record's file, or the link to it.
    """

    trial: Trial
    record: Record
    path: Path


def read_outcome(record_path: Path) -> Outcome:
    """Read `{phase}/records/{place}.json` and `{phase}/trials/{place}.yaml` that belongs to it."""
    return Outcome(read_trial(trial_of(record_path)), read_record(record_path), record_path)
