"""Supervision steps, halting and evaluation, against plain definitions."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from resweep.errors import ConfigError
from resweep.systems.loop_transformer.checkpoint import load_network
from resweep.systems.loop_transformer.loss import stablemax_cross_entropy
from resweep.systems.loop_transformer.model import Network
from resweep.systems.loop_transformer.objective import LoopObjective
from resweep.systems.loop_transformer.sections import Arch
from resweep.systems.loop_transformer.symmetry import kinds
from resweep.training.gradient_learner import GradientLearner
from tests.support.loop_transformer import SYSTEM, configure, make_learner

NO_EXPLORATION = {"arch__halt_exploration_prob": 0.0}


def halting_at(objective: LoopObjective, bias: float) -> None:
    """Let all puzzles halt, or none."""
    with torch.no_grad():
        objective.model.network.halt.bias.fill_(bias)


def trained(folder: Path, steps: int, **changes: Any) -> tuple[GradientLearner, LoopObjective]:
    learner, objective = make_learner(folder, **changes)
    for _ in range(steps):
        learner.train_step()
    return learner, objective


def checkpoint(learner: GradientLearner, folder: Path) -> Path:
    folder.mkdir()
    learner.snapshot().write(folder)
    return folder


@pytest.mark.parametrize("averaged", [True, False])
def test_a_loaded_network_answers_as_the_measured_one(averaged: bool, tmp_path: Path) -> None:
    learner, objective = trained(tmp_path, 3, training__ema=averaged)
    loaded = load_network(checkpoint(learner, tmp_path / "checkpoint"))
    tokens = torch.from_numpy(objective.test[0][:3].astype(np.int64)) + 1
    with torch.no_grad():
        answers = [
            network(network.begin(3, objective.cells), tokens)[1]
            for network in (objective.model.measured, loaded, objective.model.network)
        ]
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[1], answers[2]) is not averaged


def test_a_puzzle_stays_in_its_place_until_it_halts(tmp_path: Path) -> None:
    learner, objective = make_learner(tmp_path, training__learning_rate=1e-12, **NO_EXPLORATION)
    halting_at(objective, -100.0)
    seen, steps = [], []
    for _ in range(9):
        learner.train_step()
        seen.append(objective.carry.puzzles.clone())
        steps.append(objective.carry.steps.tolist())
    assert steps == [[n] * 8 for n in (1, 2, 3, 4, 1, 2, 3, 4, 1)]  # halt_max_steps is 4
    same = [torch.equal(one, two) for one, two in itertools.pairwise(seen)]
    assert same == [True, True, True, False, True, True, True, False]


def test_a_positive_logit_halts_at_once(tmp_path: Path) -> None:
    learner, objective = make_learner(tmp_path, training__learning_rate=1e-12, **NO_EXPLORATION)
    halting_at(objective, 100.0)
    for step in range(3):
        learner.train_step()
        assert objective.carry.steps.tolist() == [1] * 8
        rows = torch.from_numpy(objective.rows_at(step))
        assert torch.equal(objective.carry.puzzles, rows[:, 2:].view(8, 2, 16))


def test_exploration_keeps_puzzles_from_halting_before_a_random_step(tmp_path: Path) -> None:
    learner, objective = make_learner(
        tmp_path, training__learning_rate=1e-12, arch__halt_exploration_prob=1.0
    )
    halting_at(objective, 100.0)
    earliest, ends = {}, []
    for step in range(12):
        fresh = objective.carry.halted.clone()
        drawn = objective.rows_at(step)[:, 1]
        assert ((drawn >= 2) & (drawn <= 4)).all()
        for place in torch.nonzero(fresh)[:, 0].tolist():
            earliest[place] = int(drawn[place])
        learner.train_step()
        for place in torch.nonzero(objective.carry.halted)[:, 0].tolist():
            ends.append((int(objective.carry.steps[place]), earliest[place]))
    assert {step for step, _ in ends} == {2, 3, 4}
    assert all(step == least for step, least in ends)


def test_each_step_starts_from_the_states_of_the_last_one(tmp_path: Path) -> None:
    """Two steps of the learner are two calls of the network, detached between them."""
    learner, objective = make_learner(tmp_path, training__learning_rate=1e-12, **NO_EXPLORATION)
    halting_at(objective, -100.0)
    network = objective.model.network
    puzzles = torch.from_numpy(objective.rows_at(0))[:, 2:].view(8, 2, 16)
    states = network.begin(8, 16)
    losses = []
    for _ in range(2):
        states, logits, halt = network(states.detach(), puzzles[:, 0])
        right = (logits.argmax(-1) == puzzles[:, 1]).all(1)
        halting = F.binary_cross_entropy_with_logits(halt.double(), right.double())
        answering = stablemax_cross_entropy(logits, puzzles[:, 1]).mean()
        losses.append((answering + 0.5 * halting).item())
    for expected in losses:
        learner.train_step()
        assert learner.interval_metrics()["train/loss"] == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(objective.carry.states, states.detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cut", [1, 3])
def test_a_batch_can_be_cut_anywhere(cut: int, tmp_path: Path) -> None:
    """Also after steps in which puzzles were carried, and with places that halt."""
    found = {}
    for size in (8, cut):
        learner, objective = trained(tmp_path, 5, training__max_gpu_batch_size=size)
        learner.train_step(True)
        found[size] = (learner.kept_gradients, objective.carry.gathered())
    for one, two in zip(found[8], found[cut], strict=True):
        assert one is not None and two is not None
        for name, tensor in one.items():
            torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-3)


def test_samples_of_gradients_leave_the_carry_as_it_is(tmp_path: Path) -> None:
    found = []
    for samples in (None, 4):
        learner, objective = make_learner(
            tmp_path, training__save_gradients=True, training__gradient_samples=samples
        )
        for _ in range(6):
            learner.train_step(True)
        found.append((objective.carry.gathered(), learner.snapshot().weights))
    for one, two in zip(*found, strict=True):
        assert all(torch.equal(two[name], tensor) for name, tensor in one.items())


@pytest.mark.parametrize("changes", [{}, {"arch__no_grad_cycles": 0, "arch__outer_cycles": 2}])
def test_recomputed_layers_have_the_same_gradients(changes: dict[str, Any], tmp_path: Path) -> None:
    found = []
    for on in (False, True):
        learner, _ = make_learner(tmp_path, training__gradient_checkpointing=on, **changes)
        learner.train_step(True)
        found.append(learner.kept_gradients)
    assert found[0] is not None and found[1] is not None
    assert all(torch.equal(found[1][name], gradient) for name, gradient in found[0].items())


def test_each_epoch_offers_every_puzzle_once_in_another_shape(tmp_path: Path) -> None:
    _, objective = make_learner(tmp_path)  # 40 puzzles, 8 a step
    epochs = [
        np.concatenate([objective.rows_at(step) for step in range(first, first + 5)])
        for first in (0, 5)
    ]
    known = {*kinds(*objective.train, 4)}
    for rows in epochs:
        boards = (rows[:, 2:] - 1).astype(np.uint8).reshape(-1, 2, 16)
        assert {*kinds(boards[:, 0], boards[:, 1], 4)} == known and len(known) == 40
        assert rows[:, 0].tolist() == [*range(8)] * 5
    assert not (epochs[0] == epochs[1]).all()
    assert (objective.rows_at(3) == objective.rows_at(3)).all()


def test_without_augmentations_puzzles_are_as_they_are(tmp_path: Path) -> None:
    _, objective = make_learner(tmp_path, training__augmentations=[])
    rows = np.concatenate([objective.rows_at(step) for step in range(5)])
    plain = np.concatenate(objective.train, axis=1).astype(np.int64) + 1
    assert sorted(map(tuple, rows[:, 2:])) == sorted(map(tuple, plain))


def plain_evaluation(objective: LoopObjective, network: Network) -> dict[str, float]:
    """The metrics, puzzle by puzzle."""
    sums = dict.fromkeys(
        ("exact_accuracy", "accuracy", "q_halt_accuracy", "steps", "lm_loss", "q_halt_loss"), 0.0
    )
    for question, answer in zip(*objective.test, strict=True):
        tokens, target = (torch.tensor(b[None].astype(np.int64) + 1) for b in (question, answer))
        states, first = network.begin(1, 16), 0
        for step in range(1, 5):
            states, logits, halt = network(states, tokens)
            first = first or step * int(halt.item() > 0)
        right = logits.argmax(-1) == target
        solved = float(right.all())
        sums["exact_accuracy"] += solved
        sums["accuracy"] += right.double().mean().item()
        sums["q_halt_accuracy"] += float((halt.item() > 0) == bool(solved))
        sums["steps"] += first or 4
        sums["lm_loss"] += stablemax_cross_entropy(logits, target).mean().item()
        sums["q_halt_loss"] += F.binary_cross_entropy_with_logits(
            halt.double(), torch.tensor([solved], dtype=torch.float64)
        ).item()
    return {name: total / len(objective.test[0]) for name, total in sums.items()}


@pytest.mark.parametrize("ema", [True, False])
def test_an_evaluation_does_all_steps_with_the_average(ema: bool, tmp_path: Path) -> None:
    learner, objective = trained(tmp_path, 12, training__ema=ema, data__test_puzzles=8)
    networks = [objective.model.network, *([objective.model.average] if ema else [])]
    assert isinstance(networks[-1], Network)
    with torch.no_grad():
        for network in networks:
            network.halt.weight.copy_(torch.linspace(-1, 1, 16))
            rows = torch.from_numpy(np.concatenate(objective.test, 1).astype(np.int64) + 1)
            network.halt.bias.zero_()
            halt = network(network.begin(8, 16), rows[:, :16])[2]
            network.halt.bias.fill_(-halt.median())  # some halt at once, some do not
        expected = plain_evaluation(objective, networks[-1])
        of_weights = plain_evaluation(objective, networks[0])
    found = learner.evaluate()
    assert found == pytest.approx(expected, rel=1e-5)
    assert 1 < found["steps"] < 4
    assert (expected == of_weights) is not ema
    assert learner.evaluate() == found


def test_an_evaluation_is_the_same_in_any_batches(tmp_path: Path) -> None:
    found = [
        trained(tmp_path, 2, training__eval_batch_size=n, data__test_puzzles=8)[0].evaluate()
        for n in (1, 5, 32)
    ]
    assert found[0] == pytest.approx(found[2], rel=1e-5)
    assert found[1] == pytest.approx(found[2], rel=1e-5)


@pytest.mark.parametrize("ema", [True, False])
def test_a_restored_training_continues_bit_for_bit(ema: bool, tmp_path: Path) -> None:
    """From a step at which puzzles are being worked on."""
    whole, _ = trained(tmp_path, 6, training__ema=ema)
    folder = checkpoint(whole, tmp_path / "checkpoint")
    assert 0 < int(load_file(folder / "extra.safetensors")["carry.steps"].max()) < 4
    while whole.step < 12:
        whole.train_step()
    restored, objective = make_learner(tmp_path, training__ema=ema)
    restored.load(folder)
    while restored.step < 12:
        restored.train_step()
    assert restored.evaluate() == whole.evaluate()
    assert restored.interval_metrics() == whole.interval_metrics()
    for one, two in zip(
        whole.objective.model.parameters(), objective.model.parameters(), strict=True
    ):
        assert torch.equal(one, two)


def test_a_checkpoint_has_the_weights_that_were_measured(tmp_path: Path) -> None:
    learner, objective = trained(tmp_path, 5, data__test_puzzles=8)
    folder = checkpoint(learner, tmp_path / "checkpoint")
    described = json.loads((folder / "config.json").read_text())
    network = Network(Arch.model_validate(described["arch"]), described["size"])
    network.load_state_dict(load_file(folder / "model.safetensors"))
    with torch.no_grad():
        expected = plain_evaluation(objective, network)
    assert learner.evaluate() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ema", [True, False])
def test_a_training_can_start_from_measured_weights(ema: bool, tmp_path: Path) -> None:
    learner, _ = trained(tmp_path, 5)
    folder = checkpoint(learner, tmp_path / "checkpoint")
    tuned, objective = make_learner(
        tmp_path, run__checkpoint=str(folder), training__ema=ema, training__seed=9
    )
    assert tuned.evaluate() == learner.evaluate()
    weights: dict[str, Tensor] = load_file(folder / "model.safetensors")
    for name, parameter in objective.model.network.named_parameters():
        assert torch.equal(parameter, weights[name])


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    learner, _ = trained(tmp_path, 1)
    folder = checkpoint(learner, tmp_path / "checkpoint")
    with pytest.raises(ConfigError) as caught:
        make_learner(tmp_path, run__checkpoint=str(folder), arch__hidden_size=32)
    text = str(caught.value)
    assert "(6, 16) there and (6, 32) in this model" in text and "\n" not in text
    weights = load_file(folder / "model.safetensors")
    del weights["halt.bias"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ConfigError, match=r"halt.bias is missing there"):
        make_learner(tmp_path, run__checkpoint=str(folder))


def test_weights_for_puzzles_of_another_size_are_refused(tmp_path: Path) -> None:
    learner, _ = trained(tmp_path, 1)
    folder = checkpoint(learner, tmp_path / "checkpoint")
    with pytest.raises(ConfigError, match="puzzles of size 4"):
        make_learner(tmp_path, run__checkpoint=str(folder), data__size=6)


def test_a_run_is_continued_with_its_batch(tmp_path: Path) -> None:
    learner, _ = trained(tmp_path, 1)
    folder = checkpoint(learner, tmp_path / "checkpoint")
    other, _ = make_learner(tmp_path, training__batch_size=4)
    with pytest.raises(ConfigError, match="= 4 should be 8"):
        other.load(folder)


def test_the_size_is_what_planning_counts(tmp_path: Path) -> None:
    states = [{"name": "z_L", "layers": 2}, {"name": "z_M"}, {"name": "z_H"}]
    for changes in ({}, {"arch__states": states}, {"training__ema": False}):
        learner, _ = make_learner(tmp_path, **changes)
        assert learner.size == SYSTEM.count_parameters(configure(**changes))
