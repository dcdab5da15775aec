"""Whole commands on a full disk: one line with the file, nothing half-written, nothing lost."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
import torch

from resweep.canonical import file_digest
from resweep.paths import METRICS, Layout
from resweep.store.advance import advance
from tests.conftest import ROOT
from tests.support.asked import ask, run_of
from tests.support.disks import small_disk
from tests.support.study import make_study
from tests.support.tiny import configure, prepare
from tests.support.warm import warm_process


def leave(disk: Path, kilobytes: int) -> Path:
    """Fill a disk up to a number of free kilobytes; returns the file that does."""
    filling = disk / "filling"
    status = os.statvfs(disk)
    filling.write_bytes(bytes(status.f_bavail * status.f_frsize - 1024 * kilobytes))
    return filling


def test_commands_name_what_they_could_not_write(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 3000) as disk:
        layout: Layout = make_study(disk)
        phase = layout.phase("made", "sweep")
        records = [str(path) for path in sorted(phase.records.glob("*.json"))]
        leave(disk, 0)
        score = ["score.py", "--study", "made", "--scores", phase.scores, "--records", *records]
        commands = {
            phase.scores: score,
            layout.study("made").report: ["report.py", "made"],
        }
        before = {file: file.read_bytes() for file in commands if file.exists()}
        for file, command in commands.items():
            script, *arguments = map(str, command)
            words = [warm_process().python, ROOT / "workflow/scripts" / script, *arguments]
            done = subprocess.run(
                [*map(str, words), "--results", str(layout.root)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 1
            (line,) = done.stderr.splitlines()
            assert line.startswith(f"error: {file}: No space left on device; ")
        assert {file: file.read_bytes() for file in before} == before
        assert not [path for path in layout.root.rglob(".*") if path.suffix != ".lock"]


@pytest.mark.parametrize("kilobytes", [12, 60, 120])
def test_a_training_that_ran_out_of_space_continues_to_the_same_weights(
    kilobytes: int, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    data = prepare(tmp_path / "data")
    config = configure(data, training__save_steps=3, training__gradient_steps=[6])
    whole = Layout(tmp_path / "whole")
    advance(*ask(config, data), whole)
    asked = ask(config, data)
    with small_disk(tmp_path / "disk", 2000) as disk:
        layout = Layout(disk / "results")
        layout.root.mkdir()
        filling = leave(disk, kilobytes)
        with pytest.raises(OSError) as raised:
            advance(*asked, layout)
        assert raised.value.errno == errno.ENOSPC
        run = run_of(asked, layout)
        assert Path(str(raised.value.filename)).is_relative_to(run.path)
        assert run.records() == {} and not list(run.path.glob(".*"))
        filling.unlink()
        advance(*asked, layout)
        made, twin = run.path / "checkpoint_12", run_of(asked, whole).path / "checkpoint_12"
        for name in ("model.safetensors", "optimizer.safetensors"):
            assert file_digest(made / name) == file_digest(twin / name)
        assert (run.path / METRICS).read_bytes() == (twin.parent / METRICS).read_bytes()
