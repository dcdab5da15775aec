"""The loss, the evaluation and the batches of PathStar, against plain definitions."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from resweep.training.place import Place
from tests.support.pathstar import SYSTEM, configure, make_learner, prepare
from tests.support.small_runs import CPU

NOT_A_NUMBER = -100


def plain_targets(row, objective):
    """Return the tokens that count of a row, one by one, others as NOT_A_NUMBER."""
    known, loss_on = objective.format, objective.training.loss_on
    length = known.path_length if row[0] == known.token("PATH") else known.edge_length
    first = 1
    if loss_on == "target":
        first = known.prompt if row[0] == known.token("PATH") else known.edge_length - 1
    return [
        int(token) if first <= position < length else NOT_A_NUMBER
        for position, token in enumerate(row)
    ][1:]


@pytest.mark.parametrize("loss_on", ["all", "target"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_over_an_epoch_the_loss_is_the_mean_over_counted_tokens(loss_on, smoothing, tmp_path):
    changes = {"training__loss_on": loss_on, "training__label_smoothing": smoothing}
    _, objective = make_learner(tmp_path, training__batch_size=None, **changes)
    rows = objective.rows[objective.order].astype(np.int64)
    targets = torch.tensor([plain_targets(row, objective) for row in rows])
    logits = objective.model(torch.from_numpy(rows[:, :-1]))
    plain = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), label_smoothing=smoothing)
    assert objective.loss(torch.from_numpy(rows)).item() == pytest.approx(plain.item(), rel=1e-5)


@pytest.mark.parametrize("cut", [1, 5, 16])
def test_the_gradients_are_the_same_for_every_cut_of_a_batch(cut, tmp_path):
    found = {}
    for size in (16, cut):
        learner, _ = make_learner(tmp_path, training__max_gpu_batch_size=size)
        learner.train_step(True)
        found[size] = learner.kept_gradients
    for name, gradient in found[16].items():
        torch.testing.assert_close(found[cut][name], gradient, atol=1e-7, rtol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_recomputed_blocks_have_the_same_gradients(dropout, tmp_path):
    found = []
    for on in (False, True):
        learner, _ = make_learner(
            tmp_path, model__dropout=dropout, training__gradient_checkpointing=on
        )
        learner.train_step(True)
        found.append(learner.kept_gradients)
    assert all(torch.equal(found[1][name], gradient) for name, gradient in found[0].items())


def test_each_epoch_has_every_example_as_often_as_it_counts(tmp_path):
    _, objective = make_learner(tmp_path, training__batch_size=10)
    epoch = len(objective.order)
    rows = np.concatenate([objective.rows_at(step) for step in range(3 * epoch // 10 + 1)])
    for first in (0, epoch, 2 * epoch):
        seen = sorted(map(tuple, rows[first : first + epoch]))
        assert seen == sorted(map(tuple, objective.rows[objective.order]))
    assert (rows[:epoch] != rows[epoch : 2 * epoch]).any()


@pytest.mark.parametrize("loss_on", ["all", "target"])
def test_an_evaluation_is_the_mean_over_held_out_paths(loss_on, tmp_path):
    learner, objective = make_learner(
        tmp_path, training__loss_on=loss_on, training__label_smoothing=0.2
    )
    for _ in range(20):
        learner.train_step()
    found = learner.evaluate()
    known, rows = objective.format, torch.from_numpy(objective.val_rows)
    objective.model.eval()
    with torch.no_grad():
        logs = objective.model(rows[:, :-1]).log_softmax(-1)
    losses = -logs.gather(2, rows[:, 1:, None])[..., 0][:, : known.path_length - 1]
    of_path = losses[:, known.prompt - 1 :]
    overall = losses if loss_on == "all" else of_path
    assert found["val/loss/overall"] == pytest.approx(overall.mean().item(), rel=1e-5)
    right = objective.generate(rows[:, : known.prompt]) == rows[:, known.prompt : known.path_length]
    for token in range(1, 5):
        mean = of_path[:, token - 1].mean().item()
        assert found[f"val/loss/token_{token}"] == pytest.approx(mean, rel=1e-5)
        share = right[:, token - 1].double().mean().item()
        assert found[f"val/accuracy/token_{token}"] == pytest.approx(share)
    assert found["val/loss/token_l"] == found["val/loss/token_4"]
    assert found["val/accuracy/token_l"] == found["val/accuracy/token_4"]
    assert found["val/accuracy/path"] == pytest.approx(right.all(1).double().mean().item())


def test_an_evaluation_is_the_same_in_any_batches(tmp_path):
    found = [
        make_learner(tmp_path, training__eval_batch_size=size)[0].evaluate() for size in (1, 2, 32)
    ]
    assert found[0] == pytest.approx(found[2]) and found[1] == pytest.approx(found[2])


def test_a_restored_training_continues_bit_for_bit(tmp_path):
    changes = {"model__dropout": 0.2, "training__label_smoothing": 0.1, "training__min_lr": 1e-4}
    whole, _ = make_learner(tmp_path, **changes)
    for step in range(1, 31):
        whole.train_step()
        if step == 13:
            folder = tmp_path / "checkpoint"
            folder.mkdir()
            whole.snapshot().write(folder)
    restored, _ = make_learner(tmp_path, **changes)
    restored.load(folder)
    while restored.step < 30:
        restored.train_step()
    assert restored.evaluate() == whole.evaluate()
    weights = zip(
        whole.objective.model.parameters(), restored.objective.model.parameters(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in weights)


@pytest.mark.parametrize("bias", [True, False])
def test_checkpoints_are_models_of_transformers(bias, tmp_path):
    from transformers import AutoModelForCausalLM

    learner, objective = make_learner(tmp_path, model__bias=bias)
    for _ in range(5):
        learner.train_step()
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    learner.snapshot().write(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    rows = torch.from_numpy(objective.val_rows[:, :-1])
    with torch.no_grad():
        torch.testing.assert_close(model(rows).logits, objective.model.eval()(rows))
    config = json.loads((folder / "config.json").read_text())
    assert config["eos_token_id"] == objective.format.token("EOS")
    assert config["vocab_size"] == objective.format.vocab_size


def test_the_size_is_what_planning_counts(tmp_path):
    config = configure()
    data = prepare(config, tmp_path)
    learner = SYSTEM.learner(
        {**config, "training": {**config["training"], "batch_size": 16}},
        data,
        Place(device=CPU),
    )
    assert learner.size == SYSTEM.count_parameters(config)
