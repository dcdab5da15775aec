"""What a training takes on the disk, against its bound."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resweep.data.store import Prepared
from resweep.errors import Interrupted
from resweep.files import size_of
from resweep.paths import Layout
from resweep.store.advance import advance
from resweep.store.disk_bound import DiskBound, find_disk_bound
from resweep.store.goal import Goal
from resweep.systems.registry import find_system
from resweep.systems.values import Bounds
from resweep.training.place import Place
from tests.support.asked import Asked, ask, run_of
from tests.support.tiny import configure, prepare

GPT2 = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
NO_GPT = {"model__n_layer": None, "model__n_head": None, "model__n_embd": None}
POLICIES: dict[str, dict[str, Any]] = {
    "the last one": {},
    "all of save_steps": {"training__save_steps": 2},
    "odd save_steps": {"training__save_steps": 5},
    "the newest": {"training__save_steps": 1, "training__keep_last": 2},
    "the best": {"training__keep_best": 2, "training__eval_steps": 2},
    "gradients": {"training__save_gradients": True, "training__save_steps": 6},
    "samples": {"training__save_gradients": True, "training__gradient_samples": 3},
    "no biases": {"model__bias": False},
    "gpt2 of transformers": {"model__kind": "hf", "model__config": GPT2, **NO_GPT},
    "llama": {"model__kind": "hf", "model__config": LLAMA, **NO_GPT},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("data"))


def bounds_of(goal: Goal) -> Bounds:
    bounds = find_system("language").cost(goal.config, goal.data).bounds
    assert bounds is not None
    return bounds


def bound_of(goal: Goal, begin: int = 0) -> DiskBound:
    return find_disk_bound(goal.training, bounds_of(goal), begin, goal.until)


def train(asked: Asked, layout: Layout, interrupted: Callable[[], bool] = lambda: False) -> int:
    """Train, and return the most bytes that the run had after a step."""
    goal, surroundings = asked
    sizes = [0]

    def look() -> bool:
        sizes.append(size_of(layout.run(goal.run_id)))
        return interrupted()

    advance(goal, replace(surroundings, interrupted=look), layout)
    return max(sizes)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_training_takes_at_most_its_bound(policy: str, data: Prepared, tmp_path: Path) -> None:
    asked, layout = ask(configure(data, **POLICIES[policy]), data), Layout(tmp_path)
    (goal, _), bound = asked, bound_of(asked[0])
    most = train(asked, layout)
    run = run_of(asked, layout)
    left = size_of(run.path)
    assert max(most, left) <= bound.training
    weights = sum(map(size_of, run.path.glob("checkpoint_*")))
    assert weights <= bound.weights
    assert left - weights <= bound.metrics
    saved = bounds_of(goal).checkpoint_bytes + bounds_of(goal).gradient_bytes
    for folder in run.path.glob("checkpoint_*"):  # the bound of one is not far from what it has
        assert saved / 2 < size_of(folder) <= saved + bound.metrics


def test_so_does_one_that_was_interrupted(data: Prepared, tmp_path: Path) -> None:
    asked, layout = ask(configure(data, training__save_steps=3), data), Layout(tmp_path)
    bound, sizes = bound_of(asked[0]), []
    for steps in (1, 4, 5):
        left = [steps]

        def is_due(left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] < 0

        try:
            sizes.append(train(asked, layout, is_due))
        except Interrupted:
            sizes.append(size_of(run_of(asked, layout).path))
    sizes.append(train(asked, layout))
    assert max(sizes) <= bound.training


def test_learners_count_no_more_flops(data: Prepared) -> None:
    for changes in POLICIES.values():
        goal, _ = ask(configure(data, **changes), data)
        place = Place(device=torch.device("cpu"))
        learner = find_system("language").learner(goal.config, data, place)
        cost = find_system("language").cost(goal.config, data)
        assert cost.bounds is not None and learner.step_flops is not None
        assert cost.bounds.step_flops / 2 < learner.step_flops <= cost.bounds.step_flops
        assert learner.step_units == cost.step_units


@pytest.mark.parametrize(
    "changes",
    [
        {"model__config": {"model_type": "mamba", "hidden_size": 32}},
        {"model__config": {"model_type": "llama", "hidden_size": 32}},
    ],
)
def test_what_has_to_be_built_has_no_bound(changes: dict[str, Any], data: Prepared) -> None:
    config = configure(data)
    section = config["model"] | {"kind": "hf", "config": changes["model__config"]}
    kept = {k: v for k, v in section.items() if k not in ("n_layer", "n_head", "n_embd", "bias")}
    assert find_system("language").cost(config | {"model": kept}, data).bounds is None
