"""A study of all phases on SLURM, by one command; a second one runs nothing."""

import json

import pytest
from cluster import Cluster
from test_workflow import SlurmStudy

from tests.conftest import Checkout
from tests.support.all_phases import PHASES, make_files


@pytest.mark.long
def test_one_command_does_all_phases(checkout: Checkout, cluster: Cluster) -> None:
    study = SlurmStudy(checkout, cluster)
    make_files(checkout)
    study.finish(study.start())
    for phase in PHASES:
        records = list(checkout.path.glob(f"results/tiny/{phase}/records/*.json"))
        assert records and all("status" in json.loads(path.read_text()) for path in records)
    states = checkout.path.glob("results/runs/*/record.json")
    hosts = {one["host"] for path in states for one in json.loads(path.read_text())["attempts"]}
    assert hosts <= {"gpu1", "gpu2", "cpu1", "cpu2"}
    assert (checkout.path / "results/tiny/report.html").exists()
    study.finish(study.start())
    assert "Nothing to be done" in study.output()
