"""Files of several processes: errors that name them, links that survive a move, what is left."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models

from resweep.errors import DataError
from resweep.files import (
    ABANDONED_SECONDS,
    drop_temporaries,
    file_lock,
    link_relative,
    may_write,
    naming,
    write_atomically,
)
from tests.support.disks import largest_file, only_readable, run_plain, small_disk

BIG = {"weights": torch.zeros(100_000)}


def save_to_file(path: Path) -> None:
    with path.open("wb") as file:
        torch.save(BIG, file)


def save_tokenizer(path: Path) -> None:
    vocabulary = {f"token {number}": number for number in range(20_000)}
    Tokenizer(models.WordLevel(vocabulary, unk_token="token 0")).save(str(path))


def copy_bytes(path: Path) -> None:
    with path.open("wb") as file:
        file.write(bytes(400_000))


WRITERS = {
    "plain": copy_bytes,
    "safetensors": lambda path: save_file(BIG, path),
    "torch": save_to_file,
    "numpy": lambda path: np.zeros(400_000, np.uint8).tofile(path),
    "tokenizers": save_tokenizer,
}


@pytest.mark.parametrize("library", WRITERS)
def test_every_library_names_the_file_of_a_full_disk(library: str, tmp_path: Path) -> None:
    with largest_file(50_000), pytest.raises(OSError) as raised, naming(tmp_path / "shown"):
        WRITERS[library](tmp_path / "file")
    assert raised.value.filename == str(tmp_path / "shown")
    assert raised.value.errno in (errno.EFBIG, errno.ENOSPC)


def missing() -> None:
    Path("/nowhere/file").read_text()


def unknown_host() -> None:
    raise socket.gaierror(socket.EAI_NONAME, "unknown host")


def wrapped() -> None:
    try:
        raise OSError(errno.ENOSPC, "full")
    except OSError as error:
        raise DataError("said already") from error


def bug() -> None:
    raise ValueError("not of the file system")


def bug_after_a_fault() -> None:
    try:
        raise OSError(errno.ENOSPC, "full")
    except OSError:
        raise KeyError("handled wrongly")  # noqa: B904


@pytest.mark.parametrize("what", [missing, unknown_host, wrapped, bug, bug_after_a_fault])
def test_other_errors_stay_as_they_are(what: Callable[[], None], tmp_path: Path) -> None:
    with pytest.raises(Exception) as plain:
        what()
    with pytest.raises(Exception) as named, naming(tmp_path):
        what()
    assert (named.type, str(named.value)) == (plain.type, str(plain.value))


def test_a_file_that_does_not_fit_keeps_its_old_content(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        write_atomically(disk / "deep/file", "old")
        with pytest.raises(OSError) as raised:
            write_atomically(disk / "deep/file", bytes(100_000))
        assert (raised.value.errno, raised.value.filename) == (
            errno.ENOSPC,
            str(disk / "deep/file"),
        )
        assert (disk / "deep/file").read_text() == "old"
        assert [path.name for path in (disk / "deep").iterdir()] == ["file"]


def test_what_stands_in_the_way_is_named_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "folder/inside").mkdir(parents=True)
    for write in (
        lambda: write_atomically(tmp_path / "folder", "text"),
        lambda: link_relative(tmp_path / "folder", tmp_path / "target"),
    ):
        with pytest.raises(OSError) as raised:
            write()
        assert raised.value.filename == str(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


# How a results folder can be reached: where it really is, and the path that is used.
def plain(root: Path) -> Path:
    (root / "checkout/results").mkdir(parents=True)
    return root / "checkout/results"


def linked(root: Path) -> Path:
    (root / "deep/down/scratch").mkdir(parents=True)
    (root / "checkout").mkdir()
    (root / "checkout/results").symlink_to(root / "deep/down/scratch")
    return root / "checkout/results"


def above(root: Path) -> Path:
    (root / "checkout").mkdir()
    (root / "results").mkdir()
    return root / "checkout/../results"


def above_a_link(root: Path) -> Path:
    (root / "disk/checkout").mkdir(parents=True)
    (root / "disk/results").mkdir()
    (root / "checkout").symlink_to(root / "disk/checkout")
    return root / "checkout/../results"  # not root/results


def store_elsewhere(root: Path) -> Path:
    results = plain(root)
    (root / "shared/store/runs").mkdir(parents=True)
    (results / "runs").symlink_to(root / "shared/store/runs")
    return results


PLACES = [plain, linked, above, above_a_link, store_elsewhere]


@pytest.mark.parametrize("place", PLACES)
def test_a_link_leads_through_nothing_but_the_results_folder(
    place: Callable[[Path], Path], tmp_path: Path
) -> None:
    results = place(tmp_path)
    record = results / "runs/123/records/20.json"
    write_atomically(record, "record")
    link = results / "study/sweep/records/b1/trial.json"
    link_relative(link, record)
    assert str(link.readlink()) == "../../../../runs/123/records/20.json"
    assert link.read_text() == "record"
    moved = tmp_path / "moved"
    Path(os.path.realpath(results)).rename(moved)
    assert (moved / "study/sweep/records/b1/trial.json").read_text() == "record"


@pytest.mark.parametrize("place", PLACES)
def test_a_study_that_is_a_link_itself_has_links_that_work(
    place: Callable[[Path], Path], tmp_path: Path
) -> None:
    results = place(tmp_path)
    (tmp_path / "big/disk/study").mkdir(parents=True)
    (results / "study").symlink_to(tmp_path / "big/disk/study")
    write_atomically(results / "runs/123/records/20.json", "record")
    link_relative(results / "study/trial.json", results / "runs/123/records/20.json")
    assert (tmp_path / "big/disk/study/trial.json").read_text() == "record"


def test_a_relative_path_and_an_absolute_one_make_the_same_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = set()
    for folder in (Path("results"), Path("results/"), tmp_path / "results", Path("./results")):
        for target in (Path("results/runs/1"), tmp_path / "results/runs/1"):
            link_relative(folder / "study/link", target)
            texts.add(str((folder / "study/link").readlink()))
    assert texts == {"../runs/1"}


def age(path: Path, seconds: float) -> None:
    then = path.lstat().st_mtime - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def test_only_old_temporary_files_are_dropped(tmp_path: Path) -> None:
    names = [".record.json.0123456789ab", ".a.b.ffffffffffff", ".short.0123", "file.0123456789ab"]
    for folder in (tmp_path, tmp_path / "below/deep"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).touch()
        (folder / ".link.000000000000").symlink_to("nowhere")
        for path in folder.iterdir():
            age(path, ABANDONED_SECONDS + 10)
        (folder / ".young.0123456789ab").touch()
    (tmp_path / ".checkpoint_5.0123456789ab").mkdir()
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / ".far.0123456789ab").touch()
    age(outside / ".far.0123456789ab", ABANDONED_SECONDS + 10)
    (tmp_path / "link").symlink_to(outside)

    expected = {*names[:2], ".link.000000000000"}
    assert {path.name for path in drop_temporaries(tmp_path)} == expected
    assert len(list((tmp_path / "below/deep").iterdir())) == len(names) + 2
    dropped = drop_temporaries(tmp_path, below=True)
    assert {path.name for path in dropped} == expected
    assert {path.parent for path in dropped} == {tmp_path / "below/deep"}
    assert drop_temporaries(tmp_path, below=True) == drop_temporaries(tmp_path / "no") == []
    assert (outside / ".far.0123456789ab").exists()
    assert (tmp_path / ".young.0123456789ab").exists()


KILLED = """
import os, sys
from pathlib import Path
from resweep import files
files.os.fsync = lambda handle: os.kill(os.getpid(), 9)
files.write_atomically(Path(sys.argv[1]), "new")
"""


def test_what_a_killed_writer_leaves_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text("old")
    subprocess.run([sys.executable, "-c", KILLED, file], check=False)
    (left,) = [path for path in tmp_path.iterdir() if path != file]
    assert drop_temporaries(tmp_path) == []  # its writer may live on another machine
    age(left, ABANDONED_SECONDS + 10)
    assert drop_temporaries(tmp_path) == [left]
    assert file.read_text() == "old"


READ_ONLY = """
import sys
from pathlib import Path
from resweep.files import drop_temporaries, file_lock, is_denied, may_write, write_atomically
folder = Path(sys.argv[1])
print(may_write(folder), drop_temporaries(folder))
with file_lock(folder / "lock"):
    print("locked")
for work in (lambda: write_atomically(folder / "file", ""), file_lock(folder / "new").__enter__):
    try:
        work()
    except OSError as error:
        print(is_denied(error), Path(error.filename).name)
"""


def test_another_users_files_can_be_read_and_locked(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in ("lock", "file", ".file.0123456789ab"):
        (folder / name).touch()
    age(folder / ".file.0123456789ab", ABANDONED_SECONDS + 10)
    assert may_write(folder)
    only_readable(folder)
    lines = run_plain(READ_ONLY, folder)
    assert lines == ["False []", "locked", "True file", "True new"]


def test_the_modes_of_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        write_atomically(tmp_path / "folder/file", "text")
        with file_lock(tmp_path / "locks/lock"):
            pass
    finally:
        os.umask(before)
    for name, mode in {"folder": 0o775, "folder/file": 0o664, "locks/lock": 0o664}.items():
        assert (tmp_path / name).stat().st_mode & 0o777 == mode


def test_temporary_files_of_a_missing_folder_are_no_error(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    assert drop_temporaries(tmp_path, below=True) == []
