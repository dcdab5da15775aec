"""A study whose every job is killed again and again still finishes, with the same numbers."""

import json
import random
import subprocess
import time
from typing import Any

import pytest
from cluster import Cluster
from test_workflow import SlurmStudy

from tests.conftest import Checkout

KILLS = 4  # of each run, at least
STEPS = 600


def jobs(study: SlurmStudy) -> dict[str, dict[str, Any]]:
    """The leases of the runs that are being trained, by run."""
    found = {}
    for path in study.checkout.path.glob("results/runs/*/lease.json"):
        lease = json.loads(path.read_text())
        if not lease.get("released") and lease.get("job"):
            found[path.parent.name] = lease
    return found


def lines(study: SlurmStudy, run: str) -> int:
    """How many lines a run's metrics have."""
    try:
        return len((study.checkout.path / f"results/runs/{run}/metrics.jsonl").read_text().split())
    except FileNotFoundError:
        return 0


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_a_study_under_constant_preemption_finishes_with_the_same_numbers(
    checkout: Checkout, cluster: Cluster
) -> None:
    study = SlurmStudy(checkout, cluster)
    checkout.write_sweep(learning_rate=[1e-3, 3e-3])
    two = {"training.distributed": "ddp", "training.processes": 2}
    checkout.write_study(
        set={
            **{"model.n_layer": 2, "model.n_embd": 32, "model.n_head": 2, "model.dropout": 0.1},
            **{"training.max_steps": STEPS, "training.save_steps": 20, "training.log_steps": 1},
            **{"training.eval_steps": 100, "training.eval_sequences": 16},
        },
        phases=[
            {"name": "sweep", "kind": "sweep", "sweep": "rates"},
            {"name": "rerun", "kind": "rerun", "of": "sweep", "seeds": [1], "set": two},
        ],
        resources={"gpus": 1, "runtime": 30},
    )
    chance = random.Random(0)
    process = study.start()
    killed: dict[str, int] = {}
    # Each job may train on for a little before it is killed, in one of the ways there are.
    spared: dict[tuple[str, str], int] = {}
    while process.poll() is None:
        for run, lease in jobs(study).items():
            seen = spared.setdefault((run, lease["job"]), lines(study, run) + chance.randrange(60))
            if lines(study, run) <= seen or killed.get(run, 0) >= 2 * KILLS:
                continue
            how = ([], ["--signal=KILL"])[chance.randrange(2)]
            subprocess.run(["scancel", *how, lease["job"]], env=study.env, check=False)
            killed[run] = killed.get(run, 0) + 1
            spared[run, lease["job"]] = 10**9
        time.sleep(0.05)
    assert process.returncode == 0, study.output()[-4000:]
    assert len(killed) == 3 and min(killed.values()) >= KILLS, killed

    disturbed = {path.name: results(path) for path in study.checkout.path.glob("results/runs/*")}
    for run, count in killed.items():
        ends = [attempt["end"] for attempt in disturbed[run]["attempts"]]
        assert len(ends) > count / 2 and ends[-1] == "completed"
    study.checkout.run("rm", "-r", "results")
    study.checkout.snakemake("--quiet", "all")
    for path in study.checkout.path.glob("results/runs/*"):
        expected = results(path)
        for name in ("metrics", "weights", "lines"):
            assert disturbed[path.name][name] == expected[name], (path.name, name)


def results(path: Any) -> dict[str, Any]:
    """What a run came to."""
    record = json.loads((path / f"records/{STEPS}.json").read_text())
    state = json.loads((path / "record.json").read_text())
    return {
        "attempts": state["attempts"],
        "metrics": record["metrics"],
        "weights": record["weights"],
        "lines": (path / "metrics.jsonl").read_text(),
    }
