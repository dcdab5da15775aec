"""Which configurations cannot be told apart from rank 1."""

import math
import random
import statistics
from dataclasses import replace

import pytest

from resweep.ranking.score_row import configurations
from resweep.ranking.scores import rank_trials
from resweep.ranking.ties import (
    FEWEST_POINTS,
    Estimate,
    Tie,
    compare,
    curve_error,
    seed_error,
)
from tests.support.language import score as made_score
from tests.support.rankings import frame
from tests.unit.ranking.test_scores import LR, result, seeds_of


def ties(results, **score) -> list[str | None]:
    """Return the tie of each configuration, by rank."""
    rows = rank_trials(list(results), made_score(**score))
    return [group[0].tie for group in configurations(rows)]


def single(trial, final, error):
    return replace(result(trial, final), final_error=error)


def test_errors_of_seeds_by_hand():
    assert seed_error([2.0, 4.0]) == pytest.approx(math.sqrt(2) / math.sqrt(2))
    assert seed_error([1.0, 2.0, 3.0, 4.0]) == pytest.approx(statistics.stdev([1, 2, 3, 4]) / 2)
    assert seed_error([1.0, 1.0]) == 0.0
    assert seed_error([1.0]) is None


@pytest.mark.parametrize("slope", [0.0, -0.01, 5.0])
def test_the_error_of_a_curve_is_what_its_end_leaves_around_a_line(slope):
    noise = [0.1, -0.3, 0.3, -0.1]  # without a trend, so that the line keeps its slope
    steps = list(range(10, 170, 10))
    values = [50.0 * (-1) ** n for n in range(12)] + [2 + e for e in noise]
    error = curve_error(steps, [v + slope * s for v, s in zip(values, steps, strict=True)])
    line = statistics.linear_regression(range(4), noise)
    squares = sum((e - line.slope * n - line.intercept) ** 2 for n, e in enumerate(noise))
    assert error == pytest.approx(math.sqrt(squares / 2))


@pytest.mark.parametrize("count", [0, 1, 2, 4, 12, 13, 16])
def test_a_short_curve_has_no_error(count):
    values = [random.random() for _ in range(count)]
    known = curve_error(list(range(count)), values) is not None
    assert known == (math.ceil(count / 4) >= FEWEST_POINTS)


def test_a_curve_that_explodes_has_an_error_too():
    assert curve_error(list(range(16)), [1e200 * (-1) ** n for n in range(16)]) > 1e199


@pytest.mark.parametrize(
    ("one", "other", "tie"),
    [
        (Estimate(3.0, 0.3), Estimate(3.99, 0.4), Tie.YES),  # 2 * hypot(0.3, 0.4) = 1
        (Estimate(3.0, 0.3), Estimate(4.01, 0.4), Tie.NO),
        (Estimate(3.0, 0.3), Estimate(2.01, 0.4), Tie.YES),
        (Estimate(3.0, 0.0), Estimate(3.1, 0.0), Tie.NO),
        (Estimate(3.0, 0.0), Estimate(3.0, 0.0), Tie.YES),
        (Estimate(3.0, None), Estimate(3.0, None), Tie.YES),
        (Estimate(3.0, None), Estimate(3.1, 0.4), Tie.UNKNOWN),
        (Estimate(3.0, 0.3), Estimate(3.1, None), Tie.UNKNOWN),
    ],
)
def test_two_standard_errors_of_the_difference_decide(one, other, tie):
    assert compare(one, other) == compare(other, one) == tie


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
def test_reruns_within_the_spread_of_their_seeds_tie(goal, sign):
    finals = (3.1360, 3.1476), (3.1365, 3.1483), (3.4, 3.41)
    results = [
        result
        for rate, pair in enumerate(finals, 1)
        for result in seeds_of(float(rate), *(sign * value for value in pair))
    ]
    table = frame(rank_trials(results, made_score(goal=goal)))
    assert table["rank"].tolist() == [1, 1, 2, 2, 3, 3]
    assert table[LR].tolist() == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert table["standard_error"].tolist() == pytest.approx(
        [0.0058] * 2 + [0.0059] * 2 + [0.005] * 2
    )
    assert ties(results, goal=goal) == [None, "yes", "no"]


