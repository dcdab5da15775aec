"""Another user's runs: what the store has is used without writing there."""

import json
from pathlib import Path

from resweep.paths import Layout
from tests.support.disks import only_readable, run_plain
from tests.support.study import make_study, run_id

USE = """
import json, logging, sys
from pathlib import Path
from resweep.agents.worker import is_held
from resweep.errors import describe
from resweep.files import link_relative
from resweep.paths import Layout
from resweep.ranking.keep import keep_models
from resweep.store.advance import drop_temporaries
from resweep.store.lock import RunLock
from resweep.store.retention import claim, release
from resweep.store.run import Run
from resweep.study.metric import PhaseScore

theirs, ours = Layout(Path(sys.argv[1])), Layout(Path(sys.argv[2]))
run = Run(ours.run(sys.argv[3]))
claim(run, "ours", "sweep", "bbb")
release(run, "made", "sweep", "bbb")
folder = ours.phase("ours", "sweep")
decisions = keep_models(
    study="ours", phase="sweep", scores_path=theirs.phase("made", "sweep").scores,
    policy="best", top=1, models=folder.models, layout=ours,
    best_of_study=PhaseScore(
        metric="val/loss", goal="minimize", early_metric="train/loss", early_goal="minimize"
    ),
)
print(json.dumps([(row["trial"], row["decision"]) for row in decisions]))
print(is_held(run))
try:
    with RunLock(run.path, timeout=0.0):
        pass
except OSError as error:
    print(describe(error))
"""


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_runs_that_we_may_only_read_are_linked_and_stay_as_they_are(tmp_path: Path) -> None:
    theirs = make_study(tmp_path / "theirs")
    only_readable(theirs.root)
    before = snapshot(theirs.root)
    ours = Layout(tmp_path / "ours/results")
    ours.root.mkdir(parents=True)
    ours.runs.symlink_to(theirs.runs)
    name = run_id(theirs, "sweep", "bbb")
    decisions, held, line = run_plain(USE, theirs.root, ours.root, name)
    assert ["bbb", "keep"] in json.loads(decisions)
    assert held == "False"
    run = ours.run(name)
    assert line.startswith(f"{run}/lock: ") and f"{run} belongs to {run.owner()}" in line
    assert (ours.phase("ours", "sweep").models / "bbb").resolve() == (
        theirs.run(name) / "checkpoint_40"
    )
    assert snapshot(theirs.root) == before
