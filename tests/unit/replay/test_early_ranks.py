"""How early the final order could be seen."""

import pytest

from resweep.replay.early_ranks import early_ranks

#       step:   10   20   30 (the end)
CURVES = {
    "a": [(0, 9.0), (10, 3.0), (20, 1.5), (30, 1.0)],
    "b": [(0, 9.0), (10, 1.0), (20, 2.0), (30, 2.0)],
    "c": [(0, 9.0), (10, 2.0), (20, 3.0), (30, 3.0)],
    "d": [(0, 9.0), (10, 4.0), (20, 4.0), (30, 4.0)],
    "stopped": [(0, 9.0), (10, 0.5)],
}
FINALS = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "stopped": 0.5}


def test_each_step_is_compared_with_the_end():
    early = early_ranks(CURVES, FINALS, 1.0, top=2)
    assert (early.trials, early.end, early.top) == (4, 30, 2)
    first, second = early.orders
    assert (first.step, first.kept, first.best_is_best) == (10, 1, False)
    assert first.correlation == pytest.approx(0.4)  # 1 - 6 * (4 + 1 + 1 + 0) / (4 * 15)
    assert (second.step, second.kept, second.best_is_best, second.correlation) == (20, 2, True, 1)
    assert early.same_from == 20
    assert "step 20 of 30 (67%)" in early.line and "same top 2 of 4 trials" in early.line


def test_more_can_be_better():
    mirrored = {trial: [(s, -v) for s, v in points] for trial, points in CURVES.items()}
    early = early_ranks(mirrored, {trial: -v for trial, v in FINALS.items()}, -1.0, top=2)
    assert [order.kept for order in early.orders] == [1, 2]


def test_an_order_that_only_the_end_has_is_said():
    curves = {"a": [(10, 3.0), (20, 1.0)], "b": [(10, 2.0), (20, 2.0)], "c": [(10, 1.0), (20, 3.0)]}
    early = early_ranks(curves, {"a": 1.0, "b": 2.0, "c": 3.0}, 1.0, top=1)
    assert early.same_from is None and "no step before 20" in early.line


def test_two_trials_have_no_order_to_speak_of():
    two = {name: CURVES[name] for name in ("a", "b")}
    assert early_ranks(two, {"a": 1.0, "b": 2.0}, 1.0) is None
    assert early_ranks({}, {}, 1.0) is None


def test_the_top_is_never_all():
    assert early_ranks(CURVES, FINALS, 1.0, top=9).top == 3
