"""Which phases share a run that is forgotten."""

from pathlib import Path

from resweep.store.forget import phases_of_runs
from tests.support.study import make_study, run_id


def test_all_phases_that_share_a_run_are_named(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    make_study(tmp_path, name="other", rerun=[])
    shared, own = run_id(layout, "sweep", "bbb"), run_id(layout, "rerun", "01")
    assert phases_of_runs([shared, own, "0" * 12], layout) == {
        shared: [("made", "sweep"), ("other", "sweep")],
        own: [("made", "rerun")],
        "0" * 12: [],
    }
