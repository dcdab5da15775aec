"""The metric files of a run: one JSON object per line, sorted by step.

metrics.jsonl holds reproducible values, timing.jsonl the others.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class MetricLog:
    """Appends lines to a metric file, from a given step on.

    Args:
        path: The file; lines after `step`, and a last line cut short by a crash, are dropped.
        step: The step that the training continues from.
    """

    def __init__(self, path: Path, step: int):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a")
        self._file.truncate(_end_of_step(path, step))  # in place, for readers that have it open

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one line, and flush it."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()

    def flush_to_disk(self) -> None:
        """Make the lines so far survive a crash of the machine; may be called from a thread."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path, up_to: int | None = None) -> list[dict[str, Any]]:
    """Read a metric file's lines up to a step; none if there is no file."""
    return [line for line, _ in _whole_lines(path) if up_to is None or line["step"] <= up_to]


def _end_of_step(path: Path, step: int) -> int:
    """Length in bytes of the lines up to a step; 0 for a training from step 0."""
    ends = [end for line, end in _whole_lines(path) if step > 0 and line["step"] <= step]
    return ends[-1] if ends else 0


def _whole_lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each line and the offset of its end; stops at one that a crash cut short."""
    if not path.exists():
        return
    end = 0
    for text in path.read_bytes().splitlines(keepends=True):
        if not text.endswith(b"\n"):
            return
        end += len(text)
        yield json.loads(text), end
