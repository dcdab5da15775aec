"""A pack on SLURM: its trainings save at the time limit, and the retry continues them."""

import json
from typing import Any

import pytest
from cluster import Cluster
from test_workflow import DEADLINE, SlurmStudy

from tests.conftest import Checkout

STEPS = 6000  # long enough: SLURM looks at limits every half minute
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
    study.train_for(STEPS, pack=len(RATES))
    process = study.start()
    study.wait(process, lambda: sum(lines > 5 for lines in trained(study)) >= 2)
    lease = next(checkout.path.glob("results/runs/*/lease.json"))
    job = json.loads(lease.read_text())["job"]
    # Whatever this machine has, for all that it has waiting.
    assert f"NumCPUs={len(RATES)} " in study.slurm("scontrol", "show", "job", job)
    study.slurm("scontrol", "update", f"JobId={job}", "EndTime=now+1")
    assert process.wait(2 * DEADLINE) == 0, study.output()[-4000:]
    attempts = [state["attempts"] for state in states(study)]
    for *before, last in attempts:
        assert [(one["end"], one["job"]) for one in before] in ([], [("interrupted", job)])
        assert last["end"] == "completed"
        assert last["from_step"] == sum(one["to_step"] for one in before) < STEPS
    assert len({last["job"] for *_, last in attempts} - {job}) == 1
    assert sum(len(each) == 2 for each in attempts) >= 2
    (record, *_) = checkout.path.glob("results/tiny/sweep/records/*.json")
    assert len(list(record.parent.glob("*.json"))) == 4 and record.is_symlink()
