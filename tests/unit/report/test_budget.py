"""A study's budget: what counts against it, and when a build is refused."""

from pathlib import Path
from typing import Any

import pytest

from resweep.errors import ConfigError
from resweep.files import size_of
from resweep.paths import Layout
from resweep.report.audit import audit
from resweep.report.budget import GB, check_budget, limits
from tests.support.made_grid import RATES, build_made, load_made

MORE = [*RATES, 1.0]  # another learning rate: one more trial of the sweep, and the rerun is open
SPENT = 5 * 3.5 / 3600  # the made-up seconds of its runs
HOURS = 3 * 3.5 / 3600  # of three more: of the sweep, and of two open slots


@pytest.fixture
def built(tmp_path: Path) -> Layout:
    return build_made(tmp_path)


def refused(layout: Layout, budget: dict[str, Any], rates: list[float] = MORE) -> list[str]:
    """Keys of the budget that a build is refused for."""
    study = load_made(layout.root.parent, rates, budget=budget)
    try:
        check_budget(study, layout)
    except ConfigError as error:
        return [problem.key for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("budget", "keys"),
    [
        ({}, []),
        ({"trials": 6}, []),
        ({"trials": 5}, ["budget.trials"]),
        ({"gpu_hours": (SPENT + HOURS) * 2.2}, []),
        ({"gpu_hours": SPENT * 1.01}, ["budget.gpu_hours"]),
        ({"gpu_hours": 0}, ["budget.gpu_hours"]),
        ({"disk_gb": 1}, []),
        ({"disk_gb": 1e-4}, ["budget.disk_gb"]),
        ({"trials": 0, "disk_gb": 0, "gpu_hours": None}, ["budget.disk_gb", "budget.trials"]),
    ],
)
def test_a_build_beyond_a_limit_is_refused(
    budget: dict[str, Any], keys: list[str], built: Layout
) -> None:
    assert refused(built, budget) == keys


def test_one_that_trains_nothing_is_not(built: Layout) -> None:
    assert refused(built, {"trials": 0, "gpu_hours": 0, "disk_gb": 0}, RATES) == []


def test_what_is_spent_counts(built: Layout) -> None:
    budget = {"trials": 100, "gpu_hours": 10, "disk_gb": 1}
    study = load_made(built.root.parent, MORE, budget=budget)
    found = {one.key: one for one in limits(audit(study, built), built)}
    assert found["gpu_hours"].spent == pytest.approx(SPENT)
    assert found["gpu_hours"].rests_on == "estimate" and found["gpu_hours"].unit == "hours"
    assert found["gpu_hours"].more is not None
    assert HOURS / 2 < found["gpu_hours"].more < 2 * HOURS
    runs = sum(size_of(path) for path in built.all_runs())
    assert found["disk_gb"].spent == pytest.approx(runs / GB)
    assert found["trials"].total == 6


def test_the_time_limit_of_jobs_stands_in_for_an_estimate(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "results")
    resources = {"runtime": 30, "gpus": 2, "pack": 1}
    budget = {"gpu_hours": 4.9}
    study = load_made(tmp_path, budget=budget, resources=resources)
    (limit,) = limits(audit(study, layout), layout)
    assert (limit.more, limit.unit) == (5 * 0.5 * 2, "GPU hours")
    assert limit.rests_on != "estimate" and limit.is_exceeded
    assert refused(layout, budget, RATES) == []  # without a time limit, nothing is known
    study = load_made(tmp_path, budget=budget, resources=resources | {"pack": 5})
    (limit,) = limits(audit(study, layout), layout)
    assert limit.more == 2 * 0.5 * 2  # a pack for each phase, its trainings at once
