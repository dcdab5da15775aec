"""Text for tokenizers: documents, a BPE that was trained on them, a data set of the hub."""

import json
from pathlib import Path
from typing import Any

import datasets

from resweep.paths import Layout
from resweep.systems.language.data_section import Data
from tests.support.language import MadeTokens, ensure_tokens

DOCUMENTS = [
    f"Document {n}: the {'quick ' * (n % 5)}fox's naïve 猫 said  <|endoftext|>\n\n\tno {n * n} 🦊"
    for n in range(300)
]


def settings(**changes: Any) -> dict[str, Any]:
    """Return a complete data section."""
    return Data.model_validate(changes).model_dump(mode="json")


def hub_settings(dataset: Path | str, **changes: Any) -> dict[str, Any]:
    """Return the section of a data set of the hub, or a copy of one."""
    return settings(source="hub", dataset=str(dataset), **changes)


def bpe_settings(corpus: Path, **changes: Any) -> dict[str, Any]:
    """Return the section of a small BPE."""
    wanted = {"source": "jsonl", "paths": [str(corpus)], "tokens": "bpe", "bpe_vocab_size": 320}
    return settings(**wanted | changes)


def write_corpus(folder: Path) -> Path:
    """Write the documents as JSON lines; returns the file."""
    file = folder / "a.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    return file


def prepare_bpe(corpus: Path, folder: Path) -> MadeTokens:
    """Train the BPE, and prepare the documents with it."""
    return ensure_tokens(bpe_settings(corpus), Layout(folder))


def rows() -> datasets.Dataset:
    """Return the documents as a data set."""
    return datasets.Dataset.from_dict({"text": DOCUMENTS, "n": list(range(len(DOCUMENTS)))})


def write_parquet(folder: Path) -> Path:
    """Write the data set as files of the hub, training and validation; returns their folder."""
    folder.mkdir()
    rows().to_parquet(folder / "train.parquet")
    rows().select(range(9)).to_parquet(folder / "validation.parquet")
    return folder
