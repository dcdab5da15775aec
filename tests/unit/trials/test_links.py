"""Records as links into the store."""

from pathlib import Path

from resweep.paths import Layout
from resweep.trials.record import Status, link_record, write_own_record


def test_links_are_relative_and_survive_a_move(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "results")
    stored = layout.run("0123456789ab") / "records/20.json"
    write_own_record(stored, Status.FINISHED, "")
    link_record(layout.record("mine", "sweep", "aaa"), stored)
    moved = Layout(layout.root.rename(tmp_path / "elsewhere"))
    record = moved.record("mine", "sweep", "aaa")
    assert record.exists() and not record.readlink().is_absolute()
