"""How sure a rank is, from seeds."""

import math

import pytest

from resweep.ranking.rank_confidence import Rated, pooled_spread, rank_confidence


def rated(value, spread=0.1, seeds=4):
    return Rated(value=value, spread=spread, seeds=seeds)


def chance_that_first_is_less(difference, error):
    """Of two independent normal variables: Phi(d / sqrt(2 e^2))."""
    return 0.5 * (1 + math.erf(difference / math.sqrt(2 * error**2) / math.sqrt(2)))


def test_the_probability_of_two_is_that_of_normal_distributions():
    first, second = rank_confidence([rated(1.0), rated(1.05)], 1.0)
    assert first.best == pytest.approx(chance_that_first_is_less(0.05, 0.05), abs=0.03)
    assert first.best + second.best == pytest.approx(1.0)
    assert (first.low, first.high) == (1, 2)


def test_far_apart_ranks_are_sure_and_the_other_goal_reverses_them():
    values = [rated(1.0), rated(2.0), rated(3.0)]
    assert [(one.low, one.high) for one in rank_confidence(values, 1.0)] == [(1, 1), (2, 2), (3, 3)]
    assert [one.low for one in rank_confidence(values, -1.0)] == [3, 2, 1]
    assert rank_confidence(values, 1.0) == rank_confidence(values, 1.0)


def test_a_single_seed_has_the_spread_of_the_others():
    assert pooled_spread([rated(1, 0.1, 2), rated(1, 0.3, 4), rated(1, None, 1)]) == pytest.approx(
        math.sqrt((0.1**2 + 3 * 0.3**2) / 4)
    )
    sure = rank_confidence([rated(1.0, 0.2, 4), rated(1.1, None, 1)], 1.0)
    error = math.hypot(0.2 / 2, 0.2)
    assert sure[0].best == pytest.approx(0.5 * (1 + math.erf(0.1 / error / math.sqrt(2))), abs=0.03)


def test_without_repeated_seeds_nothing_is_known():
    assert rank_confidence([rated(1.0, None, 1), rated(2.0, None, 1)], 1.0) is None
    assert rank_confidence([rated(1.0)], 1.0) is None
