"""A pack on SLURM: its trainings save at the time limit, and the retry continues them."""

import json
from typing import Any

import pytest
from cluster import Cluster
from test_workflow import SlurmStudy

from tests.conftest import Checkout

STEPS = 4000  # long enough: SLURM looks at limits every half minute
RATES = [1e-4, 5e-4, 1e-3, 2e-3]


def states(study: SlurmStudy) -> list[dict[str, Any]]:
    """The states of the runs that were begun."""
    files = study.checkout.path.glob("results/runs/*/record.json")
    return [json.loads(file.read_text()) for file in files]


def trained(study: SlurmStudy) -> list[int]:
    """How many lines the metrics of each run have."""
    files = study.checkout.path.glob("results/runs/*/metrics.jsonl")
    return [len(file.read_text().splitlines()) for file in files]


@pytest.mark.long
def test_a_pack_at_its_time_limit_saves_and_its_retry_continues(
    checkout: Checkout, cluster: Cluster
) -> None:
    study = SlurmStudy(checkout, cluster)
    checkout.write_sweep(learning_rate=RATES)
    study.train_for(STEPS)
    process = study.start()
    study.wait(process, lambda: len(trained(study)) == 4 and min(trained(study)) > 5)
    lease = next(checkout.path.glob("results/runs/*/lease.json"))
    job = json.loads(lease.read_text())["job"]
    study.slurm("scontrol", "update", f"JobId={job}", "EndTime=now+1")
    study.finish(process)
    attempts = [state["attempts"] for state in states(study)]
    assert [[one["end"] for one in pair] for pair in attempts] == [["interrupted", "completed"]] * 4
    for first, second in attempts:
        assert 0 < first["to_step"] == second["from_step"] < STEPS
    jobs = [{pair[number]["job"] for pair in attempts} for number in (0, 1)]
    assert jobs[0] == {job} and len(jobs[1]) == 1 and jobs[1] != jobs[0]
    (record, *_) = checkout.path.glob("results/tiny/sweep/records/*.json")
    assert len(list(record.parent.glob("*.json"))) == 4 and record.is_symlink()
