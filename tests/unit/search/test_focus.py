"""Points near the best: regions by scale, edges, weights, what was tried."""

import math

import pytest

from resweep.search.focus import Focus, find_regions, propose_focused, scale_of
from resweep.search.suggest import Observation
from resweep.sweep import Parameter

RATE = Parameter("lr", "log_uniform_values", low=1e-4, high=1e-1)
WARMUP = Parameter("warmup", "uniform", low=0.01, high=0.5)
LAYERS = Parameter("layers", "int_uniform", low=1, high=12)
KIND = Parameter("kind", "categorical", values=("a", "b", "c"))
SPACE = [RATE, WARMUP, LAYERS, KIND]


def seen(lr, warmup=0.1, layers=4, kind="a", value=1.0, progress=None):
    point = {"lr": lr, "warmup": warmup, "layers": layers, "kind": kind}
    return Observation(point, value, progress=progress)


TRIED = [
    seen(1e-3, 0.2, 6, "b", value=1.0),
    seen(3e-3, 0.1, 4, "b", value=1.2),
    seen(1e-2, 0.4, 2, "a", value=2.0),
    seen(5e-4, 0.3, 8, "c", value=3.0),
]


@pytest.mark.parametrize(
    ("parameter", "scale"),
    [
        (RATE, "log"),
        (Parameter("x", "log_uniform", low=-3, high=-1), "log"),
        (Parameter("x", "log_normal"), "log"),
        (Parameter("x", "q_log_uniform_values", low=1, high=9, q=0.5), "log"),
        (WARMUP, "linear"),
        (Parameter("x", "normal"), "linear"),
        (LAYERS, "whole"),
        (Parameter("x", "q_uniform", low=8, high=64, q=8), "whole"),
        (Parameter("x", "categorical", values=(64, 128, 256)), "list"),
        (Parameter("x", "categorical", values=(1e-3, 1e-2)), "log"),
        (Parameter("x", "categorical", values=(0.1, 0.2)), "linear"),
        (Parameter("x", "categorical", values=(0.0, 0.2)), "linear"),
        (Parameter("x", "categorical", values=(True, False)), "choices"),
        (Parameter("x", "categorical", values=(1, "auto")), "choices"),
        (KIND, "choices"),
    ],
)
def test_each_parameter_has_a_scale(parameter, scale):
    assert scale_of(parameter) == scale


def test_regions_are_factors_of_the_best_by_default():
    (region,) = find_regions(SPACE, TRIED, Focus(), "minimize")
    lr, warmup, layers, kind = region.parameters
    assert (lr.low, lr.high) == pytest.approx((5e-4, 2e-3)) and "log" in lr.distribution
    assert (warmup.low, warmup.high) == pytest.approx((0.1, 0.3))
    assert (layers.low, layers.high) == (3, 9)
    assert kind.values[0] == "b" and kind.probabilities[0] == 0.5
    assert sum(kind.probabilities) == pytest.approx(1) and not region.beyond


def test_each_of_the_top_has_a_region_and_goals_count():
    regions = find_regions(SPACE, TRIED, Focus(top=2), "minimize")
    assert [region.centre["lr"] for region in regions] == [1e-3, 3e-3]
    (worst,) = find_regions(SPACE, TRIED, Focus(), "maximize")
    assert worst.centre["lr"] == 5e-4


def test_seeds_of_a_point_count_by_their_mean():
    twice = [seen(1e-3, value=1.0), seen(1e-3, value=3.0), seen(2e-3, value=1.5)]
    (region,) = find_regions(SPACE, twice, Focus(), "minimize")
    assert region.centre["lr"] == 2e-3


def test_factors_can_be_given():
    focus = Focus(factors={"lr": (0.9, 1.1), "warmup": (1.0, 3.0)})
    (region,) = find_regions(SPACE, TRIED, focus, "minimize")
    lr, warmup, *_ = region.parameters
    assert (lr.low, lr.high) == pytest.approx((9e-4, 1.1e-3))
    assert (warmup.low, warmup.high) == pytest.approx((0.2, 0.5))  # not beyond what was searched


