"""Before a build: one process a study, links that lead nowhere, temporary files."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resweep.errors import StoreError
from resweep.files import ABANDONED_SECONDS, link_relative
from resweep.paths import Layout, StudyFolder
from resweep.study.begin_build import begin_build, hold, relink
from resweep.trials.record import Status, link_record, write_own_record
from tests.support.disks import only_readable, run_plain

BUILD = """
import sys
from pathlib import Path
from resweep.paths import Layout
from resweep.study.begin_build import begin_build
begin_build(Layout(Path(sys.argv[1])), sys.argv[2:])
print("building", flush=True)
sys.stdin.read()
"""


def building(root: Path, *studies: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, root, *studies],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdout.readline() == b"building\n"
    return process


def test_one_process_builds_a_study_through_whatever_path(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "scratch")
    ours = Layout(tmp_path / "scratch")
    with building(tmp_path / "results", "mine") as other:
        with pytest.raises(StoreError) as raised:
            begin_build(ours, ["mine"])
        assert f"process {other.pid} on {os.uname().nodename} (since 20" in str(raised.value)
        begin_build(ours, ["yours"])
        begin_build(ours, ["yours"])  # it is ours already
        other.send_signal(signal.SIGKILL)
        other.wait()
        begin_build(ours, ["mine"])


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A study with a record, one at a rung, and weights, all in the store."""
    layout = Layout(tmp_path / "checkout/results")
    run = layout.run("0123456789ab")
    write_own_record(run / "records/20.json", Status.FINISHED, "")
    (run / "checkpoint_20").mkdir()
    for slot in ("one", "b1/one"):
        link_record(layout.record("mine", "sweep", slot), run / "records/20.json")
    link_relative(layout.phase("mine", "sweep").models / "one", run / "checkpoint_20")
    return layout


def links(layout: Layout) -> list[Path]:
    folder = layout.study("mine")
    return [*folder.all_records(), *folder.phase("sweep").models_kept()]


def test_links_of_before_a_move_lead_into_the_store_again(layout: Layout, tmp_path: Path) -> None:
    before = {}
    for link in links(layout):  # as older versions made them where results/ is a link
        target = link.resolve()
        link.unlink()
        link.symlink_to(f"../../../../../{os.path.relpath(target, tmp_path)}")
        os.utime(link, ns=(1, 1), follow_symlinks=False)
        before[link.relative_to(layout.root)] = link.lstat().st_mtime_ns
    shutil.move(layout.root, tmp_path / "results")
    moved = Layout(tmp_path / "results")
    assert not any(link.exists() for link in links(moved))
    begin_build(moved, ["mine"])
    assert all(link.exists() for link in links(moved)) and len(links(moved)) == 3
    assert {p: (moved.root / p).lstat().st_mtime_ns for p in before} == before
    assert relink(moved, "mine") == []


def test_links_that_work_and_records_of_lost_runs_stay(layout: Layout) -> None:
    texts = {link: link.readlink() for link in links(layout)}
    assert relink(layout, "mine") == []
    shutil.rmtree(layout.run("0123456789ab"))
    assert relink(layout, "mine") == []
    assert {link: link.readlink() for link in links(layout)} == texts


def test_half_written_files_are_dropped_everywhere_but_in_the_store(layout: Layout) -> None:
    name = ".file.0123456789ab"
    study = layout.study("mine").path
    own = [layout.root, layout.weights_known, study, study / "sweep/records/b1", study / "new"]
    others = [layout.run("0123456789ab"), layout.study("yours").path]
    for folder in (*own, *others):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
        then = (folder / name).stat().st_mtime - ABANDONED_SECONDS - 10
        os.utime(folder / name, (then, then))
    begin_build(layout, ["mine"])
    assert [(folder / name).exists() for folder in own] == [False] * len(own)
    assert [(folder / name).exists() for folder in others] == [True] * len(others)


def test_a_results_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(tmp_path / "not mounted")
    with pytest.raises(FileExistsError):
        begin_build(Layout(tmp_path / "results"), ["mine"])
    assert not (tmp_path / "not mounted").exists()


LOGS = """
import os, sys
os.chdir(sys.argv[1])
from resweep.paths import Layout
from resweep.study.begin_build import begin_build
try:
    begin_build(Layout(), ["mine", "yours"])
except PermissionError as error:
    print(error.filename)
"""


def test_logs_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    for name in ("mine", "yours"):
        (tmp_path / "logs" / name).mkdir(parents=True)
    only_readable(tmp_path / "logs/yours")
    assert run_plain(LOGS, tmp_path) == ["logs/yours"]
    assert not (tmp_path / "results").exists()


def test_a_study_that_we_may_only_read_is_left_as_it_is(layout: Layout) -> None:
    hold(StudyFolder(layout.root / "other"))
    only_readable(layout.root)
    code = BUILD.replace("sys.stdin.read()", "")
    assert run_plain(code, layout.root, "mine", "new") == ["building"]
    assert not layout.study("mine").lock.exists()
