"""A pack that failed: what the study shows meanwhile, and what the next call trains."""

import re
import shutil

from tests.conftest import Checkout

TABLES = ("results/tiny/runs.csv", "results/runs.csv", "results/tiny/sweep/scores.csv")


def test_a_failed_pack_loses_links_and_no_result(built: Checkout) -> None:
    folder = built.path / "results/tiny/sweep"
    good, bad = (path.stem for path in sorted((folder / "records").iterdir()))
    run_id = str(built.record("tiny", "sweep", bad)["run_id"])
    run, before = built.path / "results/runs" / run_id, built.trainings()
    tables = {name: (built.path / name).read_bytes() for name in TABLES}
    shutil.rmtree(run)
    (run / "metrics.jsonl").mkdir(parents=True)  # no training can write its metrics

    failed = built.snakemake("--until", "train_sweep", check=False).stdout
    assert f"error: trial {bad}: " in failed and "1 of 2 trials" in failed
    log = built.path / f"logs/tiny/sweep/train/{bad}.log"
    assert len(re.findall(r"^\S+ \S+ ERROR .*metrics\.jsonl", log.read_text(), re.M)) == 2
    assert not list(folder.glob("records/*"))
    assert {name: (built.path / name).read_bytes() for name in TABLES} == tables
    meanwhile = built.run("python", "workflow/scripts/summarize.py", "tiny").stdout
    assert "warning: sweep: 1 of 2 trials" in meanwhile and good in meanwhile
    audit = built.run("python", "workflow/scripts/audit.py", "tiny").stdout
    assert f"1 of 2 trials: {bad}" in audit and good not in audit

    (run / "metrics.jsonl").rmdir()
    built.snakemake("--until", "train_sweep")
    assert {run for run, count in built.trainings().items() if count != before[run]} == {run_id}
    assert {path.stem for path in folder.glob("records/*") if path.exists()} == {good, bad}


def test_a_pack_that_cannot_be_written_is_named(built: Checkout) -> None:
    folder = built.path / "results/tiny/sweep"
    shutil.rmtree(folder / "packs")
    (folder / "packs").touch()  # a file where the folder should be
    next(folder.glob("records/*")).unlink()

    failed = built.snakemake(check=False)
    assert failed.returncode != 0 and "Traceback" not in failed.stdout
    errors = [line for line in failed.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "results/tiny/sweep/packs" in errors[0]

    (folder / "packs").unlink()
    built.snakemake()
    assert len(list(folder.glob("packs/*.json"))) == 1
