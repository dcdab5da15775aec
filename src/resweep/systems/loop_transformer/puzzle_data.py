"""Prepared puzzles: writing a folder of the data store, and reading it in trainings.

train.bin test.bin    puzzles, a byte for each cell: the question, then the answer; 0 is empty
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep.canonical import canonical_json
from resweep.data.description import FIX
from resweep.data.store import Prepared
from resweep.errors import DamagedFile
from resweep.systems.loop_transformer.puzzles import generate, read_files
from resweep.systems.loop_transformer.sections import Data

SPLITS = ("train", "test")


class Counts(TypedDict):
    """Puzzles per split."""

    train: int
    test: int


@with_config(ConfigDict(extra="allow"))
class PuzzlesDescribed(TypedDict):
    """What data.json says of puzzles, as far as trainings and reports read it."""

    digest: str
    size: int
    puzzles: Counts
    givens: float


SHAPE: TypeAdapter[PuzzlesDescribed] = TypeAdapter(PuzzlesDescribed)


class PuzzleData:
    """Prepared puzzles.

    Args:
        prepared: A folder that `prepare_puzzles` filled.
    """

    def __init__(self, prepared: Prepared):
        self.folder = prepared.folder
        self.size: int = prepared.about["size"]
        self.counts: Mapping[str, int] = prepared.about["puzzles"]

    def read(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return questions and answers of a split: (n, cells) of uint8.

        Raises:
            DamagedFile: The file has another size.
        """
        path, cells = self.folder / f"{split}.bin", self.size**2
        content = path.read_bytes()
        expected = self.counts[split] * 2 * cells
        if len(content) != expected:
            what = f"has {len(content):,} bytes instead of {expected:,}"
            raise DamagedFile(path, what, FIX)
        boards = np.frombuffer(content, np.uint8).reshape(-1, 2, cells)
        return boards[:, 0], boards[:, 1]


def prepare_puzzles(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Draw or read puzzles and write them into a folder; returns the content of data.json.

    Raises:
        DataError: There are too few, or some are wrong.
    """
    data = Data.model_validate(settings)
    splits = dict(
        zip(SPLITS, generate(data) if data.path is None else read_files(data), strict=True)
    )
    total = hashlib.sha256(canonical_json({"size": data.size}).encode())
    for split, (questions, answers) in splits.items():
        content = np.concatenate([questions, answers], axis=1).astype(np.uint8).tobytes()
        (folder / f"{split}.bin").write_bytes(content)
        total.update(f"{split} {len(questions)}".encode())
        total.update(content)
    return {
        "digest": total.hexdigest(),
        "size": data.size,
        "puzzles": {split: len(questions) for split, (questions, _) in splits.items()},
        "givens": round(float((splits["test"][0] > 0).sum(1).mean()), 2),
    }
