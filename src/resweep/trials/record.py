"""Records: the result of a trial, as a typed value and as a small JSON file.

    {run}/records/{step}[-{rule}].json   result of a run; immutable, written by the store
    {phase}/records/{trial}.json         a link to one, or a record of the trial's own

Everything that decides, ranks or reports, reads records through this module.
"""

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep.errors import DamagedFile
from resweep.files import link_relative, write_atomically
from resweep.json_files import from_json, has_checksum, refusing_others, to_json, typed

MADE_AGAIN = "delete it and run snakemake: it is made again from the files of its run"

log = logging.getLogger(__name__)


class Status(StrEnum):
    """How a trial ended.

    Members:
        FINISHED: It reached its run's last step.
        STOPPED: It ended before: a monitor or a rung stopped it.
        DIVERGED: A watched metric was not a finite number, or a monitor called it diverged.
        INFEASIBLE: It cannot be trained: its values do not fit together, or the device's memory.
        EMPTY: Its slot was not filled.
        FAILED: All attempts to train it failed.
    """

    FINISHED = "finished"
    STOPPED = "stopped"
    DIVERGED = "diverged"
    INFEASIBLE = "infeasible"
    EMPTY = "empty"
    FAILED = "failed"

    @property
    def was_trained(self) -> bool:
        """Whether it was trained to an end."""
        return self in (Status.FINISHED, Status.STOPPED, Status.DIVERGED)


def has_result(status: str, rule: object) -> bool:
    """Whether a trial has a result of its own: from its last step, or where a monitor stopped it.

    Args:
        status: Of its record.
        rule: The monitor, as text. Anything else means none: tables have nan or "" there.
    """
    by_monitor = isinstance(rule, str) and rule != ""
    return status == Status.FINISHED or (status == Status.STOPPED and by_monitor)


def stopped_at_rung(status: str, rule: object) -> bool:
    """Whether a trial stopped at its requested step, as at a rung; arguments of `has_result`."""
    return status == Status.STOPPED and not has_result(status, rule)


@dataclass(frozen=True, kw_only=True)
class Record:
    """The result of a trial, with fields in the order of the file.

    Attributes:
        run_id: The run that it belongs to; None if there is none.
        status: How it ended.
        stop_reason: Why, for people; None where it finished.
        rule: The monitor that stopped it, or None.
        step: The step that it ended at.
        max_steps: The last step of its run.
        metrics: The last value of each metric by then.
        weights: SHA-256 of the weights of that step; None if they were not saved.
        curve: SHA-256 of the lines of metrics.jsonl up to that step.
        parameters: Size of the model.
        seconds, gpu_seconds: Spent on the run by then.
        device: What trained it.
        versions: Of the libraries that trained it.
        code: Digest of the code that trained it.
        device_memory: Bytes of the device whose memory the run does not fit.
        more: Keys of newer versions, which are kept.
        keys: The keys of the file that it was read from, in order; empty for a new record. Files
            of older versions have fewer: a field that they lack is None.
        checked: Whether its file has a checksum; those of older versions have none.
    """

    run_id: str | None
    status: Status
    stop_reason: str | None
    rule: str | None = None
    step: int
    max_steps: int | None = None
    metrics: Mapping[str, float]
    weights: str | None = None
    curve: str | None = None
    parameters: int | None = None
    seconds: float | None = None
    gpu_seconds: float | None = None
    device: str | None = None
    versions: Mapping[str, str] | None = None
    code: str | None = None
    device_memory: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    checked: bool = True

    @classmethod
    def from_json(cls, text: str | bytes) -> "Record":
        """Read a record from a file's content.

        Raises:
            ValueError: It is not a record; the message is a predicate: "has no step".
        """
        content = typed(from_json(text), _SHAPE)
        known = {key: content[key] for key in FIELDS if key in content}
        known["status"] = Status(content["status"])
        if known["step"] > (known.get("max_steps") or math.inf):
            raise ValueError(f"has step = {known['step']}, after max_steps = {known['max_steps']}")
        more = {key: value for key, value in content.items() if key not in known}
        return cls(**known, more=more, keys=tuple(content), checked=has_checksum(text))

    def to_json(self) -> str:
        """Return the text of its file; equal to the one that it was read from."""
        known = {key: getattr(self, key) for key in FIELDS}
        changed = [key for key in FIELDS if known[key] is not None]  # may be new to the file
        order = dict.fromkeys((*(self.keys or self._new_keys()), *changed, *self.more))
        values = {**known, **self.more}
        content = {key: values[key] for key in order}
        return to_json(content) if self.checked else json.dumps(content, indent=2) + "\n"

    def _new_keys(self) -> Sequence[str]:
        if self.run_id is None:
            return REQUIRED
        return FIELDS if self.status is Status.INFEASIBLE else FIELDS[:-1]

    @property
    def has_result(self) -> bool:
        """Whether it has a result of its own, so that it can be ranked."""
        return has_result(self.status, self.rule)

    @property
    def stopped_at_rung(self) -> bool:
        """Whether it stopped at its requested step, as at a rung: it could be trained further."""
        return stopped_at_rung(self.status, self.rule)

    def value(self, metric: str) -> float | None:
        """Last value of a metric; None where it has none, or no finite one."""
        value = self.metrics.get(metric)
        return value if value is not None and math.isfinite(value) else None

    @property
    def end_text(self) -> str:
        """How it ended, for people: `stopped at step 40 (plateau: no gain)`."""
        reason = f" ({self.stop_reason})" if self.stop_reason else ""
        return f"{self.status} at step {self.step}{reason}"


