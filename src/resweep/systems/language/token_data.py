"""Text as token files: writing a folder of the data store, and reading it in trainings.

train.bin val.bin test.bin    tokens, little-endian uint16 (uint32 above 65536 tokens)
first_data.bin                those of the validation split of data.first_data, if that is set
tokenizer.json ...            for transformers.AutoTokenizer; not for bytes
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep.data.description import DESCRIPTION, FIX
from resweep.data.store import Prepared
from resweep.errors import DamagedFile, DataError
from resweep.files import naming
from resweep.systems.language.bigram import bigram_floor
from resweep.systems.language.corpus import SPLITS, read_splits
from resweep.systems.language.data_section import first_data_of
from resweep.systems.language.tokens import (
    Tokenizer,
    load_tokenizer,
    make_tokenizer,
    token_batches,
    token_dtype,
)

END_OF_TEXT = 256  # of bytes
FIRST_DATA = "first_data"  # a split of its own, only validated on


class Counts(TypedDict):
    """Tokens per split."""

    train: int
    val: int
    test: int
    first_data: NotRequired[int]


@with_config(ConfigDict(extra="allow"))
class TokensDescribed(TypedDict):
    """What data.json says of tokens, as far as trainings and reports read it."""

    digest: str
    vocab_size: int
    end_of_text: NotRequired[int]
    tokens: Counts
    bigram_floor: NotRequired[float]


SHAPE: TypeAdapter[TokensDescribed] = TypeAdapter(TokensDescribed)


class TokenData:
    """Prepared data, as tokens.

    Args:
        prepared: A folder that `prepare_tokens` filled.

    Attributes:
        folder: That folder.
        files: Names of its files.
        vocab_size: Size of the vocabulary.
        tokens: Tokens per split.
        end_of_text: The token that follows each document.
    """

    def __init__(self, prepared: Prepared):
        self.folder = prepared.folder
        self.files = sorted(prepared.files)
        self.vocab_size: int = prepared.about["vocab_size"]
        self.tokens: dict[str, int] = prepared.about["tokens"]
        # Byte data of older versions has no such key.
        self.end_of_text: int = prepared.about.get("end_of_text", END_OF_TEXT)

    def split(self, name: str) -> np.ndarray:
        """Return the tokens of a split, memory-mapped: shape (tokens,), uint16 or uint32.

        Raises:
            DamagedFile: The file has another size.
        """
        return _read_tokens(self.folder / f"{name}.bin", self.vocab_size, self.tokens[name])

    def tokenizer_files(self) -> list[Path]:
        """Return the files for transformers.AutoTokenizer, sorted; none for bytes."""
        return [self.folder / name for name in self.files if not name.endswith(".bin")]

    def require_tokens(self, context_length: int) -> None:
        """Check that what is trained and validated on has at least one full sequence.

        Raises:
            DataError: Names the split and the lengths.
        """
        for name in ("train", "val", FIRST_DATA):
            if self.tokens.get(name, context_length + 1) < context_length + 1:
                raise DataError(
                    f"{self.folder}: the {name} split has {self.tokens[name]} tokens, fewer than "
                    f"model.context_length = {context_length} + 1; add more text, or "
                    "shorten the context"
                )


def prepare_tokens(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Read, split and tokenize text into a folder; returns the content of data.json.

    Raises:
        DataError: The source is missing, empty or cannot be split, or the tokenizer is missing.
    """
    splits = read_splits(settings)
    first = first_data_of(settings)
    if first is not None:
        try:
            splits[FIRST_DATA] = read_splits(first)["val"]
        except DataError as error:
            raise DataError(f"data.first_data: {error}") from None
    tokenizer = make_tokenizer(settings, splits["train"])
    tokenizer.save(folder)
    counts = {
        name: _write_tokens(
            folder / f"{name}.bin", token_batches(tokenizer, splits[name], f"tokens of {name}")
        )
        for name in splits
    }
    tokens = _read_splits(folder, tokenizer.vocab_size, counts)
    val_bytes = sum(len(document.encode()) for document in splits["val"])
    floor = bigram_floor(tokens["train"], tokens["val"], tokenizer.vocab_size)
    return {
        "digest": _digest(tokenizer, tokens),
        "vocab_size": tokenizer.vocab_size,
        "end_of_text": tokenizer.end_of_text,
        "tokens": counts,
        "documents": {name: len(splits[name]) for name in SPLITS},
        "bigram_floor": round(floor, 4),
        "bytes_per_token": val_bytes / len(tokens["val"]),  # of val, counting end-of-text tokens
    }


def read_documents_of(prepared: Prepared, split: str) -> list[str]:
    """Return the documents of a split as text, from its tokens.

    Raises:
        DamagedFile, DataError: A file is not what was written.
    """
    data = TokenData(prepared)
    tokenizer = load_tokenizer(prepared.about["settings"], prepared.folder)
    tokens = data.split(split)
    ends = np.flatnonzero(tokens == data.end_of_text)
    parts = np.split(tokens, ends + 1)
    texts = (tokenizer.decode(part[part != data.end_of_text].tolist()) for part in parts)
    return [text for text in texts if text]


def recompute_digest(folder: Path, described: Mapping[str, Any]) -> str:
    """Return the digest of what `prepare_tokens` wrote into a folder.

    Args:
        folder: That folder.
        described: Content of its data.json.

    Raises:
        DamagedFile, OSError: A file cannot be what was written.
    """
    try:
        tokenizer = load_tokenizer(described["settings"], folder)
    except DataError as error:
        raise DamagedFile(folder, str(error), FIX) from None
    for name in ("vocab_size", "end_of_text"):
        found, known = getattr(tokenizer, name), described.get(name)
        if known not in (None, found):
            raise DamagedFile(folder / DESCRIPTION, f"{name} = {known} should be {found}", FIX)
    return _digest(tokenizer, _read_splits(folder, tokenizer.vocab_size, described["tokens"]))


def _write_tokens(path: Path, batches: Iterable[np.ndarray]) -> int:
    """Write tokens; returns how many. Raises OSError with the path."""
    count = 0
    with naming(path), path.open("wb") as file:
        for batch in batches:
            file.write(batch.tobytes())
            count += len(batch)
    return count


def _read_splits(folder: Path, vocab_size: int, counts: Mapping[str, int]) -> dict[str, np.ndarray]:
    return {
        name: _read_tokens(folder / f"{name}.bin", vocab_size, count)
        for name, count in counts.items()
    }


def _read_tokens(path: Path, vocab_size: int, count: int) -> np.ndarray:
    dtype = token_dtype(vocab_size)
    size = path.stat().st_size
    if size != count * dtype.itemsize:
        what = f"has {size:,} bytes instead of {count * dtype.itemsize:,}"
        raise DamagedFile(path, what, FIX)
    return np.memmap(path, dtype=dtype, mode="r") if count else np.empty(0, dtype)


def _digest(tokenizer: Tokenizer, tokens: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the tokens and their vocabulary.

    Equal ids under different vocabularies are different data: checkpoints include their tokenizer,
    so such runs must not be shared.
    """
    total = hashlib.sha256(f"vocab {tokenizer.vocab_size}{tokenizer.vocabulary}".encode())
    for name in (*SPLITS, FIRST_DATA):
        if name in tokens:
            total.update(f"{name} {len(tokens[name])}".encode())
            total.update(tokens[name].data)
    return total.hexdigest()
