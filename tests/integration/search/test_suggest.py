"""Suggestions: the same ones again, inside the space, never twice, and better than chance."""

import json
import math
import os
import random
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from resweep.search.space import MOST_LISTED, Space
from resweep.search.suggest import GP_LIMIT, Observation, suggest
from resweep.sweep.parameter import Parameter, choice_key
from resweep.sweep.points import Point, random_points

RATE = Parameter("rate", "log_uniform_values", low=1e-4, high=1e-1)
WIDTH = Parameter("width", "int_uniform", low=1, high=8)
KIND = Parameter("kind", "categorical", values=("relu", "gelu", [1, 2]))
MIXED = (RATE, WIDTH, KIND)
BOTH = pytest.mark.parametrize("sampler", ["gp", "tpe"])


def loss(point: Point) -> float:
    """A smooth bowl in log(rate) and width, best at 10^-2.5, 4 and gelu."""
    kind = {"relu": 0.3, "gelu": 0.0}.get(str(point.get("kind", "gelu")), 0.6)
    return (math.log10(point["rate"]) + 2.5) ** 2 + 0.05 * (point["width"] - 4) ** 2 + kind


def tried(space: Sequence[Parameter], count: int, seed: int = 0) -> list[Observation]:
    """Observations of a Sobol round."""
    return [Observation(p, loss(p)) for p in suggest(space, [], count, seed=seed).points]


def assert_inside(space: Sequence[Parameter], points: Sequence[Point]) -> None:
    for point in points:
        assert list(point) == [parameter.name for parameter in space]
        for parameter in space:
            parameter.locate(point[parameter.name])  # raises outside


# The same again


@BOTH
def test_the_same_observations_and_seed_give_the_same_points(sampler: str) -> None:
    seen = tried(MIXED, 8)
    first = suggest(MIXED, seen, 2, seed=5, sampler=sampler)
    assert first == suggest(MIXED, seen, 2, seed=5, sampler=sampler)
    assert first.sampler == sampler and len(first.points) == 2
    assert first.points != suggest(MIXED, seen, 2, seed=6, sampler=sampler).points
    fewer = suggest(MIXED, seen, 1, seed=5, sampler=sampler)
    assert fewer.points == first.points[:1]  # more slots leave the first ones as they were


PROPOSE = """
import json, sys
from resweep.search.suggest import Observation, suggest
from resweep.sweep.parameter import Parameter
space, seen = ([kind(**each) for each in part]
               for kind, part in zip((Parameter, Observation), json.load(sys.stdin)))
print(json.dumps([suggest(space, seen, 2, seed=5, sampler=s).points for s in ("gp", "tpe")]))
"""


