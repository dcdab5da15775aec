"""Reads what W&B recorded offline: the transaction log of a run, `run-{id}.wandb`.

The log is LevelDB's: after a header of 7 bytes, blocks of 32 KiB with chunks of (checksum, length,
kind) and data; kind 1 is a whole record, 2 to 4 are its first, middle and last part.
"""

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32768
HEADER = 7


def records(path: Path) -> Iterator[Any]:
    data, position, parts = path.read_bytes(), HEADER, b""
    assert data[:4] == b":W&B"
    while position + HEADER <= len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        position += HEADER
        parts += data[position : position + length]
        position += length
        if kind in (1, 4):
            yield Record.FromString(parts)
            parts = b""


def values(message: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a record, as text, with the path of its field."""
    for field, value in message.ListFields():
        here = f"{path}.{field.name}"
        for item in value if field.is_repeated else [value]:
            if hasattr(item, "ListFields"):
                yield from values(item, here)
            else:
                yield here, str(item)


class OfflineRun:
    """One run as it would be sent."""

    def __init__(self, path: Path):
        found = list(records(path))
        self.run = next(r.run for r in found if r.WhichOneof("record_type") == "run")
        self.config = {
            item.key or ".".join(item.nested_key): json.loads(item.value_json)
            for item in self.run.config.update
        }
        self.artifacts = [r.artifact for r in found if r.WhichOneof("record_type") == "artifact"]
        self.summary = {
            item.key or ".".join(item.nested_key): json.loads(item.value_json)
            for record in found
            if record.WhichOneof("record_type") == "summary"
            for item in record.summary.update
        }
        self.ended = any(r.WhichOneof("record_type") == "exit" for r in found)
        self.history = [
            {
                item.key or ".".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }
            for record in found
            if record.WhichOneof("record_type") == "history"
        ]


def offline_runs(study: Path) -> list[OfflineRun]:
    """All offline runs of a study, oldest first."""
    folders = sorted((study / "wandb").glob("offline-run-*"))
    return [OfflineRun(next(folder.glob("*.wandb"))) for folder in folders]


def hide_account(patch: pytest.MonkeyPatch, home: Path) -> None:
    """No account and no settings but those of the test."""
    for name in [name for name in os.environ if name.startswith("WANDB_")] + ["NETRC"]:
        patch.delenv(name, raising=False)
    patch.setenv("HOME", str(home))
