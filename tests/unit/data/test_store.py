"""The store of prepared data: nothing is prepared twice, and changed sources are noticed."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resweep.data import store
from resweep.data.opened import Opened
from resweep.data.source import data_id
from resweep.errors import DamagedFile
from resweep.files import file_lock
from resweep.paths import Layout
from tests.support.corpus import blank_lines, data_error, settings, text_settings, write_documents
from tests.support.disks import largest_file
from tests.support.language import SYSTEM, ensure


@pytest.fixture
def text(tmp_path):
    return write_documents(tmp_path)


def test_fields_that_came_later_leave_the_names_of_data_as_they_were():
    assert data_id(SYSTEM, settings(source="python-docs")) == "01cd8e17331f"
    assert data_id(SYSTEM, settings()) == "bad79f7be179"
    assert data_id(SYSTEM, settings(source="jsonl", paths=["a"])) == "f15ea777d176"
    assert data_id(SYSTEM, settings(bpe_vocab_size=300)) != "bad79f7be179"


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


def test_a_file_removed_from_a_glob_is_seen(text, tmp_path):
    layout = Layout(tmp_path / "results")
    wanted = blank_lines(text.parent / "*.txt")
    first = ensure(wanted, layout)
    (text.parent / "b.txt").write_text("another document")
    second = ensure(wanted, layout)
    (text.parent / "b.txt").unlink()
    assert store.find(SYSTEM, wanted, layout) is None
    assert ensure(wanted, layout).digest == first.digest != second.digest


def test_a_file_removed_from_a_folder_that_is_there_is_missing(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    text.unlink()
    assert store.find(SYSTEM, blank_lines(text), layout) is None
    assert str(text) in data_error(ensure, blank_lines(text), layout)
    assert (first.folder / "train.bin").is_file()


def test_prepared_data_outlives_sources_that_are_not_mounted(text, tmp_path, caplog):
    layout = Layout(tmp_path / "results")
    wanted = blank_lines(text.parent / "*.txt")
    first = ensure(wanted, layout)
    text.parent.rename(tmp_path / "elsewhere")
    again = ensure(wanted, layout)
    assert (again, again.has_sources, first.has_sources) == (first, False, True)
    assert [str(first.folder) in record.message for record in caplog.records] == [True]
    (tmp_path / "elsewhere").rename(text.parent)
    assert ensure(wanted, layout).has_sources


def test_one_of_two_sources_that_is_not_mounted_is_missing(text, tmp_path):
    layout = Layout(tmp_path / "results")
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.txt").write_text("another document")
    wanted = text_settings(text, tmp_path / "more/*.txt", documents="blank_line")
    ensure(wanted, layout)
    shutil.rmtree(tmp_path / "more")
    assert "more/*.txt" in data_error(ensure, wanted, layout)


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


# Damage


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"damage")


def turn_into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "overwritten": ("train.bin", overwrite),
    "zeroed": ("val.bin", lambda path: path.write_bytes(bytes(path.stat().st_size))),
    "truncated": ("test.bin", lambda path: os.truncate(path, 10)),
    "of odd size": ("train.bin", lambda path: os.truncate(path, path.stat().st_size - 1)),
    "longer": ("val.bin", lambda path: path.write_bytes(path.read_bytes() + b"xx")),
    "empty": ("train.bin", lambda path: path.write_bytes(b"")),
    "missing": ("val.bin", Path.unlink),
    "a folder": ("train.bin", turn_into_a_folder),
    "replaced": ("train.bin", lambda path: shutil.copyfile(path.with_name("val.bin"), path)),
    "a dangling link": ("val.bin", lambda path: (path.unlink(), path.symlink_to("nowhere"))),
    "no object": ("data.json", lambda path: path.write_text("[]")),
    "without keys": ("data.json", lambda path: path.write_text("{}")),
    "half": ("data.json", lambda path: os.truncate(path, path.stat().st_size // 2)),
    "not text": ("data.json", lambda path: path.write_bytes(b"\xff\0")),
    "edited": ("data.json", lambda path: edit(path, vocab_size=300)),
    "no description": ("data.json", Path.unlink),
    "a folder as description": ("data.json", turn_into_a_folder),
    "no folder": (".", lambda path: (shutil.rmtree(path), path.write_text("x"))),
}


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_prepared_again_to_the_same_bytes(damage, text, tmp_path, caplog):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    good = contents(first.folder)
    name, harm = DAMAGES[damage]
    harm(first.folder / name)
    again = ensure(blank_lines(text), layout)
    assert (again, contents(again.folder)) == (first, good)
    (line,) = [record.message for record in caplog.records]
    assert line.startswith(str(first.folder / name))
    assert [path.suffix for path in sorted(first.folder.parent.iterdir())] == ["", ".lock"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_without_its_source_is_one_line(damage, text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    name, harm = DAMAGES[damage]
    harm(first.folder / name)
    shutil.rmtree(text.parent)
    with pytest.raises(DamagedFile) as caught:
        ensure(blank_lines(text), layout)
    (line,) = str(caught.value).splitlines()
    assert caught.value.path.is_relative_to(first.folder / name)
    assert str(text) in line
    assert [path.suffix for path in sorted(first.folder.parent.iterdir())] == ["", ".lock"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.bin"))}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_plan_counts_what_has_another_size_as_not_prepared(damage, text, tmp_path):
    """Files of the same size are read by trainings only."""
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    name, harm = DAMAGES[damage]
    harm(first.folder / name)
    found = store.find(SYSTEM, blank_lines(text), layout)
    assert found == (first if damage in ("overwritten", "zeroed") else None)


def test_the_folder_of_another_data_set_is_noticed(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first, other = (
        ensure(text_settings(text, documents="blank_line", val_fraction=share), layout)
        for share in (0.1, 0.2)
    )
    shutil.rmtree(first.folder)
    shutil.copytree(other.folder, first.folder)
    assert store.find(SYSTEM, blank_lines(text), layout) is None
    assert ensure(blank_lines(text), layout) == first


def test_a_source_that_gives_other_data_now_replaces_nothing(text, tmp_path):
    """Here because the source only seems unchanged; otherwise another Python or library."""
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    before = text.stat()
    text.write_text(text.read_text().replace("word", "wort"))
    os.utime(text, ns=(before.st_atime_ns, before.st_mtime_ns))
    overwrite(first.folder / "train.bin")
    damaged = contents(first.folder)
    with pytest.raises(DamagedFile) as caught:
        ensure(blank_lines(text), layout)
    assert caught.value.path == first.folder / "train.bin"
    assert contents(first.folder) == damaged
    assert [path.suffix for path in sorted(first.folder.parent.iterdir())] == ["", ".lock"]


def test_a_copied_folder_is_read_once(text, tmp_path):
    first = ensure(blank_lines(text), Layout(tmp_path / "results"))
    shutil.copytree(tmp_path / "results", tmp_path / "copy", copy_function=shutil.copyfile)
    layout = Layout(tmp_path / "copy")
    assert store.find(SYSTEM, blank_lines(text), layout) is not None
    described = layout.data(first.folder.name) / "data.json"
    old = json.loads(described.read_text())
    copied = ensure(blank_lines(text), layout)
    new = json.loads(described.read_text())
    for name, note in new["files"].items():
        status = (copied.folder / name).stat()
        assert (note["inode"], note["mtime_ns"]) == (status.st_ino, status.st_mtime_ns)
    assert without_notes(new) == without_notes(old)
    assert copied.about == first.about
    inode = described.stat().st_ino
    ensure(blank_lines(text), layout)
    assert described.stat().st_ino == inode


def without_notes(described: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in described.items() if name not in ("files", "checksum")}


def test_damage_of_a_copied_folder_is_noticed(text, tmp_path):
    first = ensure(blank_lines(text), Layout(tmp_path / "results"))
    good = contents(first.folder)
    shutil.copytree(tmp_path / "results", tmp_path / "copy")  # with its dates
    copy = tmp_path / "copy/data" / first.folder.name / "train.bin"
    date = copy.stat().st_mtime_ns
    overwrite(copy)
    os.utime(copy, ns=(date, date))
    ensure(blank_lines(text), Layout(tmp_path / "copy"))
    assert contents(copy.parent) == good


def test_a_touched_source_is_read_once(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    os.utime(text, ns=(1, 1))
    assert ensure(blank_lines(text), layout).about == first.about
    (note,) = json.loads((first.folder / "data.json").read_text())["sources"].values()
    assert note["mtime_ns"] == 1


def as_older_versions_wrote_it(folder: Path) -> dict[str, Any]:
    described = json.loads((folder / "data.json").read_text())
    older = without_notes(described)
    (folder / "data.json").write_text(json.dumps(older, indent=2) + "\n")
    return described


@pytest.mark.parametrize("tokens", ["bytes", "bpe"])
def test_data_of_older_versions_is_verified_and_noted(tokens, text, tmp_path):
    layout = Layout(tmp_path / "results")
    wanted = text_settings(text, documents="blank_line", tokens=tokens, bpe_vocab_size=300)
    first = ensure(wanted, layout)
    described = as_older_versions_wrote_it(first.folder)
    assert store.find(SYSTEM, wanted, layout) == first
    shutil.rmtree(text.parent)  # it can only be verified
    assert ensure(wanted, layout) == first
    assert json.loads((first.folder / "data.json").read_text()) == described


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("train.bin", overwrite),
        ("val.bin", lambda path: os.truncate(path, 11)),
        ("test.bin", Path.unlink),
        ("tokenizer.json", lambda path: os.truncate(path, 100)),
        ("data.json", lambda path: edit(path, tokens={"train": 1, "val": 1, "test": 1})),
        ("data.json", lambda path: edit(path, tokens=3)),
        ("data.json", lambda path: edit(path, vocab_size=301)),
        ("data.json", lambda path: edit(path, digest="d" * 64)),
        ("data.json", lambda path: edit(path, sources=[])),
    ],
)
def test_damage_of_older_versions_is_prepared_again(name, harm, text, tmp_path):
    layout = Layout(tmp_path / "results")
    wanted = text_settings(text, documents="blank_line", tokens="bpe", bpe_vocab_size=300)
    first = ensure(wanted, layout)
    good = contents(first.folder)
    as_older_versions_wrote_it(first.folder)
    harm(first.folder / name)
    if name == "data.json" and "d" * 64 in (first.folder / name).read_text():
        with pytest.raises(DamagedFile):  # the files or the digest: nothing says which
            ensure(wanted, layout)
        return
    again = ensure(wanted, layout)
    assert (again, contents(again.folder)) == (first, good)


def test_a_failed_preparation_leaves_nothing(text, tmp_path, monkeypatch):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    good = contents(first.folder)
    overwrite(first.folder / "train.bin")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))  # as a full disk does
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            ensure(blank_lines(text), layout)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert caught.value.filename.endswith("train.bin")
    assert [path.suffix for path in sorted(first.folder.parent.iterdir())] == ["", ".lock"]
    first.folder.with_suffix(".new").mkdir()  # of a killed process
    (first.folder.with_suffix(".new") / "train.bin").touch()
    assert contents(ensure(blank_lines(text), layout).folder) == good
    assert [path.suffix for path in sorted(first.folder.parent.iterdir())] == ["", ".lock"]


def test_data_survives_a_kill_while_it_is_replaced(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    first.folder.rename(first.folder.with_suffix(".old"))
    shutil.rmtree(text.parent)
    assert ensure(blank_lines(text), layout) == first


def test_files_that_are_not_ours_are_not_read(text, tmp_path):
    layout = Layout(tmp_path / "results")
    first = ensure(blank_lines(text), layout)
    (first.folder / "data (copy).json").write_text("x")
    (first.folder / "notes.txt").write_text("mine")
    assert ensure(blank_lines(text), layout).files == first.files


# A training reads it


@pytest.fixture
def prepared(text, tmp_path):
    return ensure(blank_lines(text), Layout(tmp_path / "results"))


@pytest.mark.parametrize("harm", ["overwritten", "zeroed", "truncated", "longer"])
def test_a_change_of_open_data_is_noticed(harm, prepared):
    name, change = DAMAGES[harm]
    with Opened(prepared) as opened:
        opened.check()
        assert opened.damage() is None
        change(prepared.folder / name)
        with pytest.raises(DamagedFile) as caught:
            opened.check()
        assert caught.value.path == prepared.folder / name
        assert opened.damage().path == prepared.folder / name


def test_what_changed_before_it_was_opened_is_noticed(prepared):
    overwrite(prepared.folder / "train.bin")
    with pytest.raises(DamagedFile):
        Opened(prepared)


def test_replaced_data_stays_readable_but_is_not_opened_by_name(prepared):
    with Opened(prepared) as opened:
        shutil.copyfile(prepared.folder / "val.bin", prepared.folder / "new")
        (prepared.folder / "new").replace(prepared.folder / "val.bin")
        opened.check()
        assert opened.damage() is None
        with pytest.raises(DamagedFile):
            opened.check_names()


def test_a_restored_date_is_only_seen_by_reading(prepared):
    file = prepared.folder / "train.bin"
    date = file.stat().st_mtime_ns
    with Opened(prepared) as opened:
        overwrite(file)
        os.utime(file, ns=(date, date))
        opened.check()
        assert opened.damage().path == file


# Several processes


def _ensure_and_count(wanted, root, log, barrier, queue):
    prepare = store._DataSet._prepare

    def counted(data):
        with Path(log).open("a") as file:
            file.write("prepared\n")
        return prepare(data)

    store._DataSet._prepare = counted
    barrier.wait()
    queue.put(ensure(wanted, Layout(Path(root))).digest)


def test_what_killed_processes_left_is_deleted_by_the_next_that_prepares(text, tmp_path):
    layout = Layout(tmp_path / "results")
    left, live = (layout.data(name).with_suffix(".new") for name in ("0" * 12, "1" * 12))
    for folder in (left, live):
        folder.mkdir(parents=True)
        (folder / "train.bin").touch()
    with file_lock(live.with_suffix(".lock")):
        ensure(blank_lines(text), layout)
        assert (left.exists(), live.exists()) == (False, True)


def test_data_that_does_not_fit_leaves_nothing(text, tmp_path):
    with largest_file(100), pytest.raises(OSError) as raised:
        ensure(blank_lines(text), Layout(tmp_path / "results"))
    folder = tmp_path / "results/data"
    assert folder in Path(str(raised.value.filename)).parents
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


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