def test_single_seeds_are_compared_by_their_curves():
    results = [single("a", 2.0, 0.03), single("b", 2.05, 0.01), single("c", 2.3, 0.01)]
    assert ties(results) == [None, "yes", "no"]
    assert ties([*results, result("d", 2.1)]) == [None, "yes", "unknown (one seed)", "no"]
    assert ties([result("d", 1.9), *results]) == [None] + ["unknown (one seed)"] * 3


def test_a_single_seed_is_compared_with_several():
    several = seeds_of(1.0, 2.0, 2.02)
    assert ties([*several, single("b", 2.03, 0.01)]) == [None, "yes"]
    assert ties([*several, single("b", 2.2, 0.01)]) == [None, "no"]
    assert ties([*several, result("b", 2.2)]) == [None, "unknown (one seed)"]


def test_two_trials_of_one_run_are_one_seed():
    """A random sweep may draw a configuration twice."""
    twice = seeds_of(1.0, 2.0, 2.0)
    twice = [replace(r, record=replace(r.record, run_id="same")) for r in twice]
    table = frame(rank_trials([*twice, result("b", 2.1)], made_score()))
    assert table["seeds"].tolist() == [1, 1, 1]
    assert table["final_std"].isna().all() and table["standard_error"].isna().all()
    assert table["tie"].tolist()[2] == "unknown (one seed)"


def test_what_has_no_score_has_no_tie():
    spike = result("spike", None, status="diverged", training__learning_rate=2.0, training__seed=9)
    cut = result("cut", 0.5, status="stopped", step=50, training__learning_rate=1.0)
    table = frame(
        rank_trials([*seeds_of(1.0, 2.0, 2.2), cut, *seeds_of(2.0, 2.1, 2.1), spike], made_score())
    )
    assert table["tie"].isna().all()
    assert table.set_index("trial")["seeds"]["1.01"] == 2
    assert table[table[LR] == 2.0]["standard_error"].isna().all()


def test_a_tie_is_one_of_final_values_also_where_slopes_rank():
    results = [
        replace(single("a", 2.0, 0.1), early_slope=-0.1),
        replace(single("b", 2.05, 0.1), early_slope=-0.9),
        replace(single("c", 3.0, 0.1), early_slope=-0.5),
    ]
    table = frame(rank_trials(results, made_score(slope_weight=1.0)))
    assert table["trial"].tolist() == ["b", "a", "c"]
    assert ties(results, slope_weight=1.0) == [None, "yes", "no"]


def test_equal_configurations_rarely_seem_different():
    """As docs/scores.md says: of pairs that are equal in truth, so many do not tie."""
    drawn = random.Random(0)
    pairs = 4000

    def apart(error, count) -> float:
        found = 0
        for _ in range(pairs):
            one, other = ([drawn.gauss(0, 1) for _ in range(count)] for _ in range(2))
            found += error(one, other) is Tie.NO
        return found / pairs

    def by_seeds(one, other) -> Tie:
        means = (Estimate(statistics.fmean(v), seed_error(v)) for v in (one, other))
        return compare(*means)

    def by_curves(one, other) -> Tie:
        steps = range(len(one))
        return compare(*(Estimate(v[-1], curve_error(steps, v)) for v in (one, other)))

    assert apart(by_seeds, 2) == pytest.approx(0.18, abs=0.02)
    assert apart(by_seeds, 3) == pytest.approx(0.115, abs=0.02)
    assert apart(by_seeds, 5) == pytest.approx(0.08, abs=0.02)
    assert apart(by_curves, 16) == pytest.approx(0.10, abs=0.02)