def test_another_process_proposes_the_same_from_the_same_text() -> None:
    seen = tried(MIXED, 8)
    content = json.dumps([[asdict(p) for p in MIXED], [asdict(o) for o in seen]])
    told = subprocess.run(
        [sys.executable, "-c", PROPOSE],
        input=content,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = [suggest(MIXED, seen, 2, seed=5, sampler=s).points for s in ("gp", "tpe")]
    assert json.loads(told.stdout) == here


def test_a_seed_changes_the_first_round_too() -> None:
    first, other = (suggest(MIXED, [], 8, seed=seed) for seed in (1, 2))
    assert first.sampler == other.sampler == "sobol"
    assert all(a["rate"] != b["rate"] for a, b in zip(first.points, other.points, strict=True))


@BOTH
def test_maximising_mirrors_minimising(sampler: str) -> None:
    seen = [
        *tried(MIXED, 6),
        Observation({"rate": 0.09, "width": 2, "kind": "relu"}, None, "diverged"),
        Observation({"rate": 0.001, "width": 8, "kind": "relu"}, None, "infeasible"),
    ]
    mirrored = [Observation(o.point, o.value and -o.value, o.status) for o in seen]
    least = suggest(MIXED, seen, 2, seed=3, sampler=sampler)
    assert least == suggest(MIXED, mirrored, 2, seed=3, sampler=sampler, goal="maximize")


@BOTH
def test_nothing_is_printed_or_warned_about(
    sampler: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        suggest(MIXED, tried(MIXED, 4), 1, seed=0, sampler=sampler)
    assert capfd.readouterr() == ("", "")


# Values

EVERY_DISTRIBUTION = [
    (Parameter("p", "categorical", values=(3, 1, 2)), int),
    (Parameter("p", "categorical", values=("a", "b"), probabilities=(0.9, 0.1)), str),
    (Parameter("p", "categorical", values=(True, False)), bool),
    (Parameter("p", "categorical", values=([1, 2], [3], [])), list),
    (Parameter("p", "int_uniform", low=-3, high=50), int),
    (Parameter("p", "uniform", low=-1, high=1), float),
    (Parameter("p", "q_uniform", low=0.0, high=0.5, q=0.1), float),
    (Parameter("p", "q_uniform", low=8, high=64, q=8), int),
    (Parameter("p", "log_uniform", low=-9.0, high=-2.0), float),
    (Parameter("p", "inv_log_uniform", low=2.0, high=9.0), float),
    (Parameter("p", "q_log_uniform", low=0.0, high=5.0, q=2), int),
    (Parameter("p", "log_uniform_values", low=1e-5, high=1e-1), float),
    (Parameter("p", "inv_log_uniform_values", low=1e-5, high=1e-1), float),
    (Parameter("p", "q_log_uniform_values", low=1, high=300, q=4), int),
    (Parameter("p", "normal", mu=3.0, sigma=0.5), float),
    (Parameter("p", "q_normal", mu=0.0, sigma=9.0, q=0.5), float),
    (Parameter("p", "log_normal", mu=-6.0, sigma=1.0), float),
    (Parameter("p", "q_log_normal", mu=3.0, sigma=1.0, q=1), int),
    (Parameter("p", "beta", a=2.0, b=5.0), float),
    (Parameter("p", "q_beta", a=2.0, b=5.0, q=0.01), float),
]


@BOTH
@pytest.mark.parametrize(("parameter", "kind"), EVERY_DISTRIBUTION, ids=lambda p: str(p)[:70])
def test_values_are_inside_and_of_their_type(
    parameter: Parameter, kind: type, sampler: str
) -> None:
    space = (parameter, RATE)
    first = suggest(space, [], 6, seed=1).points
    seen = [Observation(p, math.log10(p["rate"]) ** 2 + i % 3) for i, p in enumerate(first)]
    later = suggest(space, seen, 2, seed=2, sampler=sampler).points
    assert len(first) == 6 and len(later) == 2
    assert_inside(space, first + later)
    assert {type(point["p"]) for point in first + later} == {kind}
    assert all(type(point["rate"]) is float for point in first + later)


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
@pytest.mark.parametrize("high", [2**31, 2**63, 10**30])
def test_a_range_of_integers_may_be_as_large_as_one_of_seeds(high: int, sampler: str) -> None:
    space = [Parameter("seed", "int_uniform", low=0, high=high), Parameter("x", "uniform", high=1)]
    first = suggest(space, [], 4, seed=1).points
    seen = [Observation(point, point["x"]) for point in first]
    points = suggest(space, seen, 2, seed=2, sampler=sampler).points
    assert len(points) == 2
    assert all(type(p["seed"]) is int and 0 <= p["seed"] <= high for p in points)


def test_constant_parameters_are_left_out() -> None:
    constant = Parameter("c", "constant", values=(3,))
    assert list(suggest((constant, RATE), [], 1, seed=0).points[0]) == ["rate"]


@BOTH
def test_a_choice_of_probability_zero_is_never_proposed(sampler: str) -> None:
    kind = Parameter("kind", "categorical", values=("a", "b", "c"), probabilities=(0.5, 0, 0.5))
    seen = [
        Observation(p, float(i)) for i, p in enumerate(suggest((kind, RATE), [], 4, seed=0).points)
    ]
    points = suggest((kind, RATE), seen, 6, seed=1, sampler=sampler).points
    assert {p["kind"] for p in points} <= {"a", "c"}


def test_values_that_look_like_nothing_are_choices_of_their_own() -> None:
    nothing = Parameter("p", "categorical", values=(0, False, None, "", [], "0"))
    points = suggest((nothing,), [], 9, seed=0).points
    assert [(type(p["p"]), p["p"]) for p in points] == [
        (int, 0), (bool, False), (type(None), None), (str, ""), (list, []), (str, "0"),
    ]  # fmt: skip
    left = suggest((nothing,), [Observation({"p": 0.0}, 1.0)], 9, seed=0).points
    assert left == points[1:]  # 0.0 is 0, and neither is false


def test_numbers_in_lists_are_ordered_and_counted_once() -> None:
    space = Space([Parameter("p", "categorical", values=(64, 16, 32.0, 16.0))])
    assert space.choices["p"] == [16, 32.0, 64] and space.size == 3
    assert space.inner({"p": 32}) == {"p": 1} and space.mostly_numeric
    assert not Space([Parameter("p", "categorical", values=(1, True))]).mostly_numeric


# Used up


@BOTH
def test_a_small_space_is_used_up_without_repetition(sampler: str) -> None:
    space = (Parameter("width", "int_uniform", low=1, high=4), KIND)
    seen: list[Observation] = []
    for number, wanted in enumerate([5, 5, 2, 0], 1):
        made = suggest(space, seen, 5, seed=number, sampler=sampler)
        assert len(made.points) == wanted
        seen += [Observation(p, loss({**p, "rate": 1e-3})) for p in made.points]
    assert len({choice_key(o.point) for o in seen}) == 12


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Parameter("p", "q_uniform", low=0.1, high=0.45, q=0.1), [0.1, 0.2, 0.3, 0.4]),
        (Parameter("p", "q_uniform", low=1, high=9, q=4), [4, 8]),
        (Parameter("p", "q_log_uniform_values", low=1, high=9, q=4), [4, 8]),
        (Parameter("p", "int_uniform", low=-1, high=1), [-1, 0, 1]),
    ],
    ids=lambda p: str(p)[:60],
)
def test_all_values_of_what_is_discrete_are_found(parameter: Parameter, values: list[Any]) -> None:
    points = suggest((parameter,), [], 10, seed=0).points
    assert [p["p"] for p in points] == values
    assert_inside((parameter,), points)


