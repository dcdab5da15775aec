"""Prepared graphs: writing a folder of the data store, and reading it in trainings.

edges.bin paths.bin val.bin    examples, little-endian uint16 (uint32 above 65536 tokens)
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
from resweep.errors import DamagedFile, DataError
from resweep.systems.pathstar.graph import Format, draw_spokes
from resweep.systems.pathstar.sections import Data

PARTS = ("edges", "paths", "val")


class Counts(TypedDict):
    """Examples per part."""

    edges: int
    paths: int
    val: int


@with_config(ConfigDict(extra="allow"))
class GraphDescribed(TypedDict):
    """What data.json says of a graph, as far as trainings and reports read it."""

    digest: str
    graph_d: int
    graph_l: int
    vocab_size: int
    held_out: int
    examples: Counts


SHAPE: TypeAdapter[GraphDescribed] = TypeAdapter(GraphDescribed)


class GraphData:
    """A prepared graph.

    Args:
        prepared: A folder that `prepare_graph` filled.
        data: The data section.
    """

    def __init__(self, prepared: Prepared, data: Data):
        self.folder = prepared.folder
        self.format = Format(data)
        self.counts: Mapping[str, int] = prepared.about["examples"]

    def rows(self, part: str) -> np.ndarray:
        """Return the examples of a part as padded rows: (n, length).

        Raises:
            DamagedFile: The file has another size.
        """
        known = self.format
        tokens = known.edge_length if part == "edges" else known.path_length
        path, dtype = self.folder / f"{part}.bin", _dtype(known)
        content = path.read_bytes()
        expected = self.counts[part] * tokens * dtype.itemsize
        if len(content) != expected:
            what = f"has {len(content):,} bytes instead of {expected:,}"
            raise DamagedFile(path, what, FIX)
        return known.pad(np.frombuffer(content, dtype).reshape(-1, tokens))


def prepare_graph(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Draw a graph and write its examples into a folder; returns the content of data.json.

    Without held-out paths, validation is on the paths of training.

    Raises:
        DataError: There are fewer names than vertices.
    """
    data = Data.model_validate(settings)
    known = Format(data)
    if data.names < data.vertices:
        raise DataError(f"graph_vocab_size = {data.names:,} names for {data.vertices:,} vertices")
    spokes, held_out = draw_spokes(data)
    val = spokes[held_out] if held_out.any() else spokes
    examples = {
        "edges": known.edges(spokes if data.train_on_edges else spokes[:0]),
        "paths": known.paths(spokes[~held_out]),
        "val": known.paths(val),
    }
    shape = {"tokens": known.vocab_size, "prompt": known.prompt, "path": known.path_length}
    total = hashlib.sha256(canonical_json(shape).encode())
    for part in PARTS:
        content = examples[part].astype(_dtype(known)).tobytes()
        (folder / f"{part}.bin").write_bytes(content)
        total.update(f"{part} {len(examples[part])}".encode())
        total.update(content)
    return {
        "digest": total.hexdigest(),
        "graph_d": data.graph_d,
        "graph_l": data.graph_l,
        "vocab_size": known.vocab_size,
        "held_out": int(held_out.sum()),
        "examples": {part: len(examples[part]) for part in PARTS},
    }


def _dtype(known: Format) -> np.dtype[Any]:
    return np.dtype("<u2" if known.vocab_size <= 2**16 else "<u4")
