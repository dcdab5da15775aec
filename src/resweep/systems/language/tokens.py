"""Kinds of tokens: bytes, a byte-level BPE trained on the data, or an existing tokenizer.

Text is tokenised in batches of bounded size; each document is followed by an end-of-text token.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from resweep.canonical import digest
from resweep.errors import DataError
from resweep.files import naming
from resweep.systems.language.cut_text import text_batches
from resweep.systems.language.data_section import BYTE_TOKENS
from resweep.systems.language.hub import local_copy, not_here, offline, one_line, why_offline

END_OF_TEXT_NAME = "<|endoftext|>"
TOKENIZER = "tokenizer.json"
# Files of tokenizers; the same folder may hold weights.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
)


class Tokenizer(Protocol):
    """Text to token ids.

    Attributes:
        vocab_size: Ids are below it.
        end_of_text: The id that follows each document.
        vocabulary: Digest of tokens and ids; empty for bytes.
        cuts: Whether text can be cut before a space after a word without changing its ids.
    """

    vocab_size: int
    end_of_text: int
    vocabulary: str
    cuts: bool

    def encode(self, texts: list[str]) -> Sequence[Sequence[int] | np.ndarray]:
        """Return the ids of each text, without special tokens around them."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; what is not text is replaced."""

    def save(self, folder: Path) -> None:
        """Write the files for transformers.AutoTokenizer; none for bytes.

        Raises:
            OSError: They cannot be written.
        """


class ByteTokens:
    """The bytes of UTF-8, and end-of-text."""

    vocab_size = BYTE_TOKENS
    end_of_text = BYTE_TOKENS - 1
    vocabulary = ""
    cuts = True

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """Return the bytes of each text."""
        return [np.frombuffer(text.encode(), dtype=np.uint8) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of bytes."""
        return bytes(ids).decode(errors="replace")

    def save(self, folder: Path) -> None:
        """Write nothing: bytes need no tokenizer."""


class BytePairTokens:
    """A byte-level BPE of the `tokenizers` library; no text becomes a special token.

    Args:
        tokenizer: A `tokenizers.Tokenizer`.
    """

    cuts = True  # its words begin at the space before them

    def __init__(self, tokenizer: Any):
        tokenizer.encode_special_tokens = True
        self.tokenizer = tokenizer
        self.vocab_size = tokenizer.get_vocab_size()
        self.end_of_text = tokenizer.token_to_id(END_OF_TEXT_NAME)
        self.vocabulary = _vocabulary(tokenizer.get_vocab(), self.end_of_text)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids."""
        return str(self.tokenizer.decode(list(ids)))

    def save(self, folder: Path) -> None:
        """Write tokenizer.json, and tokenizer_config.json for transformers."""
        with naming(folder / TOKENIZER):
            self.tokenizer.save(str(folder / TOKENIZER))
        described = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END_OF_TEXT_NAME,
            "eos_token": END_OF_TEXT_NAME,
            "clean_up_tokenization_spaces": False,
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=2) + "\n")


class ModelTokens:
    """An existing tokenizer; special tokens spelled out in the text count as such.

    Args:
        name: A folder, or a name on the hub.

    Raises:
        DataError: It cannot be loaded, or has no end-of-text token.
    """

    cuts = False  # some add a space at the start of a text

    def __init__(self, name: str):
        self.tokenizer = _load_tokenizer(name)
        if self.tokenizer.eos_token_id is None:
            raise DataError(
                f"data.tokenizer: {name}: no end-of-text token; set eos_token in its "
                "tokenizer_config.json"
            )
        self.end_of_text = int(self.tokenizer.eos_token_id)
        table = self.tokenizer.get_vocab()
        self.vocab_size = max(table.values()) + 1
        self.vocabulary = _vocabulary(table, self.end_of_text)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text."""
        encoded = self.tokenizer(
            texts, add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        return list(encoded["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids."""
        return str(self.tokenizer.decode(list(ids)))

    def save(self, folder: Path) -> None:
        """Write a copy of its files."""
        with naming(folder / TOKENIZER):
            self.tokenizer.save_pretrained(str(folder))