def test_the_last_point_of_a_space_is_found() -> None:
    space = [Parameter(name, "int_uniform", low=1, high=40) for name in "ab"]
    everything = list(Space(space).all_points())
    seen = [Observation(point, 1.0) for point in everything if point != {"a": 17, "b": 23}]
    assert suggest(space, seen, 3, seed=0).points == [{"a": 17, "b": 23}]
    only = suggest(space, [], 3, seed=0, feasible=lambda p: p == {"a": 17, "b": 23})
    assert only.points == [{"a": 17, "b": 23}] and only.infeasible == 1599


def test_a_space_too_large_to_list_has_no_size() -> None:
    large = [Parameter(name, "int_uniform", low=1, high=MOST_LISTED) for name in "ab"]
    assert Space(large).size is None and not list(Space(large).all_points())
    assert len(suggest(large, [], 4, seed=0).points) == 4
    fine = Parameter("p", "q_uniform", low=0.0, high=1.0, q=1e-7)
    assert Space([fine]).size is None


@BOTH
def test_failed_points_count_as_tried_and_tell_nothing_else(sampler: str) -> None:
    space = (
        Parameter("a", "int_uniform", low=1, high=3),
        Parameter("b", "int_uniform", low=1, high=3),
    )
    values = [Observation({"a": a, "b": 1}, float(a)) for a in (1, 2, 3)]
    failed = [Observation({"a": a, "b": 2}, None, "failed") for a in (1, 2, 3)]
    made = suggest(space, values + failed, 2, seed=0, sampler=sampler)
    assert {p["b"] for p in made.points} == {3} and len(made.points) == 2
    wide = (RATE, WIDTH)
    seen = tried(wide, 4)
    aside = Observation({"rate": 5e-2, "width": 8}, None, "failed")
    with_it = suggest(wide, [*seen, aside], 1, seed=0, sampler=sampler)
    assert with_it == suggest(wide, seen, 1, seed=0, sampler=sampler)


# What cannot be trained


def even(point: Point) -> bool:
    return point["width"] % 2 == 0


