"""The data store: `results/data/{data_id}/`, token files made once for equal settings.

data.json          settings, digest of the tokens, vocabulary, tokens per split, source files
train.bin val.bin test.bin    tokens, little-endian uint16 (uint32 above 65536 tokens)
tokenizer.json ...            what transformers.AutoTokenizer reads; not for bytes
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resweep.canonical import digest, file_digest
from resweep.config.schema import Data
from resweep.config.section import AsBefore
from resweep.errors import DataError
from resweep.paths import Layout, file_lock, write_atomically
from resweep.systems.language.bigram import bigram_floor
from resweep.systems.language.corpus import SPLITS, read_documents, source_files, split_documents
from resweep.systems.language.tokens import Tokenizer, make_tokenizer, token_batches, token_dtype

FORMAT = 1  # raised when equal settings and text would give other tokens
END_OF_TEXT = 256  # of bytes


@dataclass(frozen=True)
class Prepared:
    """One prepared data set.

    Attributes:
        folder: Where its files are.
        digest: SHA-256 over the tokens of all splits, and the vocabulary.
        vocab_size: Number of different tokens there can be.
        tokens: Tokens per split.
        end_of_text: The token that follows each document.
    """

    folder: Path
    digest: str
    vocab_size: int
    tokens: dict[str, int]
    end_of_text: int = END_OF_TEXT

    def split(self, name: str) -> np.ndarray:
        """Return the tokens of a split, memory-mapped: shape (tokens,), uint16 or uint32."""
        return _read_tokens(self.folder / f"{name}.bin", self.vocab_size)

    def tokenizer_files(self) -> list[Path]:
        """Return the files that transformers.AutoTokenizer reads, sorted; none for bytes."""
        files = [path for path in self.folder.iterdir() if path.is_file()]
        return sorted(f for f in files if f.name != "data.json" and f.suffix != ".bin")


def _read_tokens(path: Path, vocab_size: int) -> np.ndarray:
    dtype = token_dtype(vocab_size)
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r")


def data_id(settings: Mapping[str, Any]) -> str:
    """Name of the data set that these settings describe; later fields count once they differ."""
    kept = {name: value for name, value in settings.items() if not _as_before(name, value)}
    return digest({"format": FORMAT, **kept}, 12)


def _as_before(name: str, value: Any) -> bool:
    field = Data.model_fields.get(name)
    marks = field.metadata if field is not None else []
    return any(isinstance(mark, AsBefore) and mark.value == value for mark in marks)


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
    return _described(folder, described)


def _described(folder: Path, described: Mapping[str, Any]) -> Prepared:
    return Prepared(
        folder,
        described["digest"],
        described["vocab_size"],
        described["tokens"],
        described.get("end_of_text", END_OF_TEXT),  # data of bytes was once without
    )


def ensure(settings: Mapping[str, Any], layout: Layout) -> Prepared:
    """Prepare the data set, or return the one that is there; safe to call from many processes.

    Raises:
        DataError: The source is missing, empty or cannot be split, or the tokenizer is missing.
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
    tokenizer = make_tokenizer(settings, splits["train"])

    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    tokenizer.save(new)
    for name in SPLITS:
        with (new / f"{name}.bin").open("wb") as file:
            for batch in token_batches(tokenizer, splits[name], f"tokens of {name}"):
                file.write(batch.tobytes())
    tokens = {name: _read_tokens(new / f"{name}.bin", tokenizer.vocab_size) for name in SPLITS}
    val_bytes = sum(len(document.encode()) for document in splits["val"])
    floor = bigram_floor(tokens["train"], tokens["val"], tokenizer.vocab_size)
    described: dict[str, Any] = {
        "settings": dict(settings),
        "digest": _digest(tokenizer, tokens),
        "vocab_size": tokenizer.vocab_size,
        "end_of_text": tokenizer.end_of_text,
        "tokens": {name: len(tokens[name]) for name in SPLITS},
        "documents": {name: len(splits[name]) for name in SPLITS},
        "bigram_floor": round(floor, 4),
        "bytes_per_token": val_bytes / len(tokens["val"]),  # of val, ends of text counted as tokens
        "sources": before,
    }
    write_atomically(new / "data.json", json.dumps(described, indent=2) + "\n")
    if folder.exists():  # made from other source text: runs that read it have their own digest
        shutil.rmtree(folder)
    new.rename(folder)
    return _described(folder, described)


def _digest(tokenizer: Tokenizer, tokens: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the tokens and of what they mean.

    Equal ids of two tokenizers that spell them differently are two data sets: a checkpoint carries
    its tokenizer, so the run of the one must not serve the other.
    """
    total = hashlib.sha256(f"vocab {tokenizer.vocab_size}{tokenizer.vocabulary}".encode())
    for name in SPLITS:
        total.update(f"{name} {len(tokens[name])}".encode())
        total.update(tokens[name].data)
    return total.hexdigest()


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
