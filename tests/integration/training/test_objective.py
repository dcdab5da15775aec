"""Whatever trains by backpropagation: an objective that is no language model, and carries a state.

It fits a line to points, and evaluates an exponential moving average (EMA) of its weights.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from resweep.config.training_section import Training
from resweep.training.gradient_learner import GradientLearner
from resweep.training.objective import Objective
from resweep.training.place import Place
from resweep.training.seeds import derive_seed
from tests.support.learners import CPU

FEATURES = 5
DECAY = 0.8


class Line(Objective):
    """Least squares; a row is a point and its value, (FEATURES + 1,) of float32.

    Args:
        training: The section.
        averaged: Whether it carries the EMA, and evaluates that.
        tests: Points of the test split.
    """

    loss_name = "train/error"
    step_flops = None

    def __init__(self, training: Training, averaged: bool = True, tests: int = 0):
        self.seed = training.seed
        self.count = training.batch_size * training.gradient_accumulation_steps
        self.step_units = self.count
        self.model = nn.Linear(FEATURES, 1)
        self.shapes = {name: p.shape for name, p in self.model.named_parameters()}
        self.averaged = averaged
        self.average: dict[str, Tensor] = {}
        self.updates = 0
        self.tests = tests

    def initialize(self) -> None:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "initialization"))
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.normal_(0.0, 1.0, generator=generator)
        self.average = {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def rows_at(self, step: int) -> np.ndarray:
        return points(derive_seed(self.seed, "batch", step), self.count)

    def loss(self, rows: Tensor) -> Tensor:
        return (self.model(rows[:, :-1]).squeeze(1) - rows[:, -1]).square().mean()

    def measure(self, rows: Tensor) -> Tensor:
        weights = self.average if self.averaged else dict(self.model.named_parameters())
        found = rows[:, :-1] @ weights["weight"][0] + weights["bias"]
        return (found - rows[:, -1]).square().sum()

    def eval_batches(self, split: str, most_rows: int) -> Sequence[np.ndarray]:
        whole = points(7, 24) if split == "val" else points(8, self.tests)
        return [whole[first : first + most_rows] for first in range(0, len(whole), most_rows)]

    def summarize(self, split: str, sums: Tensor, rows: int) -> dict[str, float]:
        return {f"{split}/error": sums.item() / rows}

    def interval_metrics(self, step: int) -> dict[str, float]:
        return {"updates": float(self.updates)}

    @torch.no_grad()
    def after_step(self) -> None:
        self.updates += 1
        for name, parameter in self.model.named_parameters():
            self.average[name].lerp_(parameter, 1 - DECAY)

    def extra_state(self) -> dict[str, Tensor]:
        if not self.averaged:
            return {}
        kept = {f"ema.{name}": tensor for name, tensor in self.average.items()}
        return {**kept, "updates": torch.tensor(self.updates)}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:
        if self.averaged:
            self.updates = int(state["updates"])
            self.average = {name: state[f"ema.{name}"].clone() for name in self.shapes}

    def write(self, weights: Mapping[str, Tensor], folder: Path) -> None:
        save_file(dict(weights), folder / "model.safetensors")

    def read(self, folder: Path) -> dict[str, Tensor]:
        return load_file(folder / "model.safetensors")


def points(seed: int, count: int) -> np.ndarray:
    """Points on a plane, with noise."""
    drawn = np.random.default_rng(seed).normal(size=(count, FEATURES + 1)).astype(np.float32)
    drawn[:, -1] = drawn[:, :-1].sum(1) + 0.1 * drawn[:, -1]
    return drawn


def make(averaged: bool = True, tests: int = 0, **settings: Any) -> GradientLearner:
    section = Training(**{"max_steps": 20, "batch_size": 6, "learning_rate": 0.1} | settings)
    return GradientLearner(Line(section, averaged, tests), section, Place(device=CPU))


def line_of(learner: GradientLearner) -> Line:
    assert isinstance(learner.objective, Line)
    return learner.objective


def go(learner: GradientLearner, until: int) -> list[dict[str, float]]:
    """Train to a step; returns a line and an evaluation for each."""
    lines = []
    while learner.step < until:
        learner.train_step()
        lines.append({**learner.interval_metrics(), **learner.evaluate()})
    return lines


def save(learner: GradientLearner, folder: Path) -> Path:
    folder.mkdir()
    learner.snapshot().write(folder)
    return folder


def test_what_it_carries_is_restored_bit_for_bit(tmp_path):
    whole, first, rest = make(), make(), make()
    expected = go(whole, 20)
    assert go(first, 7) == expected[:7]
    rest.load(save(first, tmp_path / "saved"))
    assert go(rest, 20) == expected[7:]
    for name, tensor in line_of(whole).extra_state().items():
        assert torch.equal(tensor, line_of(rest).extra_state()[name]), name
    weights, moments = whole.engine.state()
    others = rest.engine.state()
    assert all(torch.equal(tensor, others[0][name]) for name, tensor in weights.items())
    assert all(torch.equal(tensor, others[1][name]) for name, tensor in moments.items())


def test_without_it_the_evaluations_would_be_others(tmp_path):
    """What the test above rests on: the state matters, and is in a file of its own."""
    whole, first, rest = make(), make(), make()
    expected = go(whole, 20)
    go(first, 7)
    saved = save(first, tmp_path / "saved")
    file = saved / "extra.safetensors"
    state = load_file(file)
    assert state.keys() == {"ema.weight", "ema.bias", "updates"}
    save_file({**state, "ema.weight": torch.zeros(1, FEATURES)}, file)
    rest.load(saved)
    found = go(rest, 20)
    assert [line["train/error"] for line in found] == [x["train/error"] for x in expected[7:]]
    assert found[0]["val/error"] != expected[7]["val/error"]


def test_a_snapshot_is_apart_from_what_trains_on(tmp_path):
    learner = make()
    go(learner, 3)
    snapshot = learner.snapshot()
    before = {name: tensor.clone() for name, tensor in snapshot.extra_state.items()}
    go(learner, 6)
    assert all(torch.equal(before[name], snapshot.extra_state[name]) for name in before)
    assert not torch.equal(before["ema.weight"], line_of(learner).average["weight"])


def test_who_carries_nothing_has_no_file_for_it(tmp_path):
    whole, first, rest = make(averaged=False), make(averaged=False), make(averaged=False)
    expected = go(whole, 20)
    go(first, 7)
    saved = save(first, tmp_path / "saved")
    names = {file.name for file in saved.iterdir()}
    assert names == {"model.safetensors", "optimizer.safetensors", "trainer.json"}
    rest.load(saved)
    # Of the updates it counts nothing is saved.
    lines = [line | {"updates": line["updates"] + 7} for line in go(rest, 20)]
    assert lines == expected[7:]


def test_lines_have_its_names():
    learner = make()
    learner.train_step()
    assert learner.interval_metrics().keys() == {"train/error", "lr", "grad_norm", "updates"}
    assert learner.evaluate().keys() == {"val/error"}


def test_micro_batches_update_once():
    whole, parts = make(), make(max_gpu_batch_size=4)
    go(whole, 5)
    go(parts, 5)
    assert line_of(parts).updates == 5
    for name, tensor in line_of(whole).average.items():
        torch.testing.assert_close(line_of(parts).average[name], tensor)


@pytest.mark.parametrize("most", [24, 7])
def test_evaluations_are_means_over_all_examples(most):
    learner = make(eval_batch_size=most)
    rows = torch.from_numpy(points(7, 24)).double()
    weights = {name: tensor.double() for name, tensor in line_of(learner).average.items()}
    found = rows[:, :-1] @ weights["weight"][0] + weights["bias"]
    expected = (found - rows[:, -1]).square().mean().item()
    assert learner.evaluate()["val/error"] == pytest.approx(expected, rel=1e-5)


def test_a_split_without_examples_has_no_metrics():
    assert make().conclude() == {}
    assert make(tests=3).conclude().keys() == {"test/error"}


def test_it_learns():
    learner = make()
    before = learner.evaluate()["val/error"]
    go(learner, 20)
    assert learner.evaluate()["val/error"] < before / 2