def make_tokenizer(settings: Mapping[str, Any], documents: list[str]) -> Tokenizer:
    """Return the tokenizer of the settings.

    Args:
        settings: The data section.
        documents: The training split, for a BPE.

    Raises:
        DataError: An existing tokenizer cannot be loaded.
    """
    if settings["tokens"] == "bpe":
        return train_bpe(documents, settings["bpe_vocab_size"])
    if settings["tokens"] == "tokenizer":
        return ModelTokens(settings["tokenizer"])
    return ByteTokens()


def load_tokenizer(settings: Mapping[str, Any], folder: Path) -> Tokenizer:
    """Return the tokenizer of the settings, as it was saved in a folder.

    Raises:
        DataError: It cannot be loaded.
    """
    if settings["tokens"] == "bpe":
        from tokenizers import Tokenizer as Loaded

        try:
            return BytePairTokens(Loaded.from_file(str(folder / TOKENIZER)))
        except Exception as error:  # the library has no class of its own
            raise DataError(f"{folder / TOKENIZER}: cannot be loaded: {one_line(error)}") from None
    return ModelTokens(str(folder)) if settings["tokens"] == "tokenizer" else ByteTokens()


def train_bpe(documents: list[str], vocab_size: int) -> BytePairTokens:
    """Train a byte-level BPE (Sennrich et al. 2016; on bytes: Radford et al. 2019).

    Splits words like GPT-2. Too little text gives fewer entries.

    Args:
        documents: Text.
        vocab_size: Number of entries: end-of-text, 256 bytes, then merges.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT_NAME],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    with _one_thread():
        batches = text_batches(documents, True, f"words of a BPE of {vocab_size} tokens")
        tokenizer.train_from_iterator(([text for text, _ in batch] for batch in batches), trainer)
    return BytePairTokens(tokenizer)


def token_batches(tokenizer: Tokenizer, documents: list[str], name: str) -> Iterator[np.ndarray]:
    """Yield batches of tokens, shape (tokens,), with end-of-text after each document.

    Args:
        tokenizer: The tokenizer.
        documents: Text.
        name: Name of the documents in progress messages.
    """
    dtype = token_dtype(tokenizer.vocab_size)
    end = np.array([tokenizer.end_of_text], dtype)
    for batch in text_batches(documents, tokenizer.cuts, name):
        parts = []
        encoded = tokenizer.encode([text for text, _ in batch])
        for ids, (_, last) in zip(encoded, batch, strict=True):
            parts += [np.asarray(ids, dtype), end] if last else [np.asarray(ids, dtype)]
        yield np.concatenate(parts)


def token_dtype(vocab_size: int) -> np.dtype:
    """Return the smallest dtype that holds the vocabulary."""
    return np.dtype("<u2") if vocab_size <= 2**16 else np.dtype("<u4")


def tokenizer_sources(settings: Mapping[str, Any]) -> list[Path]:
    """Return the files of a local tokenizer; none for other tokens, or for names on the hub.

    Raises:
        DataError: The path does not exist, or is not a folder with a tokenizer.
    """
    if settings["tokens"] != "tokenizer":
        return []
    name = settings["tokenizer"]
    folder = local_copy("data.tokenizer", name)
    if folder is None:
        return []
    files = {file for pattern in TOKENIZER_FILES for file in folder.glob(pattern)}
    if not files:
        raise DataError(f"data.tokenizer: {name}: should be a folder with tokenizer files")
    return sorted(files)


def _load_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    path = local_copy("data.tokenizer", name)
    reason = None if path else why_offline()
    local = path is not None or reason is not None
    try:
        with offline() if local else nullcontext():
            return AutoTokenizer.from_pretrained(
                str(path or name), trust_remote_code=False, local_files_only=local
            )
    except Exception as error:  # each kind of loader raises different errors
        if reason and isinstance(error, OSError):
            raise not_here("data.tokenizer", name, reason) from None
        raise DataError(
            f"data.tokenizer: {name}: cannot be loaded by transformers: {one_line(error)}"
        ) from None


def _vocabulary(table: Mapping[str, int], end_of_text: int) -> str:
    return digest({"end_of_text": end_of_text, "tokens": dict(table)})


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run `tokenizers` in one thread, so that results do not depend on the order of threads."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = before
