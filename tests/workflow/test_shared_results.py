"""Results behind links: moved, shared by two checkouts, and those of another user."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import Checkout
from tests.support.disks import only_readable, plain_user
from tests.unit.study.test_begin_build import BUILD


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def links_of(results: Path) -> list[Path]:
    return [path for path in results.rglob("*") if path.is_symlink()]


def test_results_behind_a_link_move_and_nothing_is_built_again(
    built: Checkout, tmp_path: Path
) -> None:
    scratch = tmp_path / "disk/deep/scratch"
    scratch.parent.mkdir(parents=True)
    (built.path / "results").rename(scratch)
    (built.path / "results").symlink_to(scratch)
    records = list(scratch.glob("tiny/*/records/*.json"))
    for link in records:  # as older versions made them here: they lead through the checkout
        text = built.path / "results" / link.resolve().relative_to(scratch)
        date = link.lstat().st_mtime_ns
        link.unlink()
        link.symlink_to(os.path.relpath(text, link.parent))
        os.utime(link, ns=(date, date), follow_symlinks=False)
    assert "Nothing to be done" in built.snakemake().stdout

    moved = Checkout(built.path.rename(tmp_path / "moved"))
    (moved.path / "results").unlink()
    (moved.path / "results").symlink_to(scratch.rename(tmp_path / "elsewhere"))
    assert not any(link.exists() for link in links_of(tmp_path / "elsewhere/tiny/sweep/records"))
    assert "Nothing to be done" in moved.snakemake().stdout
    found = links_of(tmp_path / "elsewhere")
    assert len(found) >= len(records)
    for link in found:
        assert link.resolve().is_relative_to(tmp_path / "elsewhere") and link.exists()


def test_one_call_builds_a_study_that_two_checkouts_share(
    checkout: Checkout, tmp_path: Path
) -> None:
    results = tmp_path / "shared"
    results.mkdir()
    (checkout.path / "results").symlink_to(results)
    words = [sys.executable, "-c", BUILD, results, "tiny"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        done = checkout.snakemake(check=False)
        assert done.returncode != 0 and "Traceback" not in done.stdout
        (line,) = [line for line in done.stdout.splitlines() if f"process {other.pid} on" in line]
        assert line.startswith("error: results/tiny: ")
        other.send_signal(signal.SIGKILL)
    assert "train_sweep" in checkout.snakemake("--dry-run").stdout


def test_runs_of_another_user_are_linked(built: Checkout, tmp_path: Path) -> None:
    theirs = built.path / "results"
    only_readable(theirs)
    before = snapshot(theirs)
    ours = Checkout.new(tmp_path / "ours")
    ours.write_study()
    ours.write_sweep(learning_rate=[1e-5, 1e-3])
    (ours.path / "results").mkdir()
    for name in ("runs", "data"):
        (ours.path / "results" / name).symlink_to(theirs / name)
    done = ours.run(*plain_user(), "snakemake", "--cores", "1", "--until", "keep_sweep", "tabulate")
    assert "Traceback" not in done.stdout
    assert snapshot(theirs) == before
    records = list((ours.path / "results/tiny").glob("*/records/*.json"))
    assert len(records) == 4 and all(path.is_symlink() for path in records)
    (model,) = [path for path in (ours.path / "results/tiny/sweep/models").iterdir()
                if path.is_symlink()]  # fmt: skip
    assert model.resolve().is_relative_to(theirs / "runs")
