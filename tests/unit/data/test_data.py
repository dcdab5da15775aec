"""Text to tokens to batches: nothing leaks between splits, nothing is prepared twice."""

import json
import math
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from resweep.data import store
from resweep.errors import DataError
from resweep.paths import Layout
from resweep.systems.language import bigram
from resweep.systems.language.batches import (
    TrainBatches,
    eval_batches,
    steps_for_epochs,
    windows_per_epoch,
)
from resweep.systems.language.corpus import SPLITS, read_documents, source_files, split_documents
from resweep.systems.language.data_section import Data
from resweep.systems.language.token_data import TokenData
from resweep.systems.language.tokens import ByteTokens, token_batches, token_dtype
from tests.support.language import SYSTEM, ensure, ensure_tokens, tokens

DOCUMENTS = [f"Document {n}: " + "word " * (n % 17 + 3) for n in range(200)]


def settings(**changes) -> dict:
    """A complete data section."""
    return Data.model_validate(changes).model_dump(mode="json")


def text_settings(*paths, **changes) -> dict:
    return settings(source="text", paths=[str(path) for path in paths], **changes)


def bytes_of(documents: list[str]) -> int:
    return sum(len(document.encode()) for document in documents)


def encode_bytes(documents: list[str]) -> np.ndarray:
    return np.concatenate([*token_batches(ByteTokens(), documents, ""), np.empty(0, "<u2")])


