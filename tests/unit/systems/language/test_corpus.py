"""Files to documents to splits: each document is in exactly one."""

import codecs
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from resweep.systems.language.corpus import (
    SPLITS,
    read_documents,
    read_splits,
    source_files,
    source_folders,
    split_documents,
)
from tests.support.corpus import DOCUMENTS, data_error, settings, text_settings

HELD_OUT = {"val_paths": "valid", "test_paths": "test"}


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


def test_splits_in_files_of_their_own_are_taken_as_they_are(tmp_path: Path):
    for name, text in {"train": "one\n\ntwo\n\nthree", "valid": "two", "test": "four"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    paths = {key: [str(tmp_path / f"{name}.txt")] for key, name in HELD_OUT.items()}
    made = text_settings(tmp_path / "train.txt", documents="blank_line", **paths)
    assert read_splits(made) == {"train": ["one", "three"], "val": ["two"], "test": ["four"]}
    assert [file.name for file in source_files(made)] == ["test.txt", "train.txt", "valid.txt"]
    alone = {**made, "test_paths": []}
    assert read_splits(alone)["test"] == []
    missing = {**made, "val_paths": [str(tmp_path / "gone.txt")]}
    assert data_error(read_splits, missing).startswith("data.val_paths: ")
    same = {**made, "paths": made["val_paths"]}
    assert data_error(read_splits, same).startswith("data.paths: ")


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "python-docs", "val_paths": ["a.txt"]},
        {"source": "text", "paths": ["a.txt"], "test_paths": ["b.txt"]},
    ],
)
def test_held_out_files_that_fit_nothing_are_refused(changes: dict[str, object]):
    with pytest.raises(ValidationError):
        settings(**changes)


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


@pytest.mark.parametrize(
    ("changes", "advised"),
    [
        ({"source": "text"}, ["split: contiguous", "documents: blank_line"]),
        ({"source": "text", "documents": "blank_line"}, ["split: contiguous"]),
        ({"source": "jsonl"}, ["split: contiguous"]),
        ({"source": "text", "split": "contiguous"}, []),
    ],
)
def test_too_little_text_is_one_line_with_fixes_that_are_not_set_yet(changes, advised):
    message = data_error(split_documents, ["a"], settings(paths=["a"], **changes))
    possible = ("split: contiguous", "documents: blank_line")
    assert [fix for fix in possible if f"data.{fix}" in message] == advised
    assert "\n" not in message and "1 " in message


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


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("missing.txt", "no such file"),
        ("*.none", "no such file"),
        ("[ab].none", "[[] for a bracket"),
        ("$HERE/a.txt", "variables are not replaced"),
        ("folder", "is a folder; use {0}/folder/*.txt"),
        ("folder/", "is a folder; use {0}/folder/*.txt"),
        ("f*", "matches only folders; use {0}/f*/*.txt"),
        ("gone.txt", "is a link to nowhere"),
        ("folder/*.txt", "folder/also gone.txt is a link to nowhere"),
        ("pipe", "is not a regular file"),
        ("a" * 300, "cannot be read"),
    ],
)
def test_a_path_without_files_is_named_with_the_fix(pattern, words, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "gone.txt").symlink_to("nowhere")
    (tmp_path / "folder/also gone.txt").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    message = data_error(read_documents, text_settings(f"{tmp_path}/{pattern}"))
    assert f"data.paths: {tmp_path}/{pattern}: " in message
    assert words.format(tmp_path) in message


def test_jsonl_folders_are_searched_for_such_files(tmp_path):
    message = data_error(read_documents, settings(source="jsonl", paths=[str(tmp_path)]))
    assert f"use {tmp_path}/*.jsonl" in message


def test_an_unreadable_file_is_named():
    message = data_error(read_documents, text_settings("/proc/self/mem"))  # for root too
    assert "/proc/self/mem: cannot be read" in message