@BOTH
def test_points_that_cannot_be_trained_are_passed_over_and_counted(sampler: str) -> None:
    first = suggest(MIXED, [], 6, seed=0, feasible=even)
    seen = [Observation(p, loss(p)) for p in first.points]
    later = suggest(MIXED, seen, 2, seed=1, sampler=sampler, feasible=even)
    assert len(first.points) == 6 and len(later.points) == 2
    assert all(even(point) for point in first.points + later.points)
    assert first.infeasible > 0
    assert suggest(MIXED, seen, 3, seed=1, sampler="tpe").infeasible == 0


def test_almost_everything_infeasible_still_fills_what_it_can() -> None:
    def rare(point: Point) -> bool:
        return point["width"] == 3 and point["kind"] == "gelu" and point["rate"] < 3e-4

    seen = [Observation({"rate": 2e-4, "width": 3, "kind": "gelu"}, 1.0)]
    for observations in ([], seen):
        made = suggest(MIXED, observations, 3, seed=0, sampler="tpe", feasible=rare)
        assert made.points and all(rare(point) for point in made.points)
        assert made.infeasible > 20


@BOTH
def test_when_nothing_can_be_trained_there_are_no_points(sampler: str) -> None:
    for seen in ([], tried((RATE, WIDTH), 3)):
        made = suggest(
            (RATE, WIDTH), seen, 1, seed=0, sampler=sampler, feasible=lambda point: False
        )
        assert made.points == [] and made.infeasible > 500


@BOTH
def test_infeasible_trials_are_a_constraint(sampler: str) -> None:
    """Small widths are better and cannot be trained: only what was tried says so."""
    space = (
        Parameter("x", "uniform", low=0.0, high=1.0),
        Parameter("y", "uniform", low=0.0, high=1.0),
    )
    points = suggest(space, [], 24, seed=4).points
    told = [
        Observation(p, None, "infeasible") if p["x"] < 0.5 else Observation(p, p["x"] + p["y"])
        for p in points
    ]
    made = suggest(space, told, 6, seed=5, sampler=sampler).points
    assert sum(p["x"] >= 0.4 for p in made) >= 5
    assert statistics.fmean(p["y"] for p in made) < 0.5


@BOTH
def test_diverged_trials_are_bad_wherever_the_metric_points(sampler: str) -> None:
    space = (Parameter("x", "uniform", low=0.0, high=1.0),)
    told = [
        Observation(
            {"x": i / 12}, 1 - i / 12 if i <= 8 else None, "finished" if i <= 8 else "diverged"
        )
        for i in range(13)
    ]
    made = suggest(space, told, 4, seed=1, sampler=sampler).points
    assert sum(p["x"] < 0.8 for p in made) >= 3


@pytest.mark.parametrize("status", ["diverged", "infeasible", "failed"])
def test_without_any_value_the_next_round_is_another_sobol_sequence(status: str) -> None:
    first = suggest(MIXED, [], 4, seed=0).points
    told = [Observation(point, None, status) for point in first]
    made = suggest(MIXED, told, 4, seed=1)
    assert made.sampler == "sobol" and len(made.points) == 4
    assert not {choice_key(p) for p in made.points} & {choice_key(p) for p in first}


@BOTH
def test_few_or_equal_values_are_enough(sampler: str) -> None:
    seen = tried((RATE, WIDTH), 4)
    for told in (
        seen[:1],
        [Observation(o.point, 1.0) for o in seen],
        [seen[0], *(Observation(o.point, None, "infeasible") for o in seen[1:])],
        [seen[0], *(Observation(o.point, None, "diverged") for o in seen[1:])],
    ):
        assert len(suggest((RATE, WIDTH), told, 1, seed=0, sampler=sampler).points) == 1


def test_observations_outside_the_space_are_ignored() -> None:
    seen = tried(MIXED, 4)
    outside = [
        Observation({"rate": 0.5, "width": 1, "kind": "relu"}, -9.0),
        Observation({"rate": 0.01, "width": 1.5, "kind": "relu"}, -9.0),
        Observation({"rate": 0.01, "width": 1, "kind": "swish"}, -9.0),
        Observation({"rate": "fast", "width": 1, "kind": "relu"}, -9.0),
        Observation({"rate": 0.01, "width": 1}, -9.0),
    ]
    told = [*outside, *(Observation({**o.point, "more": 1}, o.value) for o in seen)]
    made = suggest(MIXED, told, 2, seed=0, sampler="tpe")
    assert made == suggest(MIXED, seen, 2, seed=0, sampler="tpe")


