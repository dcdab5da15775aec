"""A trial: what it asks for, and how it gets its record.

trial file -> data ensured -> configuration resolved -> run advanced -> record linked
"""

import json
import logging
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout, link_relative, trial_of, write_atomically

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """A slot in a phase that wants one training outcome.

    Attributes:
        study, phase, trial: Its place.
        config: What to train.
        assignments: The part of `config` that distinguishes it: path -> value.
        stop: Step at which it asks the run to stop; None: the run's horizon.
        empty: Why there is nothing to train, for a slot that could not be filled.
    """

    study: str
    phase: str
    trial: str
    config: dict[str, Any] = field(default_factory=dict)
    assignments: dict[str, Any] = field(default_factory=dict)
    stop: int | None = None
    empty: str | None = None

    def content(self) -> dict[str, Any]:
        """Return what the trial file holds; parts that say nothing are left out."""
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
    """Make a trial of a trial file's content.

    Raises:
        ConfigError: Something is missing or unknown; `where` names the place.
    """
    try:
        return Trial(**content)
    except TypeError as error:
        raise ConfigError(Problem(where, "", None, f"is no trial file: {error}")) from None


def read_trial(path: Path) -> Trial:
    """Read a trial file; raises ConfigError."""
    return trial_from(yaml12.load_mapping(path), str(path))


def write_trial(path: Path, trial: Trial) -> None:
    """Write a trial file."""
    write_atomically(path, yaml12.dump(trial.content()))


@dataclass(frozen=True)
class Outcome:
    """A trial with the record that it got.

    Attributes:
        trial: What was asked for.
        record: What came out.
        path: The record's file, or the link to it.
    """

    trial: Trial
    record: dict[str, Any]
    path: Path

    def value(self, metric: str) -> float | None:
        """Last value of a metric; None where it has none, or no finite one."""
        value = self.record["metrics"].get(metric)
        return value if value is not None and math.isfinite(value) else None


def record_paths(names: Sequence[str]) -> list[Path]:
    """Return paths of records; a single `-` stands for names on standard input, one a line.

    A command line has no room for those of thousands of trials.
    """
    given = sys.stdin.read().splitlines() if list(names) == ["-"] else names
    return [Path(name) for name in given if name]


def read_outcome(record_path: Path) -> Outcome:
    """Read `{phase}/records/{place}.json` and `{phase}/trials/{place}.yaml` that belongs to it."""
    return Outcome(read_trial(trial_of(record_path)), read_record(record_path), record_path)


def read_record(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises:
        ConfigError: It is missing (its run may have been deleted) or no JSON.
    """
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise ConfigError(Problem(str(path), "", None, f"is no record: {error}")) from None


def write_own_record(path: Path, status: str, reason: str) -> None:
    """Write the record of a trial that leads to no run: empty, or infeasible as configured."""
    content: dict[str, Any] = {"run_id": None, "status": status, "stop_reason": reason}
    content |= {"step": 0, "metrics": {}}
    write_atomically(path, json.dumps(content, indent=2) + "\n")


def drop_dangling_records(layout: Layout, study: str) -> list[Path]:
    """Delete links to records that are gone from the store; returns them.

    A dangling link can keep Snakemake from building its graph, and a missing record brings the
    run back.
    """
    records = layout.study(study).all_records()
    gone = [path for path in records if path.is_symlink() and not path.exists()]
    for path in gone:
        path.unlink()
    return gone


def link_record(path: Path, record: Path) -> None:
    """Make a trial's record: a relative link to the immutable one in the store."""
    link_relative(path, record)
    content = read_record(record)
    log.info(
        "%s: %s at step %d%s",
        path,
        content["status"],
        content["step"],
        f" ({content['stop_reason']})" if content["stop_reason"] else "",
    )
