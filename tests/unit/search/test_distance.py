"""Distances in a search space, by hand."""

import pytest

from resweep.search.distance import crowded_line, distance, is_apart
from resweep.sweep import Parameter

RATE = Parameter("rate", "log_uniform_values", low=1e-5, high=1e-1)
DECAY = Parameter("decay", "uniform", low=0.0, high=0.2)
LAYERS = Parameter("layers", "int_uniform", low=2, high=12)
KIND = Parameter("kind", "categorical", values=("gelu", "relu", True))
WIDTH = Parameter("width", "categorical", values=(64, 512, 128, 64))
STEPS = Parameter("steps", "q_log_uniform_values", low=1, high=1000, q=10)
SCALE = Parameter("scale", "normal", mu=0.0, sigma=1.0)
DEPTH = Parameter("depth", "categorical", values=(2, 4, 6))
MIXED = Parameter("mixed", "categorical", values=(1, 2, "auto"))
SINGLE = Parameter("single", "constant", values=(1,))
SPACE = [RATE, DECAY, LAYERS, KIND, WIDTH, STEPS, SCALE, DEPTH, MIXED, SINGLE]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"rate": 1e-4}, {"rate": 1e-3}, 0.25),
        ({"rate": 1e-5}, {"rate": 1e-1}, 1.0),
        ({"decay": 0.05}, {"decay": 0.1}, 0.25),
        ({"layers": 4}, {"layers": 9}, 0.5),
        ({"layers": 4}, {"layers": 4.0}, 0.0),
        ({"kind": "gelu"}, {"kind": "relu"}, 1.0),
        ({"kind": "gelu"}, {"kind": "gelu"}, 0.0),
        ({"width": 64}, {"width": 128}, 1 / 3),
        ({"width": 64 * 2**0.5}, {"width": 128}, 1 / 6),
        ({"depth": 2}, {"depth": 3}, 0.25),
        ({"depth": 2}, {"depth": 8}, 1.5),
        ({"mixed": 1}, {"mixed": 2}, 1.0),
        ({"single": 1}, {"single": 2}, 1.0),
        ({"steps": 0}, {"steps": 1000}, 1.0),
        ({"steps": 100}, {"steps": 10}, 0.5),
        ({"scale": 0.0}, {"scale": 2.3263479}, 0.5),
        ({"rate": 1e-4, "decay": 0.0}, {"rate": 1e-3, "decay": 0.1}, 0.5),
        ({"rate": 1e-4, "decay": 0.1}, {"rate": 1e-3, "decay": 0.1}, 0.25),
        ({"rate": 1e-4, "strange": 1}, {"rate": 1e-4, "strange": 2}, 1.0),
        ({"rate": 1e-4, "decay": 0.1}, {"rate": 1e-4}, 1.0),
        ({}, {}, 0.0),
    ],
)
def test_the_largest_difference_by_hand(one, other, expected):
    assert distance(SPACE, one, other) == pytest.approx(expected)
    assert distance(SPACE, other, one) == pytest.approx(expected)


def test_beyond_the_range_the_scale_continues():
    assert distance(SPACE, {"rate": 1e-6}, {"rate": 1e-5}) == pytest.approx(0.25)


def test_what_is_ignored_does_not_count():
    one, other = {"rate": 1e-4, "kind": "gelu"}, {"rate": 1e-3, "kind": "relu"}
    assert distance(SPACE, one, other, {"kind"}) == pytest.approx(0.25)


def test_of_several_parameters_of_a_name_the_first_counts():
    narrow = Parameter("rate", "log_uniform_values", low=1e-4, high=1e-3)
    assert distance([RATE, narrow], {"rate": 1e-4}, {"rate": 1e-3}) == pytest.approx(0.25)
    assert distance([narrow, RATE], {"rate": 1e-4}, {"rate": 1e-3}) == pytest.approx(1.0)


def test_exactly_as_far_is_apart():
    taken = [{"rate": 1e-4}, {"rate": 1e-2}]
    assert is_apart(0.25, SPACE, {"rate": 1e-3}, taken)
    assert not is_apart(0.26, SPACE, {"rate": 1e-3}, taken)
    assert is_apart(0.9, SPACE, {"rate": 1e-3}, [])


@pytest.mark.parametrize(
    ("rates", "crowded"),
    [
        ([1e-3, 1e-3 * 10**0.08], True),
        ([1e-3, 1e-3 * 10**0.081], False),
        ([1e-3, 1.01e-3, 1e-2], False),
        ([1e-3], False),
        ([], False),
    ],
)
def test_what_lies_within_a_fiftieth_of_the_best_is_crowded(rates, crowded):
    points = [{"rate": rate, "seen": rate > 2e-3} for rate in rates]
    line = crowded_line(SPACE, points, {"seen"})
    assert (line is not None) == crowded
    if line is not None:
        assert f"{len(points)} configurations" in line and "distinct: 0.05" in line


def test_without_a_space_or_with_nothing_left_of_it_nothing_is_crowded():
    same = [{"rate": 1e-3}, {"rate": 1e-3}]
    assert crowded_line([], same) is None
    assert crowded_line([RATE], same, {"rate"}) is None
