"""A pack that failed: what the study shows meanwhile, and what the next call trains."""

import json
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


def test_of_two_studies_the_one_without_faults_ends_as_usual(built: Checkout) -> None:
    told = {"notify": {"command": "cat >> told.jsonl"}}
    built.write_study("tiny", **told)
    built.write_sweep("wild", learning_rate=[1e30])
    phase = {"name": "sweep", "kind": "sweep", "sweep": "wild"}
    built.write_study("wild", phases=[phase], **told)
    failed = built.snakemake("--config", "studies=[tiny,wild]", check=False)
    assert failed.returncode == 1 and "nothing to rank" in failed.stdout
    notes = {
        name: json.loads((built.path / f"results/{name}/build.json").read_text())
        for name in ("tiny", "wild")
    }
    assert not notes["tiny"]["failed"] and notes["wild"]["failed"]
    told_of = map(json.loads, (built.path / "told.jsonl").read_text().splitlines())
    assert {one["study"]: one["status"] for one in told_of} == {"tiny": "ended", "wild": "failed"}
    # Watching one needs nothing of the other.
    (built.path / "config/studies/wild.yaml").write_text("name: [")
    watched = built.run("python", "workflow/scripts/watch.py", "tiny").stdout
    assert "trials; complete" in watched and "report: results/tiny" in watched
