"""Weights of trials that a rung stopped."""

from pathlib import Path

import pytest

from resweep.paths import Layout
from resweep.ranking.release import release_stopped
from resweep.store import checkpoints as checkpoint
from resweep.store.retention import claim
from resweep.store.run import Run


@pytest.mark.parametrize(("keep", "left"), [("best", ["a"]), ("none", ["a"]), ("all", ["a", "b"])])
def test_weights_of_trials_that_stop_are_released(
    keep: str, left: list[str], tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    for name in "ab":
        run = Run(layout.run(f"run{name}"))
        (run.path / checkpoint.folder_name(10)).mkdir(parents=True)
        claim(run, "s", "p", name)
    decisions = [
        {"trial": "a", "run_id": "runa", "decision": "promote"},
        {"trial": "b", "run_id": "runb", "decision": "stop"},
    ]
    release_stopped("s", "p", decisions, keep, layout)
    kept = sorted(path.parent.name for path in layout.runs.glob("*/checkpoint_10"))
    assert kept == [f"run{name}" for name in left]


def test_weights_that_another_study_wants_stay(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    run = Run(layout.run("runb"))
    (run.path / checkpoint.folder_name(10)).mkdir(parents=True)
    for study in ("s", "other"):
        claim(run, study, "p", "b")
    decisions = [{"trial": "b", "run_id": "runb", "decision": "stop"}]
    release_stopped("s", "p", decisions, "best", layout)
    assert (run.path / checkpoint.folder_name(10)).is_dir()
