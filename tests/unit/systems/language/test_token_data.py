"""Text to tokens: what is in the files of prepared data."""

import json
from pathlib import Path

import numpy as np
import pytest

from resweep.paths import Layout
from resweep.systems.language.corpus import SPLITS, read_documents, split_documents
from resweep.systems.language.token_data import TokenData, read_documents_of
from resweep.systems.language.tokens import ByteTokens, token_batches, token_dtype
from tests.support.corpus import blank_lines, data_error, write_documents
from tests.support.language import ensure, ensure_tokens, tokens


def encode_bytes(documents: list[str]) -> np.ndarray:
    return np.concatenate([*token_batches(ByteTokens(), documents, ""), np.empty(0, "<u2")])


@pytest.fixture
def text(tmp_path):
    return write_documents(tmp_path)


def test_tokens_are_bytes_with_an_end_after_each_document():
    assert encode_bytes(["hé", ""]).tolist() == [104, 195, 169, 256, 256]
    assert encode_bytes([]).tolist() == []


def test_what_is_prepared_is_what_the_text_says(text, tmp_path):
    wanted = blank_lines(text)
    prepared = ensure(wanted, Layout(tmp_path / "results"))
    data = TokenData(prepared)
    splits = split_documents(read_documents(wanted), wanted)
    for name in SPLITS:
        assert data.split(name).tolist() == encode_bytes(splits[name]).tolist()
        assert data.tokens[name] == len(data.split(name))
        assert read_documents_of(prepared, name) == [text for text in splits[name] if text]
    assert data.vocab_size == 257
    described = json.loads((data.folder / "data.json").read_text())
    assert described["settings"] == wanted
    assert described["documents"] == {name: len(splits[name]) for name in SPLITS}


def test_data_of_bytes_that_says_no_end_of_text_has_that_of_bytes(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure_tokens(blank_lines(text), layout)
    described = json.loads((first.folder / "data.json").read_text())
    assert described.pop("end_of_text") == first.end_of_text == 256
    (first.folder / "data.json").write_text(json.dumps(described))
    again = ensure_tokens(blank_lines(text), layout)
    assert (again.end_of_text, again.digest) == (256, first.digest)
    assert first.tokenizer_files() == []


def test_bytes_per_token_count_the_ends_of_documents(text, tmp_path):
    data = ensure_tokens(blank_lines(text), Layout(tmp_path / "results"))
    described = json.loads((data.folder / "data.json").read_text())
    ends = described["documents"]["val"]
    assert described["bytes_per_token"] == 1 - ends / data.tokens["val"]


@pytest.mark.parametrize(("vocabulary", "bytes_each"), [(257, 2), (65536, 2), (65537, 4)])
def test_tokens_take_two_bytes_where_they_can(vocabulary, bytes_each, tmp_path):
    dtype = token_dtype(vocabulary)
    assert dtype.itemsize == bytes_each
    assert vocabulary - 1 <= np.iinfo(dtype).max
    np.array([0, vocabulary - 1], dtype).tofile(tmp_path / "train.bin")
    data = tokens(tmp_path, vocabulary, {"train": 2})
    assert data.split("train").tolist() == [0, vocabulary - 1]


def test_an_empty_split_has_no_tokens(tmp_path):
    (tmp_path / "test.bin").touch()
    assert len(tokens(tmp_path, 257, {"test": 0}).split("test")) == 0


@pytest.mark.parametrize("short", ["train", "val"])
def test_a_split_without_a_full_sequence_is_named(short):
    data = tokens(Path("x"), 257, {"train": 65, "val": 65, "test": 0, short: 64})
    message = data_error(data.require_tokens, 64)
    assert f"the {short} split has 64 tokens, fewer than model.context_length = 64 + 1" in message
    data.require_tokens(63)
