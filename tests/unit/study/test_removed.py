"""Files of trials that a study has no more are moved, and nothing of it is lost."""

import logging
from pathlib import Path

import pytest

from resweep.paths import Layout
from resweep.study import files
from resweep.study.load import load_study
from resweep.study.removed import delete_old_packs, move_removed
from resweep.study.study import Study
from resweep.trials.pack import write_pack
from resweep.trials.record import Status, link_record, read_record, write_own_record
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def study() -> Study:
    """A study with rounds and rungs, whose slots have records too."""
    return load_study(ROOT / "config/studies/adaptive.yaml", ROOT / "config")


@pytest.fixture
def layout(study: Study, tmp_path: Path) -> Layout:
    """Records and trial files of all its slots."""
    layout = Layout(tmp_path / "results")
    stored = layout.run("0123456789ab") / "records/20.json"
    write_own_record(stored, Status.FINISHED, "")
    for phase in study.phases:
        for record in files.stage_records(layout, phase, phase.stages):
            link_record(record, stored)
        for trial in files.stage_trials(layout, phase, phase.stages):
            trial.parent.mkdir(parents=True, exist_ok=True)
            trial.write_text("trial")
    return layout


def all_files(layout: Layout) -> set[Path]:
    return {path for path in layout.root.rglob("*") if not path.is_dir()}


def test_what_a_study_has_stays(study: Study, layout: Layout) -> None:
    before = all_files(layout)
    move_removed(layout, study)
    assert all_files(layout) == before


@pytest.mark.parametrize("slot", ["gone", "r01/b1/r01-99", "b1/01"])
def test_others_are_moved_and_still_lead_to_their_runs(
    slot: str, study: Study, layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    before = all_files(layout)
    folder = layout.phase("adaptive", study.phases[0].name)
    stored = layout.run("0123456789ab") / "records/20.json"
    link_record(folder.record(slot), stored)
    folder.trial(slot).parent.mkdir(parents=True, exist_ok=True)
    folder.trial(slot).write_text("gone")
    with caplog.at_level(logging.WARNING):
        move_removed(layout, study)
    record, trial = (
        folder.removed / name for name in (f"records/{slot}.json", f"trials/{slot}.yaml")
    )
    assert all_files(layout) - before == {record, trial}
    assert record.is_symlink() and read_record(record).status is Status.FINISHED
    assert trial.read_text() == "gone"
    assert str(folder.removed) in caplog.text and "1 trial " in caplog.text
    assert record not in [*folder.all_records(), *layout.study("adaptive").all_records()]
    assert record not in layout.all_trial_records()


def test_files_that_are_no_trials_stay(study: Study, layout: Layout) -> None:
    folder = layout.phase("adaptive", study.phases[0].name)
    (folder.records / "._gone.json").touch()
    (folder.trials / ".gone.yaml").touch()
    before = all_files(layout)
    move_removed(layout, study)
    assert all_files(layout) == before


def test_nothing_is_moved_out_of_a_folder_that_is_not_ours(
    study: Study, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = layout.phase("adaptive", study.phases[0].name)
    folder.record("gone").touch()
    before = all_files(layout)
    monkeypatch.setattr("resweep.study.removed.may_write", lambda path: path != folder.records)
    move_removed(layout, study)
    assert all_files(layout) == before


def test_packs_that_a_study_has_no_more_are_deleted(study: Study, layout: Layout) -> None:
    known = set()
    for phase in study.phases:
        folder = layout.phase(study.name, phase.name)
        for pack in files.pack_files(phase):
            write_pack(folder.pack(pack.id), pack)
            known.add(folder.pack(pack.id))
        write_pack(folder.pack("old"), pack)
    assert known
    delete_old_packs(layout, study)
    found = {
        file for phase in study.phases for file in layout.phase(study.name, phase.name).all_packs()
    }
    assert found == known
