"""The data store: `results/data/{data_id}/`, token files made once for equal settings.

data.json          settings, digest of the tokens, vocabulary, tokens per split, source files
train.bin val.bin test.bin    tokens, little-endian uint16 (uint32 above 65536 tokens)
"""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resweep.canonical import digest, file_digest
from resweep.data.corpus import SPLITS, read_documents, source_files, split_documents
from resweep.errors import DataError
from resweep.paths import Layout, file_lock, write_atomically

FORMAT = 1  # raised when equal settings and text would give other tokens
END_OF_TEXT = 256


@dataclass(frozen=True)
class Prepared:
    """One prepared data set.

    Attributes:
        folder: Where its files are.
        digest: SHA-256 over the tokens of all splits, and the vocabulary.
        vocab_size: Number of different tokens there can be.
        tokens: Tokens per split.
    """

    folder: Path
    digest: str
    vocab_size: int
    tokens: dict[str, int]

    def split(self, name: str) -> np.ndarray:
        """Return the tokens of a split, memory-mapped: shape (tokens,), uint16 or uint32."""
        path = self.folder / f"{name}.bin"
        dtype = token_dtype(self.vocab_size)
        if path.stat().st_size == 0:
            return np.empty(0, dtype)
        return np.memmap(path, dtype=dtype, mode="r")


def token_dtype(vocab_size: int) -> np.dtype:
    """Return the smallest type of token files that holds the vocabulary."""
    return np.dtype("<u2") if vocab_size <= 2**16 else np.dtype("<u4")


def data_id(settings: Mapping[str, Any]) -> str:
    """Name of the data set that these settings describe."""
    return digest({"format": FORMAT, **settings}, 12)


def find(settings: Mapping[str, Any], layout: Layout) -> Prepared | None:
    """Return the data set if it is prepared and its source files have not changed."""
    folder = layout.data(data_id(settings))
    try:
        described = json.loads((folder / "data.json").read_text())
    except (OSError, ValueError):
        return None
    known = described["sources"]
    if not all(_unchanged(Path(name), fingerprint) for name, fingerprint in known.items()):
        return None
    if _named_files(settings) - known.keys():
        return None
    return Prepared(folder, described["digest"], described["vocab_size"], described["tokens"])


def ensure(settings: Mapping[str, Any], layout: Layout) -> Prepared:
    """Prepare the data set, or return the one that is there; safe to call from many processes.

    Raises:
        DataError: The source is missing, empty or cannot be split.
    """
    found = find(settings, layout)
    if found is not None:
        return found
    folder = layout.data(data_id(settings))
    with file_lock(folder.with_suffix(".lock")):
        found = find(settings, layout)
        if found is not None:
            return found
        return _prepare(settings, folder)


def _prepare(settings: Mapping[str, Any], folder: Path) -> Prepared:
    files = source_files(settings)
    before = {str(file): _fingerprint(file) for file in files}
    splits = split_documents(read_documents(settings), settings)
    encoded = {name: encode_bytes(splits[name]) for name in SPLITS}
    vocab_size = END_OF_TEXT + 1
    total = hashlib.sha256(f"vocab {vocab_size}".encode())
    for name in SPLITS:
        total.update(f"{name} {len(encoded[name])}".encode())
        total.update(encoded[name].tobytes())

    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for name in SPLITS:
        encoded[name].astype(token_dtype(vocab_size)).tofile(new / f"{name}.bin")
    described: dict[str, Any] = {
        "settings": dict(settings),
        "digest": total.hexdigest(),
        "vocab_size": vocab_size,
        "tokens": {name: len(encoded[name]) for name in SPLITS},
        "documents": {name: len(splits[name]) for name in SPLITS},
        "bigram_floor": round(bigram_floor(encoded["train"], encoded["val"], vocab_size), 4),
        "sources": before,
    }
    write_atomically(new / "data.json", json.dumps(described, indent=2) + "\n")
    if folder.exists():  # made from other source text: runs that read it have their own digest
        shutil.rmtree(folder)
    new.rename(folder)
    return Prepared(folder, described["digest"], vocab_size, described["tokens"])


def encode_bytes(documents: list[str]) -> np.ndarray:
    """UTF-8 bytes of all documents, each followed by END_OF_TEXT: shape (tokens,), uint16."""
    parts = []
    for document in documents:
        parts.append(np.frombuffer(document.encode(), dtype=np.uint8).astype("<u2"))
        parts.append(np.array([END_OF_TEXT], dtype="<u2"))
    return np.concatenate(parts) if parts else np.empty(0, "<u2")


def bigram_floor(train: np.ndarray, val: np.ndarray, vocab_size: int) -> float:
    """Cross-entropy of an add-one bigram model, nats per token: what a trained model must beat.

    Counts pairs of the training split and is evaluated on the validation split.
    """
    if len(val) < 2:
        return math.log(vocab_size)
    width = int(vocab_size)
    pairs = train[:-1].astype(np.int64) * width + train[1:]
    counts = np.bincount(pairs, minlength=width * width).reshape(width, width) + 1.0
    log_p = np.log(counts) - np.log(counts.sum(axis=1, keepdims=True))
    return float(-log_p[val[:-1].astype(np.int64), val[1:].astype(np.int64)].mean())


def _fingerprint(file: Path) -> dict[str, Any]:
    status = file.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": file_digest(file)}


def _unchanged(file: Path, known: Mapping[str, Any]) -> bool:
    try:
        status = file.stat()
    except OSError:
        return True  # gone or not mounted here: what was prepared from it is still good
    if status.st_size != known["size"]:
        return False
    return status.st_mtime_ns == known["mtime_ns"] or file_digest(file) == known["sha256"]


def _named_files(settings: Mapping[str, Any]) -> set[str]:
    """Return the source files that there are now; none where they are not mounted."""
    try:
        return {str(file) for file in source_files(settings)}
    except DataError:
        return set()


def describe(prepared: Prepared) -> str:
    """One line about a data set, for people."""
    counts = ", ".join(f"{prepared.tokens[name]:,} {name}" for name in SPLITS)
    return f"{prepared.folder}: {counts} tokens, vocabulary {prepared.vocab_size}"


def require_tokens(prepared: Prepared, context_length: int) -> None:
    """Refuse a data set that has no full sequence in its train or val split.

    Raises:
        DataError: Names the split and the lengths.
    """
    for name in ("train", "val"):
        if prepared.tokens[name] < context_length + 1:
            raise DataError(
                f"{prepared.folder}: the {name} split has {prepared.tokens[name]} tokens, fewer "
                f"than model.context_length = {context_length} + 1; give more text, or a shorter "
                "context"
            )
