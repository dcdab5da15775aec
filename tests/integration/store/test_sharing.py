"""Another user's runs: what the store has is used without writing there."""

import json
import subprocess
import sys
from pathlib import Path

from resweep.paths import Layout
from tests.conftest import ROOT
from tests.support.disks import only_readable, plain_user, run_plain
from tests.support.study import make_study, run_id

USE = """
import json, logging, sys
from pathlib import Path
from resweep.agents.worker import is_held
from resweep.errors import describe
from resweep.paths import Layout
from resweep.ranking.keep import keep_models
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


def test_a_table_of_all_runs_that_is_not_ours_fails_no_study(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    records = [str(path) for path in sorted(layout.phase("made", "sweep").records.glob("*.json"))]
    own = layout.study("made").table
    own.unlink()
    for path in (layout.root, layout.runs_table, *layout.root.glob(".*.lock")):
        path.chmod(path.stat().st_mode & ~0o222)
    script = [*plain_user(), sys.executable, str(ROOT / "workflow/scripts/tabulate_runs.py")]
    script += ["--results", str(layout.root)]
    ended = []
    for more in (["--study", "made", "--records", *records], []):
        done = subprocess.run([*script, *more], capture_output=True, text=True, check=False)
        (line,) = done.stderr.splitlines()
        kind, _, text = line.partition(": ")
        ended.append((done.returncode, kind, text.startswith(f"{layout.runs_table}: ")))
    assert ended == [(0, "warning", True), (1, "error", True)]
    assert own.exists()
