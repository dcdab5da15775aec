"""Damaged and changed files stop what rests on them, in one line, and come back."""

import csv
from pathlib import Path

from tests.conftest import Checkout
from tests.workflow.test_rebuild import planned


def ranked(checkout: Checkout) -> list[dict[str, str]]:
    with (checkout.path / "results/tiny/sweep/scores.csv").open() as table:
        return list(csv.DictReader(table))


def lines_of(log: Path, file: Path, base: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if str(file.relative_to(base)) in line]


def test_damage_is_named_and_healed(built: Checkout) -> None:
    base, results = built.path, built.path / "results"
    best, other = ranked(built)[:2]
    empty = results / "tiny/rerun/trials/02.yaml"
    empty.write_text("")
    stray = {
        results / "runs/notes.txt",
        results / "runs/folder/notes.txt",
        results / "tiny/sweep/records/x (copy).json",
        results / "runs" / best["run_id"] / "records/10 (copy).json",
        results / "runs" / best["run_id"] / "claims/.DS_Store",
    }
    for file in stray:
        file.parent.mkdir(exist_ok=True)
        file.write_text("{")
    done = built.snakemake(check=False)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert f"{empty.relative_to(base)}: " in done.stdout

    changed = results / f"tiny/sweep/trials/{best['trial']}.yaml"
    text = changed.read_text()
    changed.write_text(text.replace("0.001", "0.5"))
    damaged = results / f"tiny/sweep/records/{other['trial']}.json"
    content = damaged.read_text()
    damaged.write_text(content[:-30])  # through the link
    state = results / "runs" / best["run_id"] / "record.json"
    state.write_text("{")
    built.snakemake("--forcerun", "score_sweep", check=False)
    log = base / "logs/tiny/sweep/score.log"
    (said,) = lines_of(log, changed, base)
    assert best["run_id"] in said and str(state.relative_to(base)) in said
    assert lines_of(log, damaged, base)
    assert damaged.is_symlink() and not damaged.exists()

    changed.unlink()
    empty.unlink()
    built.snakemake()
    assert changed.read_text() == text
    assert damaged.read_text() == content
    assert ranked(built) == [best, other]
    assert all(file.exists() for file in stray)
    assert {attempts for attempts in built.trainings().values()} == {0, 1}  # lost with the state
    assert planned(built) == {}