@pytest.mark.parametrize("name", ["[draft] a.txt", "what?.txt", "a*b.txt", "[folder]/a.txt"])
def test_a_name_that_exists_is_that_file(name, tmp_path):
    for file in (name, "d.txt", "whatX.txt", "aab.txt", "f/a.txt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(file)
    assert read_documents(text_settings(tmp_path / name)) == [name]


def test_a_folder_with_brackets_is_searched_with_a_glob(tmp_path):
    (tmp_path / "my [set]/deep").mkdir(parents=True)
    (tmp_path / "my [set]/deep/a.txt").write_text("found")
    assert read_documents(text_settings(tmp_path / "my [set]/**/*.txt")) == ["found"]


def test_the_home_folder_may_be_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("at home")
    assert read_documents(text_settings("~/a.txt", "~/*.txt")) == ["at home"]
    assert "user's home" in data_error(read_documents, text_settings("~nobody-here/a.txt"))
    assert "user's home" not in data_error(read_documents, text_settings("~/nothing.txt"))


def test_one_file_counts_once_under_all_its_names(tmp_path, monkeypatch):
    """Without moving in the order: a link beside it changes nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        Path(f"d/{name}.txt").parent.mkdir(exist_ok=True)
        Path(f"d/{name}.txt").write_text(name)
    Path("d/0.txt").symlink_to("b.txt")
    Path("other").symlink_to("d")
    names = ["d/*.txt", "d/b.txt", "d/../d/c.txt", str(tmp_path / "d/a.txt"), "other/*.txt"]
    plain = [Path("d/a.txt"), Path("d/b.txt"), Path("d/c.txt")]
    assert source_files(text_settings(*names)) == plain
    assert source_files(text_settings(*reversed(names))) == plain
    assert source_files(text_settings("other/*.txt")) == [Path(f"other/{n}.txt") for n in "abc"]


def test_a_hard_link_is_a_file_of_its_own_like_a_copy(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").hardlink_to(tmp_path / "a.txt")
    assert read_documents(text_settings(tmp_path / "*.txt")) == ["text", "text"]


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("d/*.txt", "d"),
        ("d/a.txt", "d"),
        ("*.txt", "."),
        ("a.txt", "."),
        ("/mnt/none/x/*/y.txt", "/mnt/none/x"),
        ("/mnt/none/[ab]/y.txt", "/mnt/none"),
        ("/mnt/none/**", "/mnt/none"),
        ("link.txt", "/mnt/none"),
    ],
)
def test_the_folder_that_is_searched_may_be_missing(pattern, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("link.txt").symlink_to("/mnt/none/a.txt")
    assert source_folders(text_settings(pattern)) == [Path(folder)]


def test_files_without_text_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text(" \n\n")
    message = data_error(read_documents, text_settings(tmp_path / "a.txt"))
    assert "no text" in message and str(tmp_path / "a.txt") in message
    (tmp_path / "b.txt").write_text(" ")
    message = data_error(read_documents, text_settings(tmp_path / "*.txt"))
    assert str(tmp_path / "a.txt") in message and "1 more file" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"na\xefve", "UTF-8"),
        ("text".encode("utf-16"), "is UTF-16, not UTF-8 text"),
        (codecs.BOM_UTF16_BE + "text".encode("utf-16-be"), "is UTF-16"),
        ("text".encode("utf-32"), "is UTF-32"),
    ],
)
def test_files_that_are_not_utf8_are_named(content, words, tmp_path):
    (tmp_path / "a.txt").write_bytes(content)
    message = data_error(read_documents, text_settings(tmp_path / "a.txt"))
    assert "a.txt: " in message and words in message


@pytest.mark.skipif(not shutil.which("iconv"), reason="iconv is not installed")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_the_command_that_converts_a_file_works_as_it_is_printed(encoding, tmp_path):
    file = tmp_path / "it's [new].txt"
    file.write_text("näh", encoding=encoding)
    command = data_error(read_documents, text_settings(file)).partition("convert it: ")[2]
    subprocess.run(command, shell=True, check=True)
    assert read_documents(text_settings(tmp_path / "*")) == ["näh"]


def test_a_byte_order_mark_is_not_text(tmp_path):
    for name, text in (("a", "\ufeffone"), ("b", "tw\ufeffo"), ("c", "\ufeff"), ("d", "\r\nx")):
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8", newline="")
    assert read_documents(text_settings(tmp_path / "*.txt")) == ["one", "tw\ufeffo", "\nx"]


def jsonl(tmp_path: Path, text: str, **changes) -> dict:
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    return settings(source="jsonl", paths=[str(tmp_path / "a.jsonl")], **changes)


def test_json_lines_give_a_document_each(tmp_path):
    text = '{"text": "one"}\n\n{"text": "two\\nlines", "other": 1}\r\n{"text": "three"}'
    assert read_documents(jsonl(tmp_path, text)) == ["one", "two\nlines", "three"]


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path):
    text = '\ufeff{"text": "one"}\n{"text": "\ufefftwo"}'
    assert read_documents(jsonl(tmp_path, text)) == ["one", "\ufefftwo"]


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
