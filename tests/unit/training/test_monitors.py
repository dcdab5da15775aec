"""Early-stopping monitors on curves made by hand: where they fire, and where they never do."""

import json
import math
import random

import pytest
from pydantic import ValidationError

from resweep.config.early_stopping_section import EarlyStopping
from resweep.training.monitors import Monitors, Stop, first_stop
from tests.support.language import stop_rules


def curve(*values: float, every: int = 10, name: str = "train/loss") -> list[dict[str, float]]:
    return [{"step": every * at, name: value} for at, value in enumerate(values, 1)]


def stop_on(lines, horizon: int | None = None, **settings) -> tuple[int, str] | None:
    stop = first_stop(lines, stop_rules(horizon, **settings))
    return None if stop is None else (stop.step, stop.rule)


RAW = {"loss_patience": 4, "loss_min_steps_before_check": 0, "loss_smoothing": 0.0}
FALLING = [5 * 0.97**at for at in range(300)]


def noisy(values, noise: float, seed: int) -> list[float]:
    chance = random.Random(seed)
    return [value * (1 + chance.gauss(0, noise)) for value in values]


# The loss


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        ([3, 2, 2.1, 2.2, 2.3, 2.4], (50, "loss-rising")),  # at the third rise
        ([3, 2, 2.1, 2.2], None),  # two rises of four values
        ([2, 2.1, 2.2, 2.3], (40, "loss-rising")),
        ([2, 2.1, 2.2], None),
        ([3, 2.1, 2.2, 2.1, 2.2, 2.3], None),
        ([3, 2, 1.995, 1.992, 1.99, 1.0], (50, "loss-flat")),
        ([3, 2, 1.98, 1.975, 1.97, 1.965, 1.0], (60, "loss-flat")),  # 2 -> 1.98 is one percent
        ([2, 2, 2, 2], (40, "loss-flat")),
        ([2, 2.001, 2.002, 2.003], (40, "loss-flat")),  # rises too small to be called so
        ([2, 2.001, 2.002, 2.1], (40, "loss-rising")),
        ([0, 0, 0, 0], (40, "loss-flat")),
    ],
)
def test_rising_and_flat_by_hand(losses, found):
    assert stop_on(curve(*losses), **RAW) == found


def test_the_minimum_of_steps_delays_the_check_and_not_the_memory():
    losses = curve(2, 2.1, 2.2, 2.3, 2.4, 2.5, 1.0)
    late = RAW | {"loss_min_steps_before_check": 60}
    assert stop_on(losses, **late) == (60, "loss-rising")
    assert stop_on(losses, **late | {"loss_min_steps_before_check": 61}) is None


def test_patience_is_the_number_of_values():
    losses = curve(3, 2, 2.1, 2.2, 2.3, 2.4)
    for patience, step in ((2, 30), (3, 40), (5, 60)):
        assert stop_on(losses, **RAW | {"loss_patience": patience}) == (step, "loss-rising")


def test_the_tolerance_is_a_share_of_the_loss():
    for scale in (1e-3, 1.0, 1e3):
        losses = curve(*(scale * value for value in (2, 1.99, 1.98, 1.97)))
        assert stop_on(losses, **RAW | {"loss_relative_flat_tolerance": 0.004}) is None
        found = stop_on(losses, **RAW | {"loss_relative_flat_tolerance": 0.006})
        assert found == (40, "loss-flat")


@pytest.mark.parametrize("smoothing", [0.0, 0.5, 0.9, 0.99])
def test_a_falling_curve_never_stops(smoothing):
    on = {"divergence_factor": 1.01, "plateau_patience": 1}
    lines = [line | {"val/loss": line["train/loss"]} for line in curve(*FALLING)]
    assert stop_on(lines, **RAW | on | {"loss_smoothing": smoothing}) is None


