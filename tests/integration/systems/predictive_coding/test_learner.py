"""Learning: resuming, parts of a batch, the best values, what a checkpoint holds."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from resweep.files import size_of
from resweep.paths import Layout
from resweep.store.advance import advance
from resweep.store.disk_bound import find_disk_bound
from resweep.store.identity import resolve
from resweep.systems.predictive_coding.checkpoint import load_decoder
from resweep.systems.predictive_coding.inference import infer
from tests.support.asked import ask, run_of
from tests.support.predictive_coding import SYSTEM, configure, make_learner, prepare

FAST = {"training__learning_rate": 0.01}


def train(learner, until):
    """Train as the loop does; returns what it logs."""
    lines = []
    while learner.step < until:
        learner.train_step()
        line = {}
        if learner.step % learner.training.log_steps == 0:
            line |= learner.interval_metrics()
        if learner.step % learner.training.eval_steps == 0:
            line |= learner.evaluate()
        lines.append(line)
    return lines


def saved(learner, folder):
    folder.mkdir()
    learner.snapshot().write(folder)
    return folder


def test_a_resumed_training_is_the_same_bit_for_bit(tmp_path):
    whole = make_learner(tmp_path)
    train(whole, 13)  # within an interval of log lines, and between evaluations
    middle = saved(whole, tmp_path / "middle")
    rest = train(whole, 20)
    again = make_learner(tmp_path)
    again.load(middle)
    assert train(again, 20) == rest
    one, other = saved(again, tmp_path / "b"), saved(whole, tmp_path / "a")
    for file in other.iterdir():
        assert (one / file.name).read_bytes() == file.read_bytes(), file.name
    assert whole.conclude() == again.conclude()


def test_parts_of_a_batch_give_the_gradient_of_the_whole(tmp_path):
    whole = make_learner(tmp_path)
    parts = make_learner(tmp_path, training__max_gpu_batch_size=5)
    images = whole.images[:24]
    energies = [learner._accumulate(images).item() for learner in (whole, parts)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-6)
    for (name, one), other in zip(
        whole.decoder.named_parameters(), parts.decoder.parameters(), strict=True
    ):
        assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-5), name


def test_a_batch_that_does_not_fit_is_halved(tmp_path, monkeypatch, caplog):
    learner, calm = make_learner(tmp_path), make_learner(tmp_path)
    accumulate = learner._accumulate

    def with_little_memory(images):
        if learner.micro_batch > 6:
            raise torch.OutOfMemoryError
        return accumulate(images)

    monkeypatch.setattr(learner, "_accumulate", with_little_memory)
    learner.train_step()
    calm.train_step()
    assert learner.micro_batch == 6 and "micro-batch size 6" in caplog.text
    assert learner.interval_metrics()["train_energy"] == pytest.approx(
        calm.interval_metrics()["train_energy"], rel=1e-6
    )


def test_an_evaluation_that_does_not_fit_is_halved(tmp_path, monkeypatch):
    learner = make_learner(tmp_path, training__eval_sequences=13)
    calm = learner.evaluate()
    sizes = []

    def with_little_memory(decoder, images, settings):
        if len(images) > 4:
            raise torch.OutOfMemoryError
        sizes.append(len(images))
        return infer(decoder, images, settings)

    monkeypatch.setattr("resweep.systems.predictive_coding.learner.infer", with_little_memory)
    assert learner.evaluate() == pytest.approx(calm, rel=1e-5)
    assert sizes == [3, 3, 3, 4] * 2  # 13 of training, 13 of validation


def test_the_best_values_are_of_regular_evaluations_after_the_start(tmp_path):
    learner = make_learner(tmp_path, **FAST)
    start = learner.evaluate()
    assert start["best_val_mse"] == start["val_mse"] and learner.best == {}
    lines = train(learner, 10)
    at_10 = lines[-1]
    assert at_10["best_val_mse"] == at_10["val_mse"]  # whatever it was at the start
    train(learner, 15)
    before = dict(learner.best)
    found = learner.evaluate()
    assert found["best_val_mse"] == min(at_10["val_mse"], found["val_mse"])
    assert learner.best == before  # a rung that ends here must not change the run
    at_20 = train(learner, 20)[-1]
    for best, of, better in (
        ("best_val_mse", "val_mse", min),
        ("best_train_mse", "final_train_mse", min),
        ("best_probe_accuracy", "val_probe_accuracy", max),
    ):
        assert at_20[best] == better(at_10[of], at_20[of])
    assert learner.best == {name: at_20[name] for name in learner.best} != {}


def test_learning_lowers_energy_and_error(tmp_path):
    learner = make_learner(tmp_path, training__max_steps=60, **FAST)
    start = learner.evaluate()
    energies = [line["train_energy"] for line in train(learner, 60) if "train_energy" in line]
    end = learner.evaluate()
    assert energies[-1] < 0.5 * energies[0]
    assert end["val_mse"] < 0.5 * start["val_mse"]


def test_an_error_that_is_not_finite_is_no_best(tmp_path):
    learner = make_learner(tmp_path)
    train(learner, 10)
    best = dict(learner.best)
    with torch.no_grad():
        learner.decoder.out.bias.fill_(float("nan"))
    learner.step = 20
    found = learner.evaluate()
    assert np.isnan(found["val_mse"]) and np.isnan(found["best_val_mse"])  # the loop sees that
    assert learner.best == best


def test_without_classes_or_test_images_there_are_no_such_metrics(tmp_path):
    learner = make_learner(tmp_path, data__labels=False, data__test_fraction=0.0)
    metrics = learner.evaluate()
    assert {"val_mse", "best_val_mse"} <= metrics.keys()
    assert not any("probe" in name for name in metrics)
    assert learner.conclude() == {}


def test_weight_decay_is_on_matrices(tmp_path):
    decoder = make_learner(tmp_path).decoder
    matrices = set(decoder.matrices())
    assert "blocks.mlp.weight" in matrices and "top.weight" in matrices
    assert not any("norm" in name or "bias" in name for name in matrices)


def test_a_checkpoint_is_a_decoder_with_images_and_their_reconstructions(tmp_path):
    learner = make_learner(tmp_path)
    train(learner, 3)
    folder = saved(learner, tmp_path / "checkpoint")
    decoder = load_decoder(folder)
    shown = load_file(folder / "reconstructions.safetensors")
    patches = decoder.to_patches(torch.from_numpy(shown["images"]))
    with torch.no_grad():
        seen = decoder.reconstruct(infer(decoder, patches, learner.inference).z0)
    assert np.allclose(decoder.to_images(seen).numpy(), shown["reconstructions"], atol=1e-6)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "predictive_coding"


def test_a_training_takes_at_most_its_bounds(tmp_path):
    given = configure()
    data = prepare(given, tmp_path / "data")
    asked = ask(resolve(given, data), data)
    layout = Layout(tmp_path / "results")
    advance(*asked, layout)
    run, goal = run_of(asked, layout), asked.goal
    bounds = SYSTEM.cost(given, None).bounds
    assert bounds is not None
    disk = find_disk_bound(goal.training, bounds, 0, goal.until)
    assert size_of(run.path / "checkpoint_20") <= disk.weights
    assert size_of(run.path) <= disk.weights + disk.metrics
    learner = make_learner(tmp_path)
    assert learner.step_flops == bounds.step_flops
    assert learner.size == SYSTEM.count_parameters(resolve(given, data))
