"""Results of an earlier version are served without a training: tests/fixtures/store-0.1."""

import csv
import json
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.canonical import file_digest
from tests.conftest import ROOT, Checkout
from tests.workflow.search_files import audited, states
from tests.workflow.test_rebuild import jobs

STORE = ROOT / "tests/fixtures/store-0.1"
TRIALS = {"sweep": 3, "rerun": 4, "watched": 2, "search": 6}  # that lead to a run
EMPTY = ["05", "06"]  # slots of the rerun that nothing filled
COUNTS = ("started", "to train", "infeasible", "open", "steps", "tokens")
UNCHANGED = ("status", "step", "attempts", "segments", "gpu_seconds")

pytestmark = pytest.mark.xdist_group("older")  # they share what they build


@dataclass(frozen=True)
class Served:
    """The older results, before and after one call that made everything again."""

    checkout: Checkout
    before: dict[str, Any]
    audits: dict[str, dict[str, dict[str, int]]]
    output: str


def open_store(folder: Path) -> Checkout:
    """Today's workflow over the older results, with their study files."""
    checkout = Checkout.new(folder)
    shutil.rmtree(folder / "config")
    shutil.copytree(STORE / "config", folder / "config")
    shutil.copy(STORE / "made-up.txt", folder)
    with tarfile.open(STORE / "results.tar.gz") as archive:
        checked = hasattr(tarfile, "data_filter")  # not in the first versions of Python 3.11
        archive.extractall(folder, **({"filter": "data"} if checked else {}))
    (described,) = folder.glob("results/data/*/data.json")
    (source,) = json.loads(described.read_text())["sources"].values()
    assert file_digest(folder / "made-up.txt") == source["sha256"], "the fixture was edited"
    return checkout


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Everything is made again: the text, which all follows from, has a new date."""
    checkout = open_store(tmp_path_factory.mktemp("older") / "checkout")
    before, audits = what_matters(checkout), audit_both(checkout)
    os.utime(checkout.path / "made-up.txt")
    return Served(checkout, before, audits, checkout.snakemake().stdout)


def audit_both(checkout: Checkout) -> dict[str, dict[str, dict[str, int]]]:
    return {study: audited(checkout, study) for study in ("grid", "search")}


def what_matters(checkout: Checkout) -> dict[str, Any]:
    """What no later version may change, by a name of its own."""
    results = checkout.path / "results"
    runs = results / "runs"
    records = [path for path in results.glob("*/*/records/**/*.json") if path.is_symlink()]
    tables = sorted(results.glob("*/*/scores.csv"))
    decisions = sorted(results.glob("*/*/decisions/*.csv"))
    return {
        "files of runs": {
            str(path.relative_to(runs)): path.read_bytes()
            for pattern in ("*/metrics.jsonl", "*/records/*.json", "*/checkpoint_*/*.safetensors")
            for path in runs.glob(pattern)
        },
        "states of runs": {
            run: {key: state.get(key) for key in UNCHANGED}
            for run, state in states(checkout).items()
        },
        "records": {str(p.relative_to(results)): p.readlink() for p in records},
        "models": {
            str(p.relative_to(results)): p.readlink() for p in results.glob("*/*/models/[!.]*")
        },
        "ranking": {
            str(path.relative_to(results)): columns(path, "rank", "trial", "run_id", "status")
            for path in tables
        },
        "rungs": {
            str(path.relative_to(results)): columns(path, "trial", "run_id", "step", "decision")
            for path in decisions
        },
        "best": {
            str(path.relative_to(results)): yaml12.load(path)
            for path in results.glob("*/*/top*_best_configs.yaml")
        },
        "assignments": {
            str(path.relative_to(results)): yaml12.load(path)["assignments"]
            for path in results.glob("*/*/trials/**/*.yaml")
        },
    }


def columns(table: Path, *names: str) -> list[tuple[str, ...]]:
    with table.open() as file:
        return [tuple(row[name] for name in names) for row in csv.DictReader(file)]


def test_an_audit_finds_everything_in_the_store(served: Served) -> None:
    phases = served.audits["grid"] | served.audits["search"]
    for phase, stored in TRIALS.items():
        assert phases[phase]["in store"] == stored, phase
        assert {phases[phase][count] for count in COUNTS} == {0}, phase
    assert phases["rerun"]["trials"] == TRIALS["rerun"] + len(EMPTY)


def test_trainings_ran_again_and_trained_nothing(served: Served) -> None:
    assert any(name.startswith("train_") for name in jobs(served.output))
    assert what_matters(served.checkout)["states of runs"] == served.before["states of runs"]


@pytest.mark.parametrize(
    "what", ["files of runs", "records", "models", "ranking", "rungs", "best", "assignments"]
)
def test_what_was_found_stays(what: str, served: Served) -> None:
    before, after = served.before[what], what_matters(served.checkout)[what]
    assert before and after == before


def test_the_results_are_whole_again(served: Served) -> None:
    for study in ("grid", "search"):
        assert (served.checkout.path / f"results/{study}/report.html").stat().st_size > 0
    assert audit_both(served.checkout) == served.audits
    assert "Nothing to be done" in served.checkout.snakemake("--dry-run").stdout
