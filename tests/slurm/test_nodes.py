"""Trials that several processes train, on one node and on two of a real SLURM."""

import json
from typing import Any

import pytest
from cluster import Cluster
from test_workflow import SlurmStudy

from tests.conftest import Checkout

PHASES = {
    "ddp": {"training.distributed": "ddp", "training.processes": 2},
    "zero": {"training.distributed": "zero2", "training.processes": 2},
    "nodes": {"training.distributed": "ddp", "training.processes": 2, "training.nodes": 2},
}


@pytest.fixture
def study(checkout: Checkout, cluster: Cluster) -> SlurmStudy:
    """Three phases of one trial each: two processes, DeepSpeed, two nodes."""
    made = SlurmStudy(checkout, cluster)
    checkout.write_sweep("one", learning_rate=[1e-3])
    checkout.write_study(
        phases=[
            {"name": name, "kind": "sweep", "sweep": "one", "set": {"training.seed": seed, **how}}
            for seed, (name, how) in enumerate(PHASES.items())
        ],
        resources={"gpus": 1, "runtime": 30},
    )
    return made


def states(checkout: Checkout) -> dict[int, dict[str, Any]]:
    """The state of each run, by its seed."""
    found = {}
    for path in checkout.path.glob("results/runs/*/record.json"):
        state = json.loads(path.read_text())
        found[state["identity"]["training"]["seed"]] = state
    return found


def test_processes_of_one_node_and_of_two_train_what_one_does(study: SlurmStudy) -> None:
    study.finish(study.start())
    made = states(study.checkout)
    assert [made[seed]["status"] for seed in range(3)] == ["finished"] * 3
    for seed in range(3):
        (segment,) = made[seed]["segments"]
        assert segment["processes"] == 2 and segment["host"] in ("gpu1", "gpu2")
    # The same runs by one process, without SLURM.
    study.checkout.run("rm", "-r", "results")
    alone = {"training.distributed": "none", "training.processes": 1, "training.nodes": 1}
    study.checkout.snakemake("--quiet", "all", "--config", f"set={json.dumps(alone)}")
    for seed, state in states(study.checkout).items():
        assert state["run_id"] == made[seed]["run_id"]
        assert state["metrics"] == pytest.approx(made[seed]["metrics"], abs=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("nodes", [1, 2])
def test_a_notice_before_the_end_saves_and_the_retry_resumes(
    checkout: Checkout, cluster: Cluster, nodes: int
) -> None:
    study = SlurmStudy(checkout, cluster)
    checkout.write_sweep(learning_rate=[1e-3])
    many = {"training.distributed": "ddp", "training.processes": 2, "training.nodes": nodes}
    study.train_for(1500, **many)
    process = study.start()
    study.wait(process, lambda: study.steps() > 150)
    run = study.run()
    assert run is not None
    # What `--signal=USR1@120` does two minutes before the limit.
    job = json.loads((run / "lease.json").read_text())["job"]
    study.slurm("scancel", "--signal=USR1", job)
    study.finish(process)
    first, second = study.state()["attempts"]  # type: ignore[misc]
    assert first["end"] == "interrupted" and second["end"] == "completed"
    assert first["to_step"] == second["from_step"] > 150
    # Snakemake inside the job outlives the notice, or the job would end before all is saved.
    logs = study.checkout.path.glob(".snakemake/slurm_logs/**/*.log")
    assert not any("User defined signal" in log.read_text() for log in logs)
