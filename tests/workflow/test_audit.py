"""The cost of a study before it is built, against what building it took."""

import json
from typing import Any

import pytest

from resweep.files import size_of
from tests.conftest import Checkout
from tests.workflow.search_files import steps_trained

AUDIT = ("python", "workflow/scripts/audit.py", "tiny")


def audited(checkout: Checkout, *options: str) -> dict[str, Any]:
    output = checkout.run(*AUDIT, "--json", *options).stdout
    return dict(json.loads(output.splitlines()[-1]))


def most(cost: dict[str, Any], name: str) -> Any:
    return sum(phase["most"][name] for phase in cost["phases"].values())


def test_a_build_takes_what_was_counted_at_most(checkout: Checkout, built_once: Checkout) -> None:
    before = audited(checkout)
    steps = steps_trained(built_once)
    assert most(before, "steps") == steps == 2 * 20 + 2 * 20
    assert most(before, "units") == steps * 4 * 16
    assert {name: phase["jobs"] for name, phase in before["phases"].items()} == {
        "sweep": 1,
        "rerun": 1,
    }
    runs = size_of(built_once.path / "results/runs")
    kept, disk = most(before, "kept_bytes"), most(before, "disk_bytes")
    assert runs <= kept < disk
    weights = sum(map(size_of, built_once.path.glob("results/runs/*/checkpoint_*")))
    assert weights > 0.4 * (kept - 4 * 2**15)  # without the allowance for small files
    after = audited(built_once)
    assert [most(after, name) for name in ("steps", "units", "flops", "disk_bytes")] == [0] * 4
    assert after["reasons"] == []


def test_what_a_change_trains_is_estimated_from_the_runs_before(built_once: Checkout) -> None:
    cost = audited(built_once, "--set", "{training.weight_decay: 0.5}")
    hours = [phase["estimate"]["hours"] for phase in cost["phases"].values()]
    assert all(isinstance(one, float) and one > 0 for one in hours)
    assert list(cost["estimate"]["runs"].values()) == [4]
    assert cost["estimate"]["start_seconds"] > 0
    assert {path for one in cost["reasons"] for path in one["differs"]} == {"training.weight_decay"}


@pytest.mark.parametrize("limits", [{"trials": 3}, {"trials": 3, "disk_gb": 1e-6}])
def test_a_build_beyond_its_budget_does_not_start(
    limits: dict[str, float], checkout: Checkout
) -> None:
    checkout.write_study(budget=limits)
    done = checkout.snakemake(check=False)
    assert done.returncode != 0
    refused = [line for line in done.stdout.splitlines() if "config/studies/tiny.yaml" in line]
    assert [next(key for key in limits if f"budget.{key} = " in line) for line in refused] == [
        key for key in ("disk_gb", "trials") if key in limits
    ]
    assert not (checkout.path / "results/runs").exists()
    assert not (checkout.path / "results/tiny").exists()
    audit = checkout.run(*AUDIT, check=False)
    assert audit.returncode == 1
    assert all(line.removeprefix("error: ") in audit.stdout for line in refused)
    assert checkout.snakemake("-n").returncode == 0