_OF_THE_READER = ("more", "keys", "checked")
FIELDS = tuple(name for name in Record.__dataclass_fields__ if name not in _OF_THE_READER)
REQUIRED = ("run_id", "status", "stop_reason", "step", "metrics")

LARGEST = 2**63 - 1  # of a whole number: far larger ones cannot be turned into a float
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
Number = Whole | float  # in this order, a whole number stays one
Positive = Annotated[Number, Field(ge=0)]


@with_config(ConfigDict(extra="allow"))
class _Content(TypedDict):
    """Content of a file; newer versions may add keys."""

    run_id: Annotated[str, Field(min_length=1)] | None
    status: Annotated[str, Field(pattern=f"^({'|'.join(Status)})$")]
    stop_reason: str | None
    rule: NotRequired[str | None]
    step: Count
    max_steps: NotRequired[Count | None]
    metrics: dict[str, Number]
    weights: NotRequired[str | None]
    curve: NotRequired[str | None]
    parameters: NotRequired[Count | None]
    seconds: NotRequired[Positive | None]
    gpu_seconds: NotRequired[Positive | None]
    device: NotRequired[str | None]
    versions: NotRequired[dict[str, str] | None]
    code: NotRequired[str | None]
    device_memory: NotRequired[Count | None]


_SHAPE = TypeAdapter(_Content)


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        DamagedFile: It is missing, so that its run may have been deleted, or is not a record.
    """
    try:
        with refusing_others(path, MADE_AGAIN):
            content = path.read_bytes()
        return Record.from_json(content)
    except FileNotFoundError:
        fix = "run snakemake, which makes it again"
        raise DamagedFile(path, "does not exist, or its run is gone from the store", fix) from None
    except ValueError as error:
        raise DamagedFile(path, f"is not a record: {error}", MADE_AGAIN) from None


def write_record(path: Path, record: Record, confirm: Callable[[], None] = lambda: None) -> None:
    """Write a record, as `write_atomically` does."""
    write_atomically(path, record.to_json(), confirm)


def write_own_record(path: Path, status: Status, reason: str) -> None:
    """Write the record of a trial without a run: empty, or infeasible as configured."""
    record = Record(run_id=None, status=status, stop_reason=reason, step=0, metrics={})
    write_record(path, record)


def link_record(path: Path, record: Path) -> None:
    """Make a trial's record: a relative link to the immutable one in the store."""
    link_relative(path, record)


def record_paths(names: Sequence[str]) -> list[Path]:
    """Return paths of records; a single `-` stands for names on standard input, one per line.

    A command line has no room for the names of thousands of trials.
    """
    given = sys.stdin.read().splitlines() if list(names) == ["-"] else names
    return [Path(name) for name in given if name]
