"""A study on SLURM, watched from a login node: by its files alone."""

import json
import subprocess

from cluster import Cluster
from test_workflow import DEADLINE, SlurmStudy

from tests.conftest import Checkout
from tests.support.hold import Held


def test_trials_of_a_cluster_are_watched_from_elsewhere(
    checkout: Checkout, cluster: Cluster
) -> None:
    study = SlurmStudy(checkout, cluster)
    checkout.write_sweep(learning_rate=[1e-3])
    study.train_for(40)
    held = Held(checkout)
    process = study.start()
    study.wait(process, lambda: study.steps() > 0)
    watch = ("python", "workflow/scripts/watch.py", "tiny")
    once = checkout.run(*watch, "--once").stdout
    (row,) = [line for line in once.splitlines() if line.startswith("sweep ") and " 40 " in line]
    assert "0.001" in row and "0 of 1 trials" in once

    watching = subprocess.Popen(
        watch, cwd=checkout.path, env=checkout.env, text=True, stdout=subprocess.PIPE
    )
    assert watching.stdout is not None
    first = watching.stdout.readline()
    held.release()
    study.finish(process)
    seen, _ = watching.communicate(timeout=DEADLINE)
    assert watching.returncode == 0
    assert "1 running" in first and "1 of 1 trials" in seen
    for output in (seen, study.output()):  # what it came to, in both
        assert "report: results/tiny/report.html" in output
    assert json.loads((checkout.path / "results/tiny/build.json").read_text())["ended"]
