"""The metric files of a run: one JSON object per line, sorted by step.

metrics.jsonl holds reproducible values, timing.jsonl the others.

    values -> a line, not finite ones as null -> file -> checked line by line -> finite values

Who takes a run over writes a new file in place of the old one. A process that was stopped for so
long that it lost the run still has the old one open, and what it appends there is never read.
"""

import bisect
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.errors import DamagedFile
from resweep.files import write_atomically

Line = dict[str, Any]


class MetricLog:
    """Appends lines to a metric file, from a given step on.

    Args:
        path: The file; it is replaced by one that begins with `content`.
        content: Whole lines.
        confirm: Called before each line; raises if this process may no longer write here.
    """

    def __init__(
        self, path: Path, content: bytes = b"", confirm: Callable[[], None] = lambda: None
    ):
        self.path = path
        self.confirm = confirm
        write_atomically(path, content, confirm)
        self._file = path.open("ab+")

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one line, and flush it."""
        known = {name: value if is_finite(value) else None for name, value in values.items()}
        self.confirm()
        self._file.write(json.dumps({"step": step, **known}, allow_nan=False).encode() + b"\n")
        self._file.flush()

    def content(self) -> bytes:
        """Return all lines so far, and put the file back if somebody else replaced it."""
        size = os.fstat(self._file.fileno()).st_size
        content = os.pread(self._file.fileno(), size, 0)
        if not self._is_in_place():
            write_atomically(self.path, content, self.confirm)
            self._file.close()
            self._file = self.path.open("ab+")
        return content

    def flush_to_disk(self) -> None:
        """Make the lines so far survive a crash of the machine; may be called from a thread."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _is_in_place(self) -> bool:
        mine = os.fstat(self._file.fileno())
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)


def is_finite(value: Any) -> bool:
    """Whether a value can be written as JSON: neither nan nor infinite."""
    return not isinstance(value, float) or math.isfinite(value)


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are numbers; what a reader gets of a line."""
    return {name: value for name, value in values.items() if value is not None and is_finite(value)}


@dataclass(frozen=True)
class Intervals:
    """When a run logs.

    Attributes:
        log, evaluation: Steps between lines, and between evaluations.
        horizon: The last step, which has a line of its own; None if it is unknown.
    """

    log: int
    evaluation: int
    horizon: int | None

    @classmethod
    def of(cls, training: Mapping[str, Any], horizon: int | None) -> "Intervals":
        """Return those of a complete `training` section."""
        return cls(training["log_steps"], training["eval_steps"], horizon)

    def steps(self, up_to: int) -> list[int]:
        """Return the steps that have a line, up to one."""
        found = {*range(0, up_to + 1, self.log), *range(0, up_to + 1, self.evaluation)}
        if self.horizon is not None and self.horizon <= up_to:
            found.add(self.horizon)
        return sorted(found)


def read_metrics(path: Path, up_to: int | None = None) -> list[Line]:
    """Read a metric file's lines up to a step; none if there is no file.

    Values that are not finite are left out.

    Raises:
        DamagedFile: A line up to that step is not one that was logged, or steps do not rise.
    """
    parsed = parse(path.read_bytes() if path.exists() else b"")
    if parsed.damage is not None and (up_to is None or parsed.last < up_to):
        raise DamagedFile(path, parsed.damage, "it cannot be read beyond that line")
    return parsed.lines if up_to is None else parsed.up_to(up_to)


@dataclass(frozen=True)
class Parsed:
    """A metric file up to its first damaged line.

    Attributes:
        content: The file's bytes.
        lines: Its lines, sorted by step.
        ends: Offset of the end of each of them.
        damage: What is wrong with the next one, as a predicate; None at the end of the file, or
            where a crash cut the last line short.
    """

    content: bytes
    lines: list[Line]
    ends: list[int]
    damage: str | None

    @property
    def last(self) -> int:
        """Step of the last line; -1 without any."""
        return int(self.lines[-1]["step"]) if self.lines else -1

    def up_to(self, step: int) -> list[Line]:
        """Return the lines up to a step."""
        return self.lines[: self._count(step)]

    def content_up_to(self, step: int) -> bytes:
        """Return the bytes of the lines up to a step."""
        count = self._count(step)
        return self.content[: self.ends[count - 1]] if count else b""

    def _count(self, step: int) -> int:
        return bisect.bisect_right(self.lines, step, key=lambda line: line["step"])


def parse(content: bytes) -> Parsed:
    """Parse the content of a metric file."""
    lines: list[Line] = []
    ends: list[int] = []
    end, damage = 0, None
    for number, text in enumerate(content.split(b"\n")[:-1], 1):
        line = _parse(text)
        if isinstance(line, str):
            damage = f"line {number} {line}"
            break
        if lines and line["step"] <= lines[-1]["step"]:
            before = lines[-1]["step"]
            damage = f"line {number} is of step {line['step']}, after step {before}"
            break
        end += len(text) + 1
        lines.append(line)
        ends.append(end)
    return Parsed(content, lines, ends, damage)


def content_digest(content: bytes) -> str:
    """SHA-256 of lines, as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def _parse(text: bytes) -> Line | str:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return "is not JSON"
    if not isinstance(line, dict):
        return "is not a JSON object"
    step = line.pop("step", None)
    if type(step) is not int or step < 0:
        return f"has step {step!r}"
    for name, value in line.items():
        if value is not None and type(value) not in (int, float):
            return f"has {name} = {value!r:.40}, which is not a number"
    return {"step": step, **finite(line)}
