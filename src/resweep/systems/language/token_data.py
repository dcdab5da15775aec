"""Text as token files: writing a folder of the data store, and reading it in trainings.

train.bin val.bin test.bin    tokens, little-endian uint16 (uint32 above 65536 tokens)
tokenizer.json ...            for transformers.AutoTokenizer; not for bytes
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from resweep.data.store import DESCRIPTION, Prepared
from resweep.errors import DataError
from resweep.systems.language.bigram import bigram_floor
from resweep.systems.language.corpus import SPLITS, read_documents, split_documents
from resweep.systems.language.tokens import Tokenizer, make_tokenizer, token_batches, token_dtype

END_OF_TEXT = 256  # of bytes


class TokenData:
    """Prepared data, as tokens.

    Args:
        prepared: A folder that `prepare_tokens` filled.

    Attributes:
        folder: That folder.
        vocab_size: Size of the vocabulary.
        tokens: Tokens per split.
        end_of_text: The token that follows each document.
    """

    def __init__(self, prepared: Prepared):
        self.folder = prepared.folder
        self.vocab_size: int = prepared.about["vocab_size"]
        self.tokens: dict[str, int] = prepared.about["tokens"]
        # Byte data of older versions has no such key.
        self.end_of_text: int = prepared.about.get("end_of_text", END_OF_TEXT)

    def split(self, name: str) -> np.ndarray:
        """Return the tokens of a split, memory-mapped: shape (tokens,), uint16 or uint32."""
        return _read_tokens(self.folder / f"{name}.bin", self.vocab_size)

    def tokenizer_files(self) -> list[Path]:
        """Return the files for transformers.AutoTokenizer, sorted; none for bytes."""
        files = [path for path in self.folder.iterdir() if path.is_file()]
        return sorted(f for f in files if f.name != DESCRIPTION and f.suffix != ".bin")

    def require_tokens(self, context_length: int) -> None:
        """Check that the train and val splits have at least one full sequence.

        Raises:
            DataError: Names the split and the lengths.
        """
        for name in ("train", "val"):
            if self.tokens[name] < context_length + 1:
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
    splits = split_documents(read_documents(settings), settings)
    tokenizer = make_tokenizer(settings, splits["train"])
    tokenizer.save(folder)
    for name in SPLITS:
        with (folder / f"{name}.bin").open("wb") as file:
            for batch in token_batches(tokenizer, splits[name], f"tokens of {name}"):
                file.write(batch.tobytes())
    tokens = {name: _read_tokens(folder / f"{name}.bin", tokenizer.vocab_size) for name in SPLITS}
    val_bytes = sum(len(document.encode()) for document in splits["val"])
    floor = bigram_floor(tokens["train"], tokens["val"], tokenizer.vocab_size)
    return {
        "digest": _digest(tokenizer, tokens),
        "vocab_size": tokenizer.vocab_size,
        "end_of_text": tokenizer.end_of_text,
        "tokens": {name: len(tokens[name]) for name in SPLITS},
        "documents": {name: len(splits[name]) for name in SPLITS},
        "bigram_floor": round(floor, 4),
        "bytes_per_token": val_bytes / len(tokens["val"]),  # of val, counting end-of-text tokens
    }


def _read_tokens(path: Path, vocab_size: int) -> np.ndarray:
    dtype = token_dtype(vocab_size)
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r")


def _digest(tokenizer: Tokenizer, tokens: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the tokens and their vocabulary.

    Equal ids under different vocabularies are different data: checkpoints include their tokenizer,
    so such runs must not be shared.
    """
    total = hashlib.sha256(f"vocab {tokenizer.vocab_size}{tokenizer.vocabulary}".encode())
    for name in SPLITS:
        total.update(f"{name} {len(tokens[name])}".encode())
        total.update(tokens[name].data)
    return total.hexdigest()
