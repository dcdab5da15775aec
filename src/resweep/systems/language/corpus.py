"""Documents of a text source, and their split into training, validation and test sets.

    settings -> documents -> groups of equal text -> splits

Equal documents always go to the same split, so that validation data is never trained on. Splits
that come in files of their own (val_paths, test_paths) are taken as they are, and training text
that is in them too is left out.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from resweep.errors import DataError
from resweep.plurals import counted
from resweep.systems.language.data_section import first_data_of
from resweep.systems.language.hub import dataset_files, dataset_folder, read_dataset
from resweep.systems.language.networkx_docs import read_networkx_docs
from resweep.systems.language.text_files import (
    expand_home,
    find_files,
    read_text,
    search_folders,
)
from resweep.systems.language.tokens import tokenizer_sources

SPLITS = ("train", "val", "test")
PATHS = {"train": "paths", "val": "val_paths", "test": "test_paths"}


def source_files(settings: Mapping[str, Any]) -> list[Path]:
    """Return the files that text and tokenizer are read from, in sorted order.

    Raises:
        DataError: A path or glob matches no file.
    """
    if settings["source"] == "hub":
        texts = dataset_files(settings)
    else:
        texts = [file for split in SPLITS for file in _text_files(settings, split)]
    first = first_data_of(settings)
    try:
        of_first = [] if first is None else source_files(first)
    except DataError as error:
        raise DataError(f"data.first_data: {error}") from None
    return sorted({*texts, *of_first, *tokenizer_sources(settings)})


def source_folders(settings: Mapping[str, Any]) -> list[Path]:
    """Return where text and tokenizer are looked for, if they are local, whether there or not."""
    folders = search_folders([path for key in PATHS.values() for path in settings.get(key, ())])
    if settings["source"] == "hub":
        folders.append(dataset_folder(settings))
    if settings["tokens"] == "tokenizer":
        folders.append(expand_home(settings["tokenizer"]))
    first = first_data_of(settings)
    return folders if first is None else [*folders, *source_folders(first)]


def _text_files(settings: Mapping[str, Any], split: str = "train") -> list[Path]:
    suffix = ".jsonl" if settings["source"] == "jsonl" else ".txt"
    return find_files(settings.get(PATHS[split], ()), suffix, f"data.{PATHS[split]}")


def read_splits(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Read all documents of a source, and return those of each split.

    Raises:
        DataError: As `read_documents` and `split_documents`; or nothing is left to train on.
    """
    if not settings.get("val_paths"):
        return split_documents(read_documents(settings), settings)
    splits = {
        name: read_documents(settings, name) if settings[key] else [] for name, key in PATHS.items()
    }
    held_out = {*splits["val"], *splits["test"]}
    train = [text for text in splits["train"] if text not in held_out]
    if not train:
        raise DataError(
            "data.paths: all of its text is in data.val_paths or data.test_paths too; give files "
            "that are not held out"
        )
    return {**splits, "train": train}


def read_documents(settings: Mapping[str, Any], split: str = "train") -> list[str]:
    """Read all documents of a source, in a fixed order.

    Args:
        settings: The data section.
        split: Whose files to read, where splits have files of their own.

    Raises:
        DataError: A file or data set is missing, not UTF-8 or without the text field, or there is
            no text.
    """
    if settings["source"] == "networkx-docs":
        documents = list(read_networkx_docs())
    elif settings["source"] == "python-docs":
        documents = list(_python_documentation())
    elif settings["source"] == "hub":
        documents = list(read_dataset(settings))
    else:
        documents = [
            document
            for file in _text_files(settings, split)
            for document in _file_documents(file, settings)
        ]
    documents = [document for document in documents if document.strip()]
    if not documents:
        raise DataError(f"data.source: {settings['source']}: no text in {_named(settings, split)}")
    return documents


def _named(settings: Mapping[str, Any], split: str) -> str:
    """Return what a source is read from: the data set, or its first file and how many more."""
    if settings["source"] not in ("text", "jsonl"):
        return str(settings["dataset"] or "the documentation")
    first, *more = _text_files(settings, split)
    return f"{first} and {counted(len(more), 'more file')}" if more else str(first)


def _python_documentation() -> Iterator[str]:
    from pydoc_data import topics

    for _, text in sorted(topics.topics.items()):
        yield text


def _file_documents(file: Path, settings: Mapping[str, Any]) -> Iterator[str]:
    text = read_text(file)
    if settings["source"] == "jsonl":
        yield from _json_lines(file, text, settings["text_field"])
    elif settings["documents"] == "blank_line":
        yield from re.split(r"\n\s*\n", text)
    else:
        yield text


def _json_lines(file: Path, text: str, field: str) -> Iterator[str]:
    # Not splitlines: other separators (U+2028, U+0085) may occur inside JSON strings.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise DataError(f"{file}: line {number} is not JSON: {error}") from None
        if not isinstance(entry, dict) or not isinstance(entry.get(field), str):
            raise DataError(
                f"{file}: line {number} has no text under {field!r}; set data.text_field"
            )
        try:
            entry[field].encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{file}: line {number} is not valid Unicode: {error}") from None
        yield entry[field]


def split_documents(documents: list[str], settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Split documents into train, val and test.

    `split: document` orders distinct documents by the hash of their text and fills first the test,
    then the validation split up to their fraction of all bytes, always with whole documents.
    `split: contiguous` cuts the joined text instead: head for training, tail for val and test.

    Raises:
        DataError: There are too few documents, or too little text, for all splits.
    """
    if settings["split"] == "contiguous":
        return _split_text("\n\n".join(documents), settings)
    groups: dict[bytes, list[str]] = {}
    for document in documents:
        groups.setdefault(hashlib.sha256(document.encode()).digest(), []).append(document)
    total = sum(len(document.encode()) for document in documents)
    splits: dict[str, list[str]] = {name: [] for name in SPLITS}
    wanted = [
        ("test", settings["test_fraction"] * total),
        ("val", settings["val_fraction"] * total),
    ]
    filled = 0.0
    for _, group in sorted(groups.items()):
        while wanted and filled >= wanted[0][1]:
            wanted.pop(0)
            filled = 0.0
        splits[wanted[0][0] if wanted else "train"] += group
        filled += sum(len(document.encode()) for document in group)
    _refuse_empty(splits, settings, f"{counted(len(groups), 'different document')} cannot be split")
    return splits


def _split_text(text: str, settings: Mapping[str, Any]) -> dict[str, list[str]]:
    test = len(text) - round(len(text) * settings["test_fraction"])
    val = test - round(len(text) * settings["val_fraction"])
    splits = {"train": [text[:val]], "val": [text[val:test]], "test": [text[test:]]}
    splits = {name: [part for part in parts if part] for name, parts in splits.items()}
    _refuse_empty(splits, settings, f"{counted(len(text), 'character')} cannot be split")
    return splits


def _refuse_empty(splits: Mapping[str, list[str]], settings: Mapping[str, Any], what: str) -> None:
    needed = [name for name in SPLITS if name != "test" or settings["test_fraction"] > 0]
    empty = [name for name in needed if not splits[name]]
    if empty:
        fixes = []
        if settings["split"] == "document":
            fixes.append("set data.split: contiguous (one long text)")
            if settings["source"] == "text" and settings["documents"] == "file":
                fixes.append("set data.documents: blank_line")
        raise DataError(
            f"data: {what}: {' and '.join(empty)} would be empty; "
            f"{' or '.join(['add more text', *fixes])}"
        )