def one_line(call, *arguments) -> str:
    with pytest.raises(DataError) as caught:
        call(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# Splits


def test_every_document_lands_in_exactly_one_split():
    splits = split_documents(DOCUMENTS, settings())
    assert sorted(document for name in SPLITS for document in splits[name]) == sorted(DOCUMENTS)


def test_equal_documents_land_in_the_same_split():
    splits = split_documents(DOCUMENTS * 3, settings(val_fraction=0.3, test_fraction=0.2))
    sets = [set(splits[name]) for name in SPLITS]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    assert sum(map(len, splits.values())) == 3 * len(DOCUMENTS)


def test_splits_have_about_their_share_of_bytes():
    splits = split_documents(DOCUMENTS, settings(val_fraction=0.2, test_fraction=0.1))
    total = bytes_of(DOCUMENTS)
    assert bytes_of(splits["val"]) / total == pytest.approx(0.2, abs=0.01)
    assert bytes_of(splits["test"]) / total == pytest.approx(0.1, abs=0.01)


def test_the_order_of_documents_does_not_move_them():
    forwards, backwards = (split_documents(d, settings()) for d in (DOCUMENTS, DOCUMENTS[::-1]))
    assert set(forwards["val"]) == set(backwards["val"])


def test_another_document_moves_few():
    before = set(split_documents(DOCUMENTS, settings())["val"])
    after = set(split_documents([*DOCUMENTS, "one more"], settings())["val"])
    assert len(before ^ after) <= 2


def test_no_test_split_is_asked_for():
    splits = split_documents(DOCUMENTS, settings(test_fraction=0))
    assert splits["test"] == []
    assert splits["val"]


def test_a_contiguous_split_cuts_the_text_in_order():
    wanted = settings(split="contiguous", val_fraction=0.2, test_fraction=0.1)
    splits = split_documents(["abcdefghij" * 10], wanted)
    assert [len(splits[name][0]) for name in SPLITS] == [70, 20, 10]
    assert "".join(splits[name][0] for name in SPLITS) == "abcdefghij" * 10


def test_a_contiguous_split_joins_documents():
    splits = split_documents(["a" * 50, "b" * 50], settings(split="contiguous"))
    assert "".join(splits[name][0] for name in SPLITS) == "a" * 50 + "\n\n" + "b" * 50


@pytest.mark.parametrize("split", ["document", "contiguous"])
def test_too_little_text_is_one_line_with_the_fix(split):
    message = one_line(split_documents, ["a"], settings(split=split))
    assert "data.split: contiguous" in message


# Sources


def test_globs_find_files_below_and_each_once(tmp_path):
    for name in ("a.txt", "b.md", "deep/c.txt", "deep/er/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    wanted = text_settings(tmp_path / "**/*.txt", tmp_path / "a.txt", tmp_path / "b.md")
    assert [file.name for file in source_files(wanted)] == ["a.txt", "b.md", "c.txt", "d.txt"]
    assert read_documents(wanted) == ["a.txt", "b.md", "deep/c.txt", "deep/er/d.txt"]


def test_blank_lines_divide_documents(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n\n \t\nthree\n\n\n")
    wanted = text_settings(tmp_path / "a.txt", documents="blank_line")
    assert [document.strip() for document in read_documents(wanted)] == ["one\ntwo", "three"]


@pytest.mark.parametrize("pattern", ["missing.txt", "*.none", "folder"])
def test_a_path_without_files_is_named(pattern, tmp_path):
    (tmp_path / "folder").mkdir()
    message = one_line(read_documents, text_settings(tmp_path / pattern))
    assert f"data.paths: {tmp_path / pattern}: " in message and "no such file" in message


def test_files_without_text_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text(" \n\n")
    assert "no text" in one_line(read_documents, text_settings(tmp_path / "a.txt"))


def test_files_that_are_not_utf8_are_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    message = one_line(read_documents, text_settings(tmp_path / "a.txt"))
    assert "a.txt: " in message and "UTF-8" in message


def jsonl(tmp_path: Path, text: str, **changes) -> dict:
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    return settings(source="jsonl", paths=[str(tmp_path / "a.jsonl")], **changes)


def test_json_lines_give_a_document_each(tmp_path):
    text = '{"text": "one"}\n\n{"text": "two\\nlines", "other": 1}\r\n{"text": "three"}'
    assert read_documents(jsonl(tmp_path, text)) == ["one", "two\nlines", "three"]


def test_json_strings_may_hold_other_line_separators(tmp_path):
    documents = ["a\u2028b", "c\u0085d", "e\x1cf\x0c"]
    text = "\n".join(json.dumps({"text": document}, ensure_ascii=False) for document in documents)
    assert read_documents(jsonl(tmp_path, text)) == documents


def test_json_lines_may_keep_text_under_another_key(tmp_path):
    assert read_documents(jsonl(tmp_path, '{"body": "x"}', text_field="body")) == ["x"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"text": "a"}\n{"text": ', "line 2 is not JSON"),
        ('{"text": "a"}\n{"txt": "b"}', "line 2 has no text under 'text'; set data.text_field"),
        ('{"text": 3}', "line 1 has no text"),
        ('["text"]', "line 1 has no text"),
        ('{"text": "\\ud800"}', "line 1 is not valid Unicode"),
    ],
)
def test_bad_json_lines_are_named(text, words, tmp_path):
    message = one_line(read_documents, jsonl(tmp_path, text))
    assert words in message
    assert "a.jsonl" in message


# The store


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "corpus" / "a.txt"
    file.parent.mkdir()
    file.write_text("\n\n".join(DOCUMENTS))
    return file


def blank_lines(path) -> dict:
    return text_settings(path, documents="blank_line")


def test_tokens_are_bytes_with_an_end_after_each_document():
    assert encode_bytes(["hé", ""]).tolist() == [104, 195, 169, 256, 256]
    assert encode_bytes([]).tolist() == []


def test_what_is_prepared_is_what_the_text_says(text, tmp_path):
    wanted = blank_lines(text)
    data = TokenData(ensure(wanted, Layout(tmp_path / "results")))
    splits = split_documents(read_documents(wanted), wanted)
    for name in SPLITS:
        assert data.split(name).tolist() == encode_bytes(splits[name]).tolist()
        assert data.tokens[name] == len(data.split(name))
    assert data.vocab_size == 257
    described = json.loads((data.folder / "data.json").read_text())
    assert described["settings"] == wanted
    assert described["documents"] == {name: len(splits[name]) for name in SPLITS}


def test_fields_that_came_later_leave_the_names_of_data_as_they_were():
    assert store.data_id(SYSTEM, settings()) == "01cd8e17331f"
    assert store.data_id(SYSTEM, settings(source="jsonl", paths=["a"])) == "f15ea777d176"
    assert store.data_id(SYSTEM, settings(bpe_vocab_size=300)) != "01cd8e17331f"


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


def test_preparing_again_does_nothing(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    before = (first.folder / "train.bin").stat()
    again = ensure(blank_lines(text), layout)
    after = (first.folder / "train.bin").stat()
    assert again == first
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_changed_text_gets_another_digest(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    text.write_text(text.read_text().replace("word", "wort"))
    assert store.find(SYSTEM, blank_lines(text), layout) is None
    second = ensure(blank_lines(text), layout)
    assert (second.folder, second.digest != first.digest) == (first.folder, True)


def test_a_touched_file_keeps_the_digest(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    inode = (first.folder / "train.bin").stat().st_ino
    os.utime(text, ns=(1, 1))
    assert ensure(blank_lines(text), layout) == first
    assert (first.folder / "train.bin").stat().st_ino == inode


def test_a_new_file_below_a_glob_is_seen(text, tmp_path):
    layout = Layout(tmp_path / "results")
    wanted = blank_lines(text.parent / "*.txt")
    first = ensure(wanted, layout)
    (text.parent / "b.txt").write_text("another document")
    assert ensure(wanted, layout).digest != first.digest


def test_prepared_data_outlives_its_source(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    text.unlink()
    assert ensure(blank_lines(text), layout) == first


def test_moved_text_has_the_same_digest(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    moved = text.rename(tmp_path / "moved.txt")
    second = ensure(blank_lines(moved), layout)
    assert second.digest == first.digest
    assert second.folder != first.folder


def test_other_splits_have_another_digest(text, tmp_path):
    layout = Layout(tmp_path / "results")
    digests = {
        ensure(text_settings(text, documents="blank_line", val_fraction=share), layout).digest
        for share in (0.1, 0.2)
    }
    assert len(digests) == 2


def test_a_half_made_folder_is_made_anew(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    (first.folder / "data.json").write_text('{"settings":')
    assert ensure(blank_lines(text), layout) == first
    assert [path.name for path in first.folder.parent.glob("*.new")] == []


def _ensure_and_count(wanted, root, log, barrier, queue):
    prepare = store._prepare

    def counted(*arguments):
        with Path(log).open("a") as file:
            file.write("prepared\n")
        return prepare(*arguments)

    store._prepare = counted
    barrier.wait()
    queue.put(ensure(wanted, Layout(Path(root))).digest)


def test_two_processes_at_once_prepare_once(text, tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    arguments = (
        blank_lines(text),
        str(tmp_path / "results"),
        str(tmp_path / "log"),
        barrier,
        queue,
    )
    workers = [context.Process(target=_ensure_and_count, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    digests = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert len(digests) == 1
    assert (tmp_path / "log").read_text() == "prepared\n"


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
    message = one_line(data.require_tokens, 64)
    assert f"the {short} split has 64 tokens, fewer than model.context_length = 64 + 1" in message
    data.require_tokens(63)


# The floor of bigrams


def test_the_floor_of_bigrams_by_hand():
    train, val = np.array([0, 1, 0, 1, 0]), np.array([0, 1, 1])
    # After 0: 1 twice of 2 -> (2+1)/(2+2); after 1: 0 twice, 1 never -> (0+1)/(2+2).
    expected = -(math.log(3 / 4) + math.log(1 / 4)) / 2
    assert bigram.bigram_floor(train, val, 2) == pytest.approx(expected, abs=1e-12)


def test_the_floor_without_data_is_that_of_guessing():
    assert bigram.bigram_floor(np.array([0, 1]), np.array([1]), 257) == math.log(257)


def test_the_shipped_documentation_has_a_floor_worth_beating(tmp_path):
    data = ensure_tokens(settings(), Layout(tmp_path))
    described = json.loads((data.folder / "data.json").read_text())
    assert 2.2 < described["bigram_floor"] < 2.6
    assert sum(data.tokens.values()) > 400_000
    assert all(data.tokens[name] > 1000 for name in SPLITS)
    assert "tokens, vocabulary 257" in SYSTEM.describe_data(data.prepared)


def test_the_floor_of_large_vocabularies_is_counted_pair_by_pair(monkeypatch):
    monkeypatch.setattr(bigram, "CHUNK", 7)
    random = np.random.default_rng(0)
    train, val = random.integers(0, 40, 200), random.integers(0, 40, 50)
    counts = np.ones((60, 60))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    expected = -np.log(counts / counts.sum(1, keepdims=True))[val[:-1], val[1:]].mean()
    assert bigram.bigram_floor(train, val, 60) == pytest.approx(expected, abs=1e-12)
    large = bigram.bigram_floor(train.astype("<u4"), val.astype("<u4"), 2**20)
    assert 0.9 * math.log(2**20) < large < math.log(2**20)


# Batches


def batches(tokens=1000, context=8, batch=5, seed=0) -> TrainBatches:
    return TrainBatches(np.arange(tokens, dtype="<u2"), context, batch, seed)


def test_a_batch_holds_windows_of_consecutive_tokens():
    batch = batches().at(3)
    assert batch.shape == (5, 9)
    assert batch.dtype == np.int64
    assert (np.diff(batch, axis=1) == 1).all()


def test_every_window_is_read_once_an_epoch():
    source = batches(batch=1)
    for epoch in range(3):
        steps = range(epoch * source.windows, (epoch + 1) * source.windows)
        starts = sorted(int(source.at(step)[0, 0]) for step in steps)
        assert np.diff(starts).tolist() == [8] * (source.windows - 1)
        assert starts[0] >= 0
        assert starts[-1] + 8 < 1000


def test_epochs_differ_in_order_and_offset():
    source = batches(batch=1)
    epochs = [[int(source.at(e * source.windows + i)[0, 0]) for i in range(source.windows)]
              for e in range(4)]  # fmt: skip
    assert len({tuple(np.argsort(epoch)) for epoch in epochs}) == 4
    assert len({min(epoch) for epoch in epochs}) > 1


def test_a_batch_is_a_function_of_the_step_alone():
    source = batches()
    in_order = [source.at(step) for step in range(60)]
    other = batches()
    for step in (59, 0, 30, 24, 25, 3):
        assert (other.at(step) == in_order[step]).all()


def test_a_batch_across_the_end_of_an_epoch_has_windows_of_both():
    single, batch = batches(batch=1), batches(batch=5)
    assert single.windows % 5 != 0
    step = single.windows // 5
    expected = [single.at(step * 5 + i)[0].tolist() for i in range(5)]
    assert batch.at(step).tolist() == expected


def test_a_batch_can_be_larger_than_an_epoch():
    source = batches(tokens=30, context=8, batch=20)
    assert source.windows < 10
    assert source.at(2).shape == (20, 9)


def test_accumulated_batches_are_the_same_sequences():
    halves, whole = batches(batch=5), batches(batch=10)
    assert whole.at(1).tolist() == halves.at(2).tolist() + halves.at(3).tolist()


def test_seeds_read_other_batches():
    assert (batches(seed=0).at(0) != batches(seed=1).at(0)).any()


@pytest.mark.parametrize("tokens", [9, 10, 16, 17, 18, 24, 25])
def test_windows_never_leave_the_split(tokens):
    source = batches(tokens=tokens, batch=1)
    seen = [source.at(step)[0] for step in range(20 * source.windows)]
    assert max(window[-1] for window in seen) <= tokens - 1
    assert min(window[0] for window in seen) == 0


def test_a_split_without_a_window_is_refused():
    with pytest.raises(ValueError, match="8 tokens"):
        batches(tokens=8)


@pytest.mark.parametrize(
    ("tokens", "epochs", "steps"), [(1000, 1, 25), (1000, 2, 50), (9, 1, 1), (1000, 3, 75)]
)
def test_epochs_come_to_steps(tokens, epochs, steps):
    assert windows_per_epoch(1000, 8) == 124
    assert steps_for_epochs(tokens, 8, 5, epochs) == steps


def test_evaluation_reads_the_split_in_order_without_overlap():
    parts = eval_batches(np.arange(100, dtype="<u2"), 8, 5, None)
    assert [part.shape for part in parts] == [(5, 9), (5, 9), (2, 9)]
    targets = np.concatenate(parts)[:, 1:].ravel()
    assert targets.tolist() == list(range(1, 97))


def test_evaluation_takes_so_many_sequences_from_the_start():
    parts = eval_batches(np.arange(100, dtype="<u2"), 8, 5, 7)
    assert np.concatenate(parts)[:, 0].tolist() == [0, 8, 16, 24, 32, 40, 48]
    assert eval_batches(np.arange(8, dtype="<u2"), 8, 5, None) == []
