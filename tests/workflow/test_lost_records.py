"""Records whose runs are gone: calls that only read plan with them, and change nothing."""

import shutil
from pathlib import Path

from tests.conftest import Checkout


def files(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Everything below a folder: size, date, and where a link leads."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_size if not path.is_dir() else 0,
            path.lstat().st_mtime_ns if not path.is_dir() else 0,
            str(path.readlink()) if path.is_symlink() else "",
        )
        for path in folder.rglob("*")
    }


def test_a_missing_store_is_reported_and_nothing_is_changed(built: Checkout) -> None:
    results = built.path / "results"
    (results / "runs").rename(built.path / "elsewhere")
    before = files(results)
    assert len([name for name in before if "/records/" in name]) == 4
    for call in ("--dry-run", "--unlock", "--lint"):
        output = built.snakemake(call).stdout
        assert "results/runs: has none of the 4 runs of study tiny" in output, call
        assert files(results) == before, call
    audit = built.run("python", "workflow/scripts/audit.py", "tiny").stdout
    assert "results/runs: has none of the 4 runs of study tiny" in audit
    stopped = built.snakemake(check=False)
    assert stopped.returncode == 1
    assert stopped.stdout.splitlines()[-1].startswith("error: results/runs: ")
    assert files(results) == before


def test_a_lost_record_is_planned_without_deleting_it(built: Checkout) -> None:
    record = min((built.path / "results/tiny/sweep/records").iterdir())
    run = built.record("tiny", "sweep", record.stem)["run_id"]
    shutil.rmtree(built.path / "results/runs" / run)
    before = files(built.path / "results")
    output = built.snakemake("--dry-run").stdout
    assert "train_sweep         1" in output.splitlines()

    ranking = built.snakemake("--dry-run", "results/tiny/sweep/scores.csv", check=False)
    assert ranking.returncode == 1
    line = ranking.stdout.splitlines()[-1]
    assert line.startswith(f"error: {record.relative_to(built.path)}: ") and run in line
    assert line.endswith("snakemake -n")
    assert files(built.path / "results") == before
