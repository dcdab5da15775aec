"""The tests in this folder share one real SLURM cluster, on one worker of pytest-xdist."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker (`--dist loadgroup`): a machine has one cluster.

    pytest hands every test of the session to this hook, those of other folders too.
    """
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("slurm"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that is up; RESWEEP_REQUIRE_SLURM=1 makes a missing SLURM fail, not skip."""
    cluster = Cluster()
    if reason := cluster.installed():
        if os.environ.get("RESWEEP_REQUIRE_SLURM") == "1":
            pytest.fail(f"RESWEEP_REQUIRE_SLURM=1, but {reason}")
        pytest.skip(reason)
    with cluster:
        yield cluster
