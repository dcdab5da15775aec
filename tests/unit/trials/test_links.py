"""Records as links into the store, and those whose runs are gone."""

from pathlib import Path

import pytest

from resweep.paths import Layout
from resweep.trials.record import Status, drop_dangling_records, link_record, write_own_record


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Two studies whose trials lead to the runs `here` and `gone`, in a rung and at the end."""
    layout = Layout(tmp_path / "results")
    for run in ("here", "gone"):
        write_own_record(layout.run(run) / "records/20.json", Status.FINISHED, "")
        for study in ("mine", "other"):
            for place in ("", "r01/b1/"):
                record = layout.record(study, "sweep", f"{place}{run}")
                link_record(record, layout.run(run) / "records/20.json")
    write_own_record(layout.record("mine", "sweep", "empty"), Status.EMPTY, "nothing fills it")
    (layout.run("gone") / "records/20.json").unlink()
    return layout


def records(layout: Layout, study: str) -> list[str]:
    folder = layout.phase(study, "sweep").records
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.json"))


def test_records_of_runs_that_are_gone_are_dropped_at_all_rungs(layout: Layout) -> None:
    gone = [layout.record("mine", "sweep", f"{place}gone") for place in ("", "r01/b1/")]
    assert sorted(drop_dangling_records(layout, "mine")) == sorted(gone)
    assert records(layout, "mine") == ["empty.json", "here.json", "r01/b1/here.json"]
    assert drop_dangling_records(layout, "mine") == []


def test_records_of_other_studies_stay(layout: Layout) -> None:
    before = records(layout, "other")
    drop_dangling_records(layout, "mine")
    assert records(layout, "other") == before and len(before) == 4


def test_a_study_without_results_has_none_to_drop(layout: Layout) -> None:
    assert drop_dangling_records(layout, "new") == []


def test_links_are_relative_and_survive_a_move(layout: Layout, tmp_path: Path) -> None:
    moved = Layout(layout.root.rename(tmp_path / "elsewhere"))
    assert moved.record("mine", "sweep", "here").exists()
    assert not moved.record("mine", "sweep", "here").readlink().is_absolute()