# Which sampler


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_a_model_needs_one_value_more_than_there_are_dimensions(sampler: str) -> None:
    """From a single row of a warm start a Gaussian process would go to the corners."""
    space = tuple(Parameter(f"x{i}", "uniform", low=0.0, high=1.0) for i in range(3))
    points = suggest(space, [], 4, seed=1).points
    told = [Observation(point, float(number)) for number, point in enumerate(points)]
    lost = [Observation({name: 0.5 for name in points[0]}, None, "diverged")]
    few = suggest(space, told[:3] + lost, 8, seed=0, sampler=sampler)
    assert few.sampler == "sobol"
    assert few.points == suggest(space, [], 8, seed=0).points
    assert suggest(space, told + lost, 1, seed=0, sampler=sampler).sampler == sampler


def test_auto_is_gp_up_to_200_observations_of_a_mostly_numeric_space() -> None:
    rate = Parameter("rate", "uniform", low=0.0, high=1.0)
    many = [Observation({"rate": i / 1000}, (i - 300) ** 2 / 1e5) for i in range(GP_LIMIT + 1)]
    assert GP_LIMIT == 200
    assert suggest((rate,), many[:200], 1, seed=0).sampler == "gp"
    assert suggest((rate,), many, 1, seed=0).sampler == "tpe"


@pytest.mark.parametrize(("unordered", "sampler"), [(1, "gp"), (2, "gp"), (3, "tpe")])
def test_auto_is_tpe_where_most_parameters_have_no_order(unordered: int, sampler: str) -> None:
    kinds = [Parameter(f"k{i}", "categorical", values=("a", "b", "c")) for i in range(unordered)]
    steps = Parameter("steps", "categorical", values=(10, 20, 40))
    space = (*kinds, steps, RATE)
    seen = [Observation(p, 1.0) for p in suggest(space, [], 6, seed=0).points]
    assert suggest(space, seen, 1, seed=0).sampler == sampler


# How good


def best_of(
    choose: Callable[[list[Observation], int], list[Point]], rounds: Sequence[int]
) -> float:
    seen: list[Observation] = []
    for number, count in enumerate(rounds):
        seen += [Observation(p, loss(p)) for p in choose(seen, number)[:count]]
    return min(o.value for o in seen if o.value is not None)


@pytest.mark.parametrize(
    ("sampler", "seeds", "rounds"), [("gp", 2, (6, 3, 3)), ("tpe", 10, (8, 8, 8, 8))]
)
def test_it_finds_the_optimum_better_than_chance(
    sampler: str, seeds: int, rounds: tuple[int, ...]
) -> None:
    space = (RATE, WIDTH)

    def proposed(seed: int) -> float:
        return best_of(
            lambda seen, number: (
                suggest(
                    space, seen, rounds[number], seed=100 * seed + number, sampler=sampler
                ).points
            ),
            rounds,
        )

    drawn = [
        best_of(lambda _, n, s=seed: list(random_points(space, sum(rounds), s)), [sum(rounds)])
        for seed in range(200)
    ]
    found = [proposed(seed) for seed in range(seeds)]
    assert statistics.fmean(found) < 0.3 * statistics.fmean(drawn)


def test_a_round_spreads_out() -> None:
    """Each point knows those before it in the round."""
    seen = tried((RATE, WIDTH), 8)
    for sampler in ("gp", "tpe"):
        points = suggest((RATE, WIDTH), seen, 4, seed=0, sampler=sampler).points
        rates = sorted(math.log10(p["rate"]) for p in points)
        assert len({choice_key(p) for p in points}) == 4 and rates[-1] - rates[0] > 0.2


def test_the_first_round_covers_the_space() -> None:
    points = suggest((RATE, WIDTH), [], 16, seed=random.Random(3).randrange(2**32)).points
    decades = [sum(10.0**e <= p["rate"] < 10.0 ** (e + 1) for p in points) for e in (-4, -3, -2)]
    assert min(decades) >= 4 and len({p["width"] for p in points}) == 8
