"""The store of prepared data: nothing is prepared twice, and changed sources are noticed."""

import multiprocessing
import os
from pathlib import Path

import pytest

from resweep.data import store
from resweep.files import file_lock
from resweep.paths import Layout
from tests.support.corpus import blank_lines, settings, text_settings, write_documents
from tests.support.disks import largest_file
from tests.support.language import SYSTEM, ensure


@pytest.fixture
def text(tmp_path):
    return write_documents(tmp_path)


def test_fields_that_came_later_leave_the_names_of_data_as_they_were():
    assert store.data_id(SYSTEM, settings()) == "01cd8e17331f"
    assert store.data_id(SYSTEM, settings(source="jsonl", paths=["a"])) == "f15ea777d176"
    assert store.data_id(SYSTEM, settings(bpe_vocab_size=300)) != "01cd8e17331f"


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


def test_a_half_made_folder_is_made_again(text, tmp_path):
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
    folder = Path(str(raised.value.filename))
    assert folder.parent == tmp_path / "results/data"
    assert [path.suffix for path in folder.parent.iterdir()] == [".lock"]


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