def test_a_region_ends_at_the_bounds_but_reaches_beyond_one_where_the_best_lies():
    (region,) = find_regions(SPACE, [seen(9.9e-2, 0.45, 12)], Focus(), "minimize")
    lr, warmup, layers, _ = region.parameters
    assert lr.high == pytest.approx(0.198) and layers.high == 18
    assert warmup.high == 0.5
    assert region.beyond == ("lr", "layers")
    _, lines = propose_focused(SPACE, [seen(9.9e-2, 0.45, 12)], 2, Focus(), seed=0, goal="minimize")
    assert len(lines) == 2 and "lr" in lines[0]


@pytest.mark.parametrize(("best", "values"), [(64, (64, 128)), (128, (64, 128, 256))])
def test_a_list_of_whole_numbers_has_neighbours(best, values):
    width = Parameter("width", "categorical", values=(64, 128, 256, 512))
    (region,) = find_regions([width], [Observation({"width": best}, 1.0)], Focus(), "minimize")
    assert region.parameters[0].values == values


def test_points_lie_in_their_regions_in_turn_and_were_not_tried():
    made, _ = propose_focused(SPACE, TRIED, 20, Focus(top=2), seed=3, goal="minimize")
    assert len(made.points) == 20
    for number, point in enumerate(made.points):
        best = (1e-3, 3e-3)[number % 2]
        assert best / 2 <= point["lr"] <= 2 * best
        assert point["lr"] == float(f"{point['lr']:.8g}")
        assert isinstance(point["layers"], int)
    keys = {tuple(point.values()) for point in (*made.points, *(one.point for one in TRIED))}
    assert len(keys) == 24


def test_the_seed_decides_and_nothing_else():
    one, again, other = (
        propose_focused(SPACE, TRIED, 5, Focus(), seed=seed, goal="minimize")[0].points
        for seed in (1, 1, 2)
    )
    assert one == again != other


def test_used_up_choices_give_fewer_points():
    width = Parameter("width", "categorical", values=(1, 2, 3))
    kind = Parameter("kind", "categorical", values=("a", "b"))
    tried = [Observation({"width": 2, "kind": "a"}, 1.0)]
    made, _ = propose_focused([width, kind], tried, 9, Focus(), seed=0, goal="minimize")
    assert len(made.points) == 5  # of six, one was tried
    assert {"width": 2, "kind": "a"} not in made.points


def test_infeasible_points_are_left_out():
    made, _ = propose_focused(
        SPACE,
        TRIED,
        6,
        Focus(),
        seed=0,
        goal="minimize",
        feasible=lambda point: point["layers"] % 2 == 0,
    )
    assert len(made.points) == 6 and made.infeasible > 0
    assert all(point["layers"] % 2 == 0 for point in made.points)


def test_without_a_value_nothing_is_proposed():
    made, lines = propose_focused(
        SPACE, [seen(1e-3, value=None)], 3, Focus(), seed=0, goal="minimize"
    )
    assert made.points == [] and lines == []


def widths(observations, adaptive=True):
    """Return the widths of the regions of the rate, as a factor, and of the warmup."""
    (region,) = find_regions(SPACE, observations, Focus(adaptive=adaptive), "minimize")
    lr, warmup, *_ = region.parameters
    return math.log(lr.high / lr.low), warmup.high - warmup.low


def around(spread, progress=None):
    """Points of which the best quarter lies within a factor of its middle."""
    good = [
        seen(1e-3 * spread ** (step / 2), 0.2, value=1 + abs(step), progress=progress)
        for step in (0, -1, 1)
    ]
    bad = [seen(1e-4 * 2**step, 0.01 + 0.05 * step, value=9.0) for step in range(9)]
    return good + bad


def test_an_adaptive_region_is_as_wide_as_the_good_points_are_spread():
    close, far = widths(around(1.5)), widths(around(30.0))
    assert close[0] < far[0] <= widths(around(30.0), adaptive=False)[0]
    assert close[0] >= 0.2 * math.log(4) - 1e-9  # never narrower than a fifth


def test_an_adaptive_region_is_narrower_where_the_best_converged():
    converged, improving = (widths(around(30.0, progress=p))[0] for p in (0.0, 0.6))
    assert converged < improving
