"""Learning curves, continued."""

import random

import pytest

from resweep.replay.power_law import PowerLaw, continue_curves, fit

STEPS = range(10, 410, 10)


def curve(a=1.0, b=5.0, c=0.5, noise=0.0, seed=0, steps=STEPS):
    chance, law = random.Random(seed), PowerLaw(a, b, c)
    return [(0, 99.0), *((step, law.at(step) + chance.gauss(0, noise)) for step in steps)]


@pytest.mark.parametrize(("a", "b", "c"), [(1.0, 5.0, 0.5), (0.2, 30.0, 1.0), (2.0, 3.0, 0.25)])
def test_a_power_law_is_found_again(a, b, c):
    law = fit(curve(a, b, c))
    assert law.c == pytest.approx(c, rel=0.01)
    assert law.at(4000) == pytest.approx(PowerLaw(a, b, c).at(4000), rel=1e-3)


def test_what_does_not_fall_is_not_continued():
    assert fit([(step, step / 100) for step in STEPS]) is None
    assert fit(curve()[:4]) is None
    assert fit([]) is None


def test_the_error_is_that_of_held_back_ends():
    curves = {f"t{n}": curve(1 + n / 10, noise=0.01, seed=n) for n in range(8)}
    longer = continue_curves(curves, 2.0)
    truth = {f"t{n}": PowerLaw(1 + n / 10, 5.0, 0.5).at(800) for n in range(8)}
    off = [abs(longer.values[trial] - truth[trial]) for trial in truth]
    assert longer.checked == 8 and 0 < longer.error < 0.1
    assert sum(one <= 2 * longer.error for one in off) >= 7
    assert longer.covered >= 7
    errors = [
        fit([p for p in points if p[0] <= 200]).at(400) - points[-1][1]
        for points in curves.values()
    ]
    assert longer.error == pytest.approx((sum(e * e for e in errors) / 8) ** 0.5)


def test_accuracies_rise_to_their_limit():
    mirrored = {f"t{n}": [(s, -v) for s, v in curve(1 + n)] for n in range(3)}
    longer = continue_curves(mirrored, 4.0, -1.0)
    assert longer.values["t0"] == pytest.approx(-PowerLaw(1.0, 5.0, 0.5).at(1600), rel=1e-3)


def test_two_curves_measure_no_error():
    longer = continue_curves({"a": curve(), "b": curve(2.0)}, 2.0)
    assert longer.error is None and "too few" in longer.line
    with pytest.raises(ValueError, match="more than its steps"):
        continue_curves({}, 1.0)