def test_noise_on_a_falling_curve_misleads_only_the_raw_loss():
    curves = [curve(*noisy(FALLING, 0.05, seed)) for seed in range(20)]
    raw = [stop_on(lines, **RAW) for lines in curves]
    assert len([found for found in raw if found and found[1] == "loss-rising"]) > 5
    # The first few means are of few values: that is what the minimum of steps is for.
    smoothed = RAW | {"loss_smoothing": 0.9, "loss_min_steps_before_check": 100}
    assert [stop_on(lines, **smoothed) for lines in curves] == [None] * 20


@pytest.mark.parametrize("seed", range(20))
def test_a_run_that_converged_is_called_flat_and_not_rising(seed):
    losses = noisy([2 + 3 * 0.95**at for at in range(300)], 0.01, seed)
    smoothed = RAW | {"loss_smoothing": 0.9}
    step, rule = stop_on(curve(*losses), **smoothed)
    assert rule == "loss-flat" and step > 300


@pytest.mark.parametrize("seed", range(20))
def test_a_rise_is_found_soon_behind_the_noise(seed):
    turning = [2 * 1.05 ** abs(at - 40) for at in range(80)]
    stop = stop_on(curve(*noisy(turning, 0.02, seed)), **RAW | {"loss_smoothing": 0.8})
    assert stop is not None and stop[1] == "loss-rising" and 410 < stop[0] < 600


def test_smoothing_weighs_all_values_from_the_first_line_on():
    """Means of 4, 2, 1 and 3 with weight 1/2 a step back: 4, 8/3, 12/7, 36/15."""
    monitors = Monitors(stop_rules(**RAW | {"loss_smoothing": 0.5}))
    for line in curve(4, 2, 1, 3):
        monitors.see(line)
    (loss,) = monitors._monitors
    assert loss._last == pytest.approx([4, 8 / 3, 12 / 7, 36 / 15])


def test_lines_without_the_loss_count_for_nothing():
    lines = [line for pair in zip(curve(2, 2.1, 2.2, 2.3), curve(9, 9, 9, 9, name="val/loss"),
                                  strict=True) for line in pair]  # fmt: skip
    assert stop_on(lines, **RAW) == (40, "loss-rising")


# The plateau


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "found"),
    [
        ([5, 4, 4, 4, 4], 3, 0.0, 50),
        ([5, 4, 4, 4, 3.9, 4, 4, 4], 3, 0.0, 80),
        ([5, 4, 3.95, 3.91, 3.9], 3, 0.1, 50),  # never more than 0.1 below 4
        ([5, 4, 3.95, 3.91, 3.89], 3, 0.1, None),
        ([5, 6], 1, 0.0, 20),
        ([5, 6, 4.9, 5, 4.8, 5], 2, 0.0, None),
        ([5], 1, 0.0, None),
        ([math.nan, 5, 4, 4, 4], 2, 0.0, 50),  # what is undefined at first is not the best
        ([5, math.nan, math.nan, 4], 2, 0.0, None),
    ],
)
def test_plateaus_by_hand(values, patience, min_delta, found):
    on = {"plateau_patience": patience, "plateau_min_delta": min_delta}
    expected = None if found is None else (found, "plateau")
    assert stop_on(curve(*values, name="val/loss"), **on) == expected
    other = {**on, "plateau_metric": "val/perplexity"}
    assert stop_on(curve(*values, name="val/perplexity"), **other) == expected
    assert stop_on(curve(*values, name="val/loss"), **other) is None


# Divergence


@pytest.mark.parametrize(
    ("losses", "smoothing", "found"),
    [
        ([5, 2, 3.9, 4.0, 4.1, 2], 0.0, 50),  # above, not at, twice the lowest
        ([5, 2, 3.9, 4.0, 2, 1, 2.1], 0.0, 70),
        ([5, 9], 0.0, None),
        ([5, 11], 0.0, 20),
        ([4, 2, 5.4], 0.5, 30),  # means 4 and 8/3
        ([4, 2, 5.3], 0.5, None),
    ],
)
def test_divergence_by_hand(losses, smoothing, found):
    stop = first_stop(curve(*losses), stop_rules(divergence_factor=2.0, loss_smoothing=smoothing))
    assert (stop and stop.step) == found
    assert stop is None or (stop.rule, stop.status) == ("divergence", "diverged")


