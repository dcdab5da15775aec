"""The learning rate over a run."""

import math

import pytest

from resweep.systems.pathstar.schedule import Schedule
from resweep.systems.pathstar.sections import PathStarTraining

PEAK, FLOOR, STEPS = 1e-2, 1e-3, 100


def schedule(**fields):
    given = {"learning_rate": PEAK, "max_steps": STEPS, "pct_warmup": 0.1, **fields}
    return Schedule(PathStarTraining.model_validate(given), STEPS)


def test_warmup_then_cosine_then_the_minimum():
    rates = [schedule(min_lr=FLOOR, lr_decay_frac=0.9).rate(step) for step in range(STEPS)]
    assert rates[:10] == pytest.approx([PEAK * (step + 1) / 10 for step in range(10)])
    middle = [FLOOR + (PEAK - FLOOR) * (1 + math.cos(math.pi * s / 80)) / 2 for s in range(80)]
    assert rates[10:90] == pytest.approx(middle)
    assert rates[90:] == pytest.approx([FLOOR] * 10)


def test_without_decay_the_peak_stays():
    rates = [schedule(decay_lr=False, min_lr=FLOOR).rate(step) for step in range(STEPS)]
    assert rates[0] == pytest.approx(PEAK / 10) and set(rates[10:]) == {PEAK}


def test_a_minimum_above_the_peak_is_the_peak():
    assert {schedule(min_lr=1.0).rate(step) for step in range(10, STEPS)} == {PEAK}


def test_without_a_minimum_the_shared_ratio_counts():
    assert schedule(min_lr_ratio=0.5, lr_decay_frac=0.5).rate(70) == pytest.approx(PEAK / 2)


def test_a_decay_that_ends_in_the_warmup_follows_it():
    rates = [schedule(lr_decay_frac=0.0, min_lr=FLOOR).rate(step) for step in range(STEPS)]
    assert rates[9] == pytest.approx(PEAK) and rates[11:] == pytest.approx([FLOOR] * 89)


@pytest.mark.parametrize("scheduler", ["linear", "wsd", "constant"])
def test_the_other_shared_schedules_end_early_too(scheduler):
    made = schedule(scheduler=scheduler, min_lr=FLOOR, lr_decay_frac=0.5)
    assert made.rate(80) == pytest.approx(PEAK if scheduler == "constant" else FLOOR)
