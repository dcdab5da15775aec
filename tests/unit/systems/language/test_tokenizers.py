"""BPE tokens, models' own tokenizers and data sets of the hub, with the real libraries."""

import json
import os
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
from pydantic import ValidationError
from transformers import AutoTokenizer

from resweep.data import store
from resweep.errors import DataError
from resweep.paths import Layout
from resweep.systems.language import cut_text
from resweep.systems.language.corpus import SPLITS, read_documents, source_files, split_documents
from resweep.systems.language.cut_text import text_batches
from resweep.systems.language.data_section import Data
from resweep.systems.language.token_data import read_documents_of
from resweep.systems.language.tokens import token_batches, train_bpe
from tests.conftest import ROOT
from tests.support.language import SYSTEM, MadeTokens, ensure_tokens
from tests.support.texts import (
    DOCUMENTS,
    bpe_settings,
    hub_settings,
    prepare_bpe,
    rows,
    settings,
    write_corpus,
    write_parquet,
)


def one_line(call, *arguments) -> str:
    with pytest.raises(DataError) as caught:
        call(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def refused(**changes) -> str:
    with pytest.raises(ValidationError) as caught:
        Data.model_validate(changes)
    (error,) = caught.value.errors()
    assert len(error["msg"].splitlines()) == 1
    return error["msg"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def bpe(corpus, tmp_path_factory) -> MadeTokens:
    return prepare_bpe(corpus, tmp_path_factory.mktemp("bpe"))


def documents_of(data: MadeTokens, split: str) -> list[np.ndarray]:
    """The documents of a split, as tokens."""
    read = data.split(split)
    ends = np.flatnonzero(read == data.end_of_text)
    assert ends[-1] == len(read) - 1
    return np.split(read[:-1], ends[:-1] + 1)


def without_end(data: MadeTokens, document: np.ndarray) -> list[int]:
    return [token for token in document.tolist() if token != data.end_of_text]


def described(data: MadeTokens) -> dict:
    return json.loads((data.folder / "data.json").read_text())


# BPE


def test_text_comes_back_from_the_tokens_of_a_bpe(bpe, corpus):
    tokenizer = AutoTokenizer.from_pretrained(bpe.folder, local_files_only=True)
    splits = split_documents(read_documents(bpe_settings(corpus)), bpe_settings(corpus))
    for name in SPLITS:
        read = documents_of(bpe, name)
        assert [tokenizer.decode(without_end(bpe, d)) for d in read] == splits[name]
        assert read_documents_of(bpe.prepared, name) == splits[name]


def test_transformers_gives_the_ids_that_were_trained_on(bpe, corpus):
    tokenizer = AutoTokenizer.from_pretrained(bpe.folder, local_files_only=True)
    splits = split_documents(read_documents(bpe_settings(corpus)), bpe_settings(corpus))
    expected = tokenizer(splits["val"], split_special_tokens=True)["input_ids"]
    assert [without_end(bpe, d) for d in documents_of(bpe, "val")] == expected
    assert tokenizer.eos_token_id == bpe.end_of_text == 0
    assert len(tokenizer) == bpe.vocab_size == 320
    assert tokenizer.decode([bpe.end_of_text]) == "<|endoftext|>"


def test_a_folder_of_a_gpt2_loads_the_bpe_too(bpe, tmp_path):
    for file in bpe.tokenizer_files():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "vocab_size": 320}')
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert tokenizer.decode(tokenizer(DOCUMENTS[7])["input_ids"]) == DOCUMENTS[7]
    assert len(tokenizer) == 320


def test_the_files_of_a_bpe_are_named(bpe):
    names = [file.name for file in bpe.tokenizer_files()]
    assert names == ["tokenizer.json", "tokenizer_config.json"]


def test_a_bpe_is_trained_on_the_training_split_alone(bpe, corpus, tmp_path):
    wanted = bpe_settings(corpus)
    splits = split_documents(read_documents(wanted), wanted)
    train_bpe(splits["train"], 320).save(tmp_path)
    trained = (bpe.folder / "tokenizer.json").read_bytes()
    assert (tmp_path / "tokenizer.json").read_bytes() == trained
    train_bpe(splits["train"] + ["zzzz " * 500], 320).save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() != trained


def test_training_again_gives_equal_files_in_another_process_too(bpe, corpus, tmp_path):
    again = ensure_tokens(bpe_settings(corpus), Layout(tmp_path / "here"))
    code = (
        "import json, sys; from pathlib import Path; from tests.support.language import ensure; "
        "from resweep.paths import Layout; "
        "ensure(json.loads(sys.argv[1]), Layout(Path(sys.argv[2])))"
    )
    words = [sys.executable, "-c", code, json.dumps(bpe_settings(corpus)), str(tmp_path / "there")]
    environment = {"PYTHONHASHSEED": "7", "RAYON_NUM_THREADS": "2", "PYTHONPATH": str(ROOT / "src")}
    subprocess.run(words, check=True, env=os.environ | environment)
    for name in bpe.files:
        for folder in (again.folder, tmp_path / "there/data" / bpe.folder.name):
            assert (folder / name).read_bytes() == (bpe.folder / name).read_bytes()
    assert again.prepared.about == bpe.prepared.about


def test_the_vocabulary_of_little_text_is_what_it_has():
    tokenizer = train_bpe(["aaab"], 4096)
    assert 257 < tokenizer.vocab_size < 265
    assert train_bpe(["abc"], 257).vocab_size == 257
    assert refused(tokens="bpe", bpe_vocab_size=256) == (
        "Input should be greater than or equal to 257"
    )


def test_the_end_of_a_text_is_never_read_out_of_it(bpe):
    assert all("<|endoftext|>" in document for document in DOCUMENTS)
    ends = sum(int((bpe.split(name) == bpe.end_of_text).sum()) for name in SPLITS)
    assert ends == len(DOCUMENTS)


@pytest.mark.parametrize("characters", [1, 50, 1000])
def test_long_documents_are_cut_where_no_token_changes(characters, monkeypatch):
    tokenizer = train_bpe(DOCUMENTS, 500)
    monkeypatch.setattr(cut_text, "BATCH_CHARACTERS", characters)
    text = "\n".join(DOCUMENTS) + " \n  \x1c \u00a0 end "
    pieces = [piece for batch in text_batches([text, ""], True, "") for piece in batch]
    assert "".join(piece for piece, _ in pieces) == text
    assert [last for _, last in pieces].count(True) == 2
    ids = [token for ids in tokenizer.encode([piece for piece, _ in pieces]) for token in ids]
    assert ids == tokenizer.encode([text])[0]
    assert len(pieces) > len(text) / (characters + 20) / 2


def test_batches_are_bounded_and_whole_documents_stay_whole_where_cuts_would_matter(monkeypatch):
    monkeypatch.setattr(cut_text, "BATCH_CHARACTERS", 120)
    documents = ["word " * 10] * 100
    batches = list(text_batches(documents, False, ""))
    assert max(sum(len(piece) for piece, _ in batch) for batch in batches) < 120 + 50
    assert [piece for batch in batches for piece, _ in batch] == documents
    assert list(text_batches(["word " * 100], False, "")) == [[("word " * 100, True)]]
    assert list(text_batches(["x" * 500], True, "")) == [[("x" * 500, True)]]


def test_documents_longer_than_a_batch_end_once(monkeypatch):
    tokenizer = train_bpe(DOCUMENTS, 300)
    expected = np.concatenate(list(token_batches(tokenizer, DOCUMENTS, "")))
    monkeypatch.setattr(cut_text, "BATCH_CHARACTERS", 30)
    read = list(token_batches(tokenizer, DOCUMENTS, ""))
    assert len(read) > len(DOCUMENTS)
    assert np.concatenate(read).tolist() == expected.tolist()


def test_long_work_says_how_far_it_is(monkeypatch, corpus, tmp_path, capsys):
    monkeypatch.setattr(cut_text, "PROGRESS_SECONDS", -1)
    monkeypatch.setattr(cut_text, "BATCH_CHARACTERS", 1000)
    ensure_tokens(bpe_settings(corpus), Layout(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    for name in ("words of a BPE of 320 tokens", "tokens of train", "tokens of val"):
        told = [line for line in lines if line.startswith(f"{name}: ")]
        counts = [int(line.split()[-4].replace(",", "")) for line in told]
        assert len(counts) > 0 and counts == sorted(set(counts))


def test_vocabularies_that_differ_are_different_data(corpus, tmp_path):
    layout = Layout(tmp_path)
    made = [ensure_tokens(bpe_settings(corpus, bpe_vocab_size=size), layout) for size in (300, 301)]
    assert made[0].digest != made[1].digest
    assert made[0].folder != made[1].folder


def test_bits_per_byte_can_be_told_from_bytes_per_token(bpe, corpus):
    wanted = bpe_settings(corpus)
    val = split_documents(read_documents(wanted), wanted)["val"]
    ratio = described(bpe)["bytes_per_token"]
    assert ratio == sum(len(text.encode()) for text in val) / bpe.tokens["val"]
    assert ratio > 1.3


# A model's own tokenizer


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """A tokenizer as a model has one: it puts a start before what it encodes."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[UNK]", "<s>", "</s>"]
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(DOCUMENTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    folder = tmp_path_factory.mktemp("model")
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"unk_token": "[UNK]", "bos_token": "<s>", "eos_token": "</s>", "model_max_length": 8}
    configuration = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def model_settings(corpus: Path, tokenizer: Path | str) -> dict:
    return bpe_settings(corpus, tokens="tokenizer", bpe_vocab_size=4096, tokenizer=str(tokenizer))


def test_a_models_own_tokenizer_is_used_and_copied(corpus, model_folder, tmp_path):
    wanted = model_settings(corpus, model_folder)
    data = ensure_tokens(wanted, Layout(tmp_path))
    original, copied = (
        AutoTokenizer.from_pretrained(folder, local_files_only=True)
        for folder in (model_folder, data.folder)
    )
    assert data.end_of_text == original.eos_token_id == 2
    assert data.vocab_size == len(original) == len(copied)
    val = split_documents(read_documents(wanted), wanted)["val"]
    for tokenizer in (original, copied):
        ids = tokenizer(val, add_special_tokens=False)["input_ids"]
        assert read_documents_of(data.prepared, "val") == tokenizer.batch_decode(ids)
        assert [without_end(data, d) for d in documents_of(data, "val")] == ids
    assert {"tokenizer.json", "tokenizer_config.json"} <= {f.name for f in data.tokenizer_files()}


def test_a_tokenizer_is_a_source_but_weights_are_not(corpus, model_folder, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for file in model_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    layout, wanted = Layout(tmp_path / "results"), model_settings(corpus, folder)
    names = [file.name for file in source_files(wanted)]
    assert sorted(names) == ["a.jsonl", "tokenizer.json", "tokenizer_config.json"]
    first = ensure_tokens(wanted, layout)
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"fox"', '"fax"'))
    assert store.find(SYSTEM, wanted, layout) is None
    assert ensure_tokens(wanted, layout).digest != first.digest


def test_equal_ids_spelled_differently_are_different_data(corpus, tmp_path):
    digests = []
    for letter in "ab":
        folder = tmp_path / letter
        folder.mkdir()
        vocabulary = {"[UNK]": 0, "</s>": 1, f"{letter * 9}": 2}
        model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
        none = ("normalizer", "post_processor", "decoder", "truncation", "padding")
        whole = dict.fromkeys(none) | {
            "version": "1.0",
            "added_tokens": [],
            "pre_tokenizer": {"type": "Whitespace"},
            "model": model,
        }
        (folder / "tokenizer.json").write_text(json.dumps(whole))
        (folder / "tokenizer_config.json").write_text(
            '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}'
        )
        data = ensure_tokens(model_settings(corpus, folder), Layout(tmp_path / "results"))
        digests.append((data.digest, data.split("train").tobytes()))
    assert digests[0][1] == digests[1][1]
    assert digests[0][0] != digests[1][0]


def test_tokenizers_that_cannot_be_used_are_refused(corpus, model_folder, tmp_path, monkeypatch):
    layout = Layout(tmp_path / "results")
    missing = one_line(ensure_tokens, model_settings(corpus, "./missing"), layout)
    assert missing.startswith("data.tokenizer: ./missing: ") and "no such file" in missing
    (tmp_path / "empty").mkdir()
    empty = one_line(ensure_tokens, model_settings(corpus, tmp_path / "empty"), layout)
    assert str(tmp_path / "empty") in empty and "files" in empty
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/tokenizer.json").write_text("{")
    broken = one_line(ensure_tokens, model_settings(corpus, tmp_path / "broken"), layout)
    assert "broken: cannot be loaded by transformers: " in broken
    (tmp_path / "endless").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (model_folder / name).read_text().replace('"eos_token"', '"pad_token"')
        (tmp_path / "endless" / name).write_text(text)
    endless = one_line(ensure_tokens, model_settings(corpus, tmp_path / "endless"), layout)
    assert "endless" in endless and "eos_token" in endless
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    absent = one_line(ensure_tokens, model_settings(corpus, "nobody/no-tokenizer"), layout)
    assert "data.tokenizer: nobody/no-tokenizer: " in absent and "cache" in absent


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokens": "tokenizer"}, ["tokens: tokenizer", "tokenizer: NAME or PATH"]),
        ({"tokenizer": "gpt2"}, ["tokens: tokenizer", "bytes"]),
        ({"source": "hub"}, ["source: hub", "dataset: NAME or PATH"]),
        ({"source": "hub", "dataset": ""}, ["at least 1 character"]),
        ({"dataset": "x"}, ["dataset", "source: hub", "networkx-docs"]),
        ({"source": "hub", "dataset": "x", "paths": ["y"]}, ["paths", "dataset: NAME or PATH"]),
        ({"tokens": "words"}, ["'bytes', 'bpe' or 'tokenizer'"]),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, words):
    message = refused(**changes)
    assert all(word in message for word in words)


# Data sets of the hub, and copies of them


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> Path:
    """The same data set in each form that a copy may have."""
    folder = tmp_path_factory.mktemp("copies")
    data = rows()
    data.save_to_disk(folder / "saved")
    datasets.DatasetDict({"train": data, "dev": data.select(range(9))}).save_to_disk(
        folder / "splits"
    )
    write_parquet(folder / "parquet")
    data.to_json(folder / "rows.jsonl")
    data.to_parquet(folder / "rows.parquet")
    return folder


@pytest.mark.parametrize("name", ["saved", "splits", "parquet", "rows.jsonl", "rows.parquet"])
def test_local_copies_are_read_in_order(name, copies):
    assert read_documents(hub_settings(copies / name)) == DOCUMENTS


@pytest.mark.parametrize(
    ("name", "split"), [("splits", "dev"), ("parquet", "validation"), ("rows.jsonl", "train[:9]")]
)
def test_another_split_can_be_read(name, split, copies):
    assert read_documents(hub_settings(copies / name, dataset_split=split)) == DOCUMENTS[:9]


@pytest.mark.parametrize("name", ["saved", "splits", "parquet", "rows.jsonl"])
def test_an_unknown_split_is_refused(name, copies):
    message = one_line(read_documents, hub_settings(copies / name, dataset_split="tset"))
    assert f"data.dataset: {copies / name}: Unknown split " in message
    assert "tset" in message and "'train'" in message


def test_a_missing_column_is_refused_with_those_there_are(copies):
    message = one_line(read_documents, hub_settings(copies / "saved", text_field="body"))
    assert message.startswith("data.text_field: body: ") and "text, n" in message
    assert str(copies / "saved") in message
    message = one_line(read_documents, hub_settings(copies / "saved", text_field="n"))
    assert "row 1 " in message and "'n'" in message and "data.text_field" in message


def test_bad_copies_are_refused(copies, tmp_path):
    (tmp_path / "empty").mkdir()
    empty = one_line(read_documents, hub_settings(tmp_path / "empty"))
    assert "data.dataset" in empty and str(tmp_path / "empty") in empty
    assert "no files" in one_line(source_files, hub_settings(tmp_path / "empty"))
    (tmp_path / "a.jsonl").write_text('{"text": ')
    assert "a.jsonl: " in one_line(read_documents, hub_settings(tmp_path / "a.jsonl"))
    (tmp_path / "a.bin").write_text("x")
    assert ".arrow" in one_line(read_documents, hub_settings(tmp_path / "a.bin"))
    assert "no such file" in one_line(source_files, hub_settings(tmp_path / "no.parquet"))
    config = one_line(read_documents, hub_settings(copies / "parquet", dataset_config="fr"))
    assert "fr" in config and "default" in config


def test_changed_copies_are_seen(copies, tmp_path):
    layout, wanted = Layout(tmp_path / "results"), hub_settings(tmp_path / "rows")
    rows().save_to_disk(tmp_path / "rows")
    first = ensure_tokens(wanted, layout)
    assert {str(file) for file in source_files(wanted)} == set(described(first)["sources"])
    assert len(described(first)["sources"]) == 3
    inode = (first.folder / "train.bin").stat().st_ino
    assert ensure_tokens(wanted, layout) == first
    assert (first.folder / "train.bin").stat().st_ino == inode
    rows().select(range(200)).save_to_disk(tmp_path / "rows")
    assert ensure_tokens(wanted, layout).digest != first.digest


def test_a_changed_file_is_not_read_from_a_cache(tmp_path):
    file = tmp_path / "a.jsonl"
    for word in ("one", "two"):  # of equal size, and dated equally
        file.write_text(json.dumps({"text": word}))
        os.utime(file, ns=(1, 1))
        assert read_documents(hub_settings(file)) == [word]


def test_equal_text_is_equal_data_wherever_it_lies(copies, corpus, tmp_path):
    layout = Layout(tmp_path)
    jsonl = ensure_tokens(settings(source="jsonl", paths=[str(corpus)]), layout)
    assert ensure_tokens(hub_settings(copies / "splits"), layout).digest == jsonl.digest


def test_names_on_the_hub_are_no_files_and_revisions_are_other_data():
    wanted = hub_settings("owner/corpus")
    assert source_files(wanted) == []
    revised = hub_settings("owner/corpus", dataset_revision="1a2b3c")
    assert store.data_id(SYSTEM, wanted) != store.data_id(SYSTEM, revised)
