"""The largest trainings that open slots may get."""

from pathlib import Path
from typing import Any

import pytest

from resweep.paths import Layout
from resweep.report.audit import audit
from resweep.report.possible import possible_configs, trials_alike
from resweep.study.study import Study
from tests.support.made_grid import SIZES, load_written

SEEDS = {"values": [1, 2, 3]}
RATE = {"min": 1e-4, "max": 1e-2}


def load(
    root: Path, method: str, more: list[dict[str, Any]] | None = None, **parameters: Any
) -> Study:
    phases = [{"name": "search", "kind": "sweep", "sweep": "search"}, *(more or [])]
    content = {"name": "made", "base": {}, "set": SIZES, "phases": phases}
    sweep: dict[str, Any] = {"method": method, "parameters": parameters}
    if method != "grid":
        sweep |= {"run_cap": 4, "metric": {"name": "val/loss", "goal": "minimize"}}
    return load_written(root, content, "search", sweep)


def test_a_search_may_propose_all_bounds_together(tmp_path: Path) -> None:
    study = load(
        tmp_path,
        "bayes",
        more=[
            {"name": "rerun", "kind": "rerun", "of": "search", "set": {"training.max_steps": 80}}
        ],
        n_layer={"min": 1, "max": 6},
        batch_size={"values": [2, 12]},
        learning_rate=RATE,
    )
    layout = Layout(tmp_path / "results")
    costs = audit(study, layout).phases
    for phase in study.phases:
        configs = possible_configs(phase)
        largest = {(one["model"]["n_layer"], one["training"]["batch_size"]) for one in configs}
        assert (6, 12) in largest
    assert costs["search"].units == 4 * 40 * 12 * SIZES["model.context_length"]
    assert costs["rerun"].units == 80 * 12 * SIZES["model.context_length"]


def test_bounds_that_do_not_fit_give_way_to_the_next_that_do(tmp_path: Path) -> None:
    (phase,) = load(tmp_path, "bayes", n_embd={"min": 17, "max": 31}, learning_rate=RATE).phases
    assert max(one["model"]["n_embd"] for one in possible_configs(phase)) == 30  # of two heads


def test_points_of_a_grid_are_not_combined(tmp_path: Path) -> None:
    study = load(
        tmp_path,
        "random",
        more=[{"name": "rerun", "kind": "rerun", "of": "search"}],
        n_layer={"min": 1, "max": 9},
        batch_size={"values": [2, 4, 6, 12]},
    )
    search, rerun = study.phases
    drawn = {(a["model.n_layer"], a["training.batch_size"]) for a in search.varied()}
    configs = possible_configs(rerun)
    asked = {(one["model"]["n_layer"], one["training"]["batch_size"]) for one in configs}
    assert drawn <= asked <= {*drawn, (2, 6)}  # and what the study itself says


@pytest.mark.parametrize(
    ("method", "parameters", "more", "expected"),
    [
        ("grid", {"learning_rate": {"values": [1e-3, 2e-3]}}, None, 1),
        ("grid", {"learning_rate": {"values": [1e-3, 2e-3]}, "seed": SEEDS}, None, 3),
        ("bayes", {"learning_rate": RATE}, None, 1),
        ("bayes", {"learning_rate": RATE, "seed": SEEDS}, None, 4),
        ("bayes", {"learning_rate": RATE}, {"seeds": [1, 2]}, 2),
    ],
)
def test_seeds_of_a_configuration_are_counted(
    method: str,
    parameters: dict[str, Any],
    more: dict[str, Any] | None,
    expected: int,
    tmp_path: Path,
) -> None:
    reruns = [] if more is None else [{"name": "rerun", "kind": "rerun", "of": "search", **more}]
    study = load(tmp_path, method, reruns, **parameters)
    assert trials_alike(study.phases[-1]) == expected


def test_epochs_are_unknown_before_their_data(tmp_path: Path) -> None:
    content = {
        "name": "made",
        "base": {},
        "set": SIZES | {"training.max_steps": None, "training.num_epochs": 1},
        "phases": [
            {"name": "search", "kind": "sweep", "sweep": "search"},
            {"name": "rerun", "kind": "rerun", "of": "search"},
        ],
    }
    sweep = {"method": "grid", "parameters": {"learning_rate": {"values": [1e-3, 2e-3]}}}
    cost = audit(load_written(tmp_path, content, "search", sweep), Layout(tmp_path / "results"))
    for phase in cost.phases.values():
        assert (phase.steps, phase.bound.disk, phase.kept) == (None, None, None)
    assert cost.phases["search"].to_train == 2
