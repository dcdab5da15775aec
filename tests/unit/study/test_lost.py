"""What is gone of a study: single runs, all of them, or the store."""

import errno
import shutil
from pathlib import Path

import pytest

from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.study import files
from resweep.study.load import load_study
from resweep.study.lost import MOST_NAMED, find_lost
from resweep.study.study import Study
from resweep.trials.record import Status, link_record, write_own_record
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def study() -> Study:
    """A study with rounds and rungs, whose slots have records too."""
    return load_study(ROOT / "config/studies/adaptive.yaml", ROOT / "config")


@pytest.fixture
def layout(study: Study, tmp_path: Path) -> Layout:
    """A store with a run for each of its phases, which all records of the phase lead to."""
    layout = Layout(tmp_path / "results")
    for phase in study.phases:
        stored = layout.run(run_of(phase.name)) / "records/20.json"
        write_own_record(stored, Status.FINISHED, "")
        for record in records(layout, study, phase.name):
            link_record(record, stored)
    return layout


def run_of(phase: str) -> str:
    return phase.encode().hex()[:12].ljust(12, "0")


def records(layout: Layout, study: Study, name: str) -> set[Path]:
    phase = study.phase(name)
    slots = files.stage_records(layout, phase, phase.stages)
    return {*slots, *files.records(layout, phase)}


def move(layout: Layout, folder: Path) -> None:
    """Move every run of the store to a folder."""
    folder.mkdir(parents=True)
    for run in layout.runs.iterdir():
        run.rename(folder / run.name)


def test_nothing_is_lost(layout: Layout, study: Study) -> None:
    lost = find_lost(layout, study)
    assert (lost.runs, lost.store_missing, list(lost.lines())) == ({}, None, [])


def test_a_study_without_results_has_lost_nothing(study: Study, tmp_path: Path) -> None:
    lost = find_lost(Layout(tmp_path), study)
    assert (lost.runs, lost.store_missing) == ({}, None)


def test_every_record_of_a_run_that_is_gone_is_found_and_stays(
    layout: Layout, study: Study
) -> None:
    phase = study.phases[0].name
    shutil.rmtree(layout.run(run_of(phase)))
    lost = find_lost(layout, study)
    assert lost.runs == dict.fromkeys(records(layout, study, phase), run_of(phase))
    assert lost.store_missing is None
    assert all(record.is_symlink() for record in lost.runs)
    lines = list(lost.lines())
    assert len(lines) == MOST_NAMED + 1 and f" {len(lost.runs) - MOST_NAMED} " in lines[-1]
    assert all(str(record) in line for record, line in zip(lost.runs, lines[:-1], strict=False))


def test_a_plan_of_single_files_stops_at_a_lost_record_only(layout: Layout, study: Study) -> None:
    first, last = study.phases[0].name, study.phases[-1].name
    shutil.rmtree(layout.run(run_of(first)))
    gone, there = min(records(layout, study, first)), min(records(layout, study, last))
    lost = find_lost(layout, study)
    stops = lost.stops([gone], builds=False, plan="snakemake -n")
    assert stops is not None and str(gone) in stops and stops.endswith(": snakemake -n")
    assert lost.stops([there], builds=False, plan="snakemake -n") is None
    assert lost.stops([gone], builds=False, plan=None) is None
    assert lost.stops([gone], builds=True, plan=None) is None


@pytest.mark.parametrize("left", ["no folder", "an empty folder", "other runs", "a broken link"])
def test_a_store_without_any_run_of_the_study_is_missing(
    layout: Layout, study: Study, tmp_path: Path, left: str
) -> None:
    move(layout, tmp_path / "elsewhere")
    if left != "an empty folder":
        layout.runs.rmdir()
    if left == "other runs":
        layout.run("0123456789ab").mkdir(parents=True)
    elif left == "a broken link":
        layout.runs.symlink_to(tmp_path / "unmounted")
    lost = find_lost(layout, study)
    assert lost.store_missing is not None and str(layout.runs) in lost.store_missing
    assert list(lost.lines()) == [lost.store_missing]
    record = next(iter(lost.runs))
    assert lost.stops([record], builds=True, plan=None) == lost.store_missing
    assert lost.stops([record], builds=False, plan="snakemake -n") == lost.store_missing
    assert lost.stops([record], builds=False, plan=None) is None


def test_forgotten_runs_are_not_a_missing_store(layout: Layout, study: Study) -> None:
    move(layout, layout.trash / "2026-01-01T00-00-00")
    lost = find_lost(layout, study)
    assert lost.store_missing is None
    assert set(lost.runs.values()) == {run_of(phase.name) for phase in study.phases}


def test_older_forgetting_does_not_excuse_a_missing_store(
    layout: Layout, study: Study, tmp_path: Path
) -> None:
    (layout.trash / "2026-01-01T00-00-00" / run_of(study.phases[0].name)).mkdir(parents=True)
    move(layout, tmp_path / "elsewhere")
    assert find_lost(layout, study).store_missing is not None


@pytest.mark.parametrize("others", [False, True])
def test_the_only_run_of_a_study_may_be_deleted_from_a_store_with_others(
    study: Study, tmp_path: Path, others: bool
) -> None:
    layout = Layout(tmp_path)
    stored = layout.run("0123456789ab") / "records/20.json"
    write_own_record(stored, Status.FINISHED, "")
    link_record(min(records(layout, study, study.phases[0].name)), stored)
    shutil.rmtree(layout.run("0123456789ab"))
    if others:
        layout.run("ba9876543210").mkdir()
    assert (find_lost(layout, study).store_missing is None) == others


def test_a_store_that_cannot_be_read_is_not_missing(
    layout: Layout, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:  # a stand-in: root may read everything
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(StoreError, match=r"records/.*Permission denied"):
        find_lost(layout, study)
