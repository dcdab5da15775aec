"""The benchmark of a GPU: each loop takes its steps, and what is left out is said."""

import time

import pytest
import torch

from benchmarks.gpu.budget import Budget
from benchmarks.gpu.loops import NanoGpt, Ours, Size, Transformers, build_model, learner_of_size
from benchmarks.gpu.losses import losses
from benchmarks.gpu.speed import measure_speed, speed_table

CPU = torch.device("cpu")
TINY = Size(
    name="tiny",
    n_layer=1,
    n_head=2,
    n_embd=16,
    context_length=8,
    vocab_size=257,
    batch_size=2,
)


def test_our_loop_takes_its_steps_and_goes_on(tmp_path):
    loop = Ours(TINY, tmp_path, CPU, precision="fp32")
    assert loop.run(3) > 0
    assert loop.run(2) > 0
    assert loop.learner.step == 5
    assert not torch.are_deterministic_algorithms_enabled()


def test_nanogpts_way_learns(tmp_path):
    loop = NanoGpt(TINY, tmp_path, CPU, precision="fp32", compile=False)
    loop.run(1)
    before = loop.last.item()
    loop.run(60)
    assert loop.last.item() < before


def test_all_models_are_as_large(tmp_path):
    learner = learner_of_size(TINY, tmp_path, CPU)
    assert learner.objective.model.flops_per_token() == build_model(TINY).flops_per_token()


@pytest.mark.long
def test_transformers_is_as_large_and_takes_its_steps(tmp_path):
    loop = Transformers(TINY, tmp_path, CPU, precision="fp32")
    assert sum(p.numel() for p in loop.model.parameters()) == sum(
        p.numel() for p in build_model(TINY).parameters()
    )
    assert loop.run(2) > 0


def test_losses_are_of_each_step_and_repeat(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.gpu.losses.COMPARED_STEPS", 6)
    curve = losses(CPU, tmp_path, precision="fp32")
    assert len(curve) == 6 and curve[-1] < curve[0]
    assert losses(CPU, tmp_path, precision="fp32") == curve


def test_what_there_was_no_time_for_is_said(tmp_path):
    budget = Budget(7.0, end=time.monotonic() - 1)
    (line,) = measure_speed(TINY, "fp32", CPU, tmp_path, budget)
    assert line.strip().startswith("Not measured in the 7 seconds of this part: ours, ")


def test_ratios_are_paired_by_round():
    rates = {"ours": [10.0, 20.0, 40.0], "other": [5.0, 20.0, 10.0]}
    _, ours, other = speed_table(rates, flops=3.0, peak=100.0)
    assert ours == "| ours | 20 | 0.6000 | 1.00 | 1.00, 1.00, 1.00 |"
    assert other == "| other | 10 | 0.3000 | 0.50 | 0.50, 1.00, 0.25 |"
