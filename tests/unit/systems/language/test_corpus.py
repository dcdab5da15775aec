"""Files to documents to splits: each document is in exactly one."""

import json
from pathlib import Path

import pytest

from resweep.systems.language.corpus import SPLITS, read_documents, source_files, split_documents
from tests.support.corpus import DOCUMENTS, data_error, settings, text_settings


def bytes_of(documents: list[str]) -> int:
    return sum(len(document.encode()) for document in documents)


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
    message = data_error(split_documents, ["a"], settings(split=split))
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
    message = data_error(read_documents, text_settings(tmp_path / pattern))
    assert f"data.paths: {tmp_path / pattern}: " in message and "no such file" in message


def test_files_without_text_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text(" \n\n")
    assert "no text" in data_error(read_documents, text_settings(tmp_path / "a.txt"))


def test_files_that_are_not_utf8_are_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    message = data_error(read_documents, text_settings(tmp_path / "a.txt"))
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
    message = data_error(read_documents, jsonl(tmp_path, text))
    assert words in message
    assert "a.jsonl" in message