# All of them


def test_nothing_is_on_by_default():
    lines = [line | {"val/loss": line["train/loss"]} for line in curve(1, 1, 1, 9, 99, 999)]
    assert stop_on(lines) is None and not EarlyStopping().on


def test_the_first_of_several_stops_and_divergence_goes_before():
    lines = [line | {"val/loss": line["train/loss"]} for line in curve(2, 2.1, 2.2, 7)]
    on = RAW | {"divergence_factor": 3.0}
    assert stop_on(lines, **on, plateau_patience=2) == (30, "plateau")
    assert stop_on(lines, **on) == (40, "divergence")
    assert stop_on(lines, **on, plateau_patience=3) == (40, "divergence")


def test_there_is_nothing_to_stop_at_the_horizon():
    lines = curve(2, 2, 2, 2)
    assert stop_on(lines, horizon=41, **RAW) == (40, "loss-flat")
    assert stop_on(lines, horizon=40, **RAW) is None


def test_line_by_line_is_the_same_as_the_whole_file():
    settings = stop_rules(**RAW | {"loss_smoothing": 0.7}, plateau_patience=5)
    for seed in range(30):
        lines = curve(*noisy([2.0] * 60, 0.02, seed))
        lines = [line | {"val/loss": line["train/loss"] + 0.1} for line in lines]
        monitors = Monitors(settings)
        seen = [monitors.see(json.loads(json.dumps(line))) for line in lines]
        stop = first_stop(lines, settings)
        assert stop is not None and monitors.stop == stop
        at = lines.index(next(line for line in lines if line["step"] == stop.step))
        assert seen == [None] * at + [stop] * (len(lines) - at)
        assert first_stop(lines[: at + 1], settings) == stop
        assert first_stop(lines[:at], settings) is None


@pytest.mark.parametrize(
    ("lines", "settings", "parts"),
    [
        (curve(2, 2.25, 2.5, 3), RAW, ["rising", "2, 2.25, 2.5, 3"]),
        (curve(2, 2, 2, 2.005), RAW, ["flat", "2, 2, 2, 2.005", "0.005"]),
        (curve(2, 2, 2, 2), RAW | {"loss_smoothing": 0.9}, ["smoothed by 0.9"]),
        (curve(2, 7), {"divergence_factor": 3.0}, ["diverged", "7", "3 times", ", 2"]),
        (
            curve(2, 1.95, 1.92, name="val/loss"),
            {"plateau_patience": 2, "plateau_min_delta": 0.1},
            ["val/loss has plateaued", "1.92", "2 (step 10)", "0.1"],
        ),
    ],
)
def test_a_reason_holds_what_was_compared(lines, settings, parts):
    stop = first_stop(lines, stop_rules(**settings))
    assert [part for part in parts if part not in stop.reason] == []
    assert "\n" not in stop.reason


def test_the_name_of_a_stop_depends_on_the_settings_of_its_rule_alone():
    lines = curve(2, 2, 2, 2)

    def stop(**changes) -> Stop:
        return first_stop(lines, stop_rules(**RAW | changes))

    assert stop().name == stop(plateau_patience=9, divergence_factor=2.0).name
    assert stop().name != stop(loss_relative_flat_tolerance=0.01).name
    assert stop().name.startswith("loss-flat-")


@pytest.mark.parametrize(
    "settings",
    [
        {"loss_patience": 1},
        {"loss_smoothing": 1.0},
        {"divergence_factor": 1.0},
        {"divergence_factor": math.inf},
        {"plateau_patience": 0},
        {"plateau_min_delta": -0.1},
        {"patience": 4},
    ],
)
def test_senseless_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        EarlyStopping(**settings)
