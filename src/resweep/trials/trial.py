"""A trial: what it asks for, and together with its record its result.

trial file -> data ensured -> configuration resolved -> run advanced -> record linked
"""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep import yaml12
from resweep.errors import ConfigError, Problem, one_line
from resweep.files import write_atomically
from resweep.json_files import CHECKSUM, checksum, typed
from resweep.paths import phase_and_slot, rung_name, trial_of
from resweep.trials.record import Record, read_record

LONGEST_LINE, LONGEST_VALUE = 160, 40  # characters of a trial's line
WRITTEN_AGAIN = "delete the trial file and run snakemake: it is written again"


@dataclass(frozen=True)
class Trial:
    """A slot in a phase that asks for one training.

    Attributes:
        study, phase, trial: Where it belongs.
        config: What to train.
        assignments: The part of `config` that distinguishes it: path -> value.
        stop: Step at which the run should stop; None: the run's horizon.
        empty: Why there is nothing to train, for a slot that could not be filled.
        changed: Whether its file has another checksum than it was written with. Files of older
            versions, and those written by hand, have none.
    """

    study: str
    phase: str
    trial: str
    _: KW_ONLY
    config: dict[str, Any] = field(default_factory=dict)
    assignments: dict[str, Any] = field(default_factory=dict)
    stop: int | None = None
    empty: str | None = None
    changed: bool = False

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

    @property
    def line(self) -> str:
        """Name and settings for people: `trial 3fa2b1c04d  learning_rate 0.001  n_layer 4`."""
        leaves = [path.rpartition(".")[2] for path in self.assignments]
        parts = []
        for path, value in sorted(self.assignments.items()):  # as in its file
            leaf = path.rpartition(".")[2]
            parts.append(f"{leaf if leaves.count(leaf) == 1 else path} {_shown(value)}")
        return _cut("  ".join([f"trial {self.trial}", *parts]), LONGEST_LINE)


def _shown(value: Any) -> str:
    """Return a value as short text in one line."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _cut(one_line(" ".join(text.split())), LONGEST_VALUE)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


@with_config(ConfigDict(extra="forbid"))
class _Content(TypedDict):
    """Content of a trial file."""

    study: str
    phase: str
    trial: str
    empty: NotRequired[str]
    stop: NotRequired[Annotated[int, Field(gt=0)]]
    assignments: NotRequired[dict[str, Any]]
    config: NotRequired[dict[str, Any]]


_SHAPE = TypeAdapter(_Content)


def trial_from(content: Mapping[str, Any], where: str) -> Trial:
    """Make a trial from a trial file's content.

    Raises:
        ConfigError: Something is missing, unknown or of the wrong type; `where` names the place.
    """
    try:
        trial = Trial(**typed(content, _SHAPE))
        if not trial.config and trial.empty is None:
            raise ValueError("has no config")
    except ValueError as error:
        hint = f"is not a trial file: {error}; {WRITTEN_AGAIN}"
        raise ConfigError(Problem(where, "", None, hint)) from None
    return trial


def read_trial(path: Path) -> Trial:
    """Read a trial file.

    Raises:
        ConfigError: It is missing, or is not a trial file.
        PermissionError: It is not ours to read.
    """
    try:
        content = yaml12.load_mapping(path)
    except ConfigError as error:
        if not path.exists():
            hint = "does not exist; run snakemake: it is written again"
            raise ConfigError(Problem(str(path), "", None, hint)) from None
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None
        hint = f"{error.problems[0].hint}; {WRITTEN_AGAIN}"
        raise ConfigError(Problem(str(path), "", None, hint)) from None
    known = content.pop(CHECKSUM, None)
    trial = trial_from(content, str(path))
    return replace(trial, changed=known not in (None, checksum(trial.content())))


def require_unchanged(trial: Trial, path: Path) -> None:
    """Raise ConfigError if a trial's file was changed after it was written."""
    if trial.changed:
        hint = f"was changed after it was written; {WRITTEN_AGAIN}"
        raise ConfigError(Problem(str(path), "", None, hint))


def write_trial(path: Path, trial: Trial) -> None:
    """Write a trial file, with its checksum."""
    content = trial.content()
    write_atomically(path, yaml12.dump({**content, CHECKSUM: checksum(content)}))


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
    """Read `{phase}/records/{slot}.json` and `{phase}/trials/{slot}.yaml` that belongs to it.

    Whether the record is of what the trial file asks for is checked by `store.outcome`.

    Raises:
        ConfigError: The trial file is missing, is not one, or is that of another slot.
        DamagedFile: The record is missing, or is not one.
    """
    record, file = read_record(record_path), trial_of(record_path)
    trial = read_trial(file)
    folder, slot = phase_and_slot(record_path)
    place = {"study": folder.path.parent.name, "phase": folder.path.name}
    # Slots of later rungs have numbers, and the trials in them their own names.
    rungs = slot.split("/")[:-1]
    if not rungs or rungs[-1] == rung_name(1) or trial.empty is not None:
        place["trial"] = record_path.stem
    for key, expected in place.items():
        value = getattr(trial, key)
        if value != expected:
            hint = f"should be {expected}, by its place; {WRITTEN_AGAIN}"
            raise ConfigError(Problem(str(file), key, value, hint))
    return Outcome(trial, record, record_path)
