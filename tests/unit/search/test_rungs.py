"""Rungs: how many go on, who, and what the decision says."""

import itertools
import math
import random
from typing import Any

import pytest

from resweep.search.rungs import (
    Rung,
    RungEntry,
    decide,
    promoted,
    rule_text,
    rungs,
    step_of,
    values_of,
)
from resweep.sweep import EarlyTerminate
from resweep.systems.registry import metric_of
from resweep.trials.record import Status

HALVING = EarlyTerminate(min_iter=1, eta=2)
THIRD = EarlyTerminate(min_iter=1, eta=3)
CUT = EarlyTerminate(type="one_cut", min_iter=2, keep=2)


def entry(trial: str, value: float | None, status: str = "stopped", **more: Any) -> RungEntry:
    given = {"trial": trial, "run_id": f"run{trial}", "step": 10, "status": Status(status)}
    return RungEntry(**given | {"rule": None, "value": value} | more)


def decided(
    values: dict[str, float | None], rule: EarlyTerminate = HALVING, goal: str = "minimize"
) -> list[dict[str, Any]]:
    """Decisions on trials that stopped at the rung."""
    entries = [entry(trial, value) for trial, value in values.items()]
    return decide(rule, Rung(1, 1, len(values)), entries, goal)


def outcomes(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["trial"]: row["decision"] for row in rows}


def going(rows: list[dict[str, Any]]) -> list[str]:
    return [row["trial"] for row in rows if row["decision"] == "promote"]


# How many


@pytest.mark.parametrize(
    ("rule", "sizes"),
    [
        (HALVING, {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 8: 5}),
        (THIRD, {1: 1, 2: 1, 3: 2, 5: 2, 6: 3, 8: 3, 9: 4, 27: 10, 32: 11}),
        (EarlyTerminate(min_iter=1, eta=1.5), {2: 2, 3: 3, 6: 5}),
        (CUT, {1: 1, 2: 2, 3: 2, 100: 2}),
    ],
)
def test_how_many_go_on(rule: EarlyTerminate, sizes: dict[int, int]) -> None:
    assert {n: promoted(rule, n) for n in sizes} == sizes


@pytest.mark.parametrize("eta", [1.3, 2, 2.5, 3, 4])
def test_as_many_go_on_as_stay_by_the_threshold(eta: float) -> None:
    """W&B stops what is worse than the threshold."""
    rule = EarlyTerminate(min_iter=1, eta=eta)
    for count in range(1, 60):
        values = [float(value) for value in random.Random(count).sample(range(1000), count)]
        stay = sum(value <= rule.threshold(values) for value in values)
        assert stay == promoted(rule, count)
        rows = decided({f"{i:02d}": value for i, value in enumerate(values)}, rule)
        assert len(going(rows)) == stay
        assert {row["threshold"] for row in rows} == {rule.threshold(values)}


def test_rungs_are_laid_out_from_the_settings_alone() -> None:
    assert rungs(THIRD, (1, 3), 9) == (Rung(1, 1, 9), Rung(2, 3, 4), Rung(3, None, 2))
    assert rungs(CUT, (2,), 6) == (Rung(1, 2, 6), Rung(2, None, 2))
    assert rungs(HALVING, (), 4) == (Rung(1, None, 4),)
    assert [rung.slots for rung in rungs(HALVING, (1, 2, 4), 1)] == [1, 1, 1, 1]


@pytest.mark.parametrize("count", range(1, 40))
def test_never_more_go_on_than_there_are_slots(count: int) -> None:
    """However many of a rung's slots are filled."""
    for rule in (HALVING, THIRD, CUT):
        slots = [rung.slots for rung in rungs(rule, (1, 2, 4), count)]
        for here, there in itertools.pairwise(slots):
            assert all(promoted(rule, filled) <= there for filled in range(here + 1))


# Who


def test_the_best_go_on_in_their_order_with_the_evidence() -> None:
    rows = decided({"a": 3.0, "b": 1.0, "c": 2.0, "d": 4.0})
    assert going(rows) == ["b", "c", "a"]
    assert {name: value for name, value in rows[0].items() if name != "reason"} == {
        "trial": "b",
        "run_id": "runb",
        "step": 10,
        "decision": "promote",
        "rule": rule_text(HALVING, Rung(1, 1, 4)),
        "value": 1.0,
        "threshold": 3.0,
        "compared": 4,
    }
    assert says(rows[0]["reason"], "1 of 4, 3")
    assert rows[3]["decision"] == "stop"
    assert says(rows[3]["reason"], "4 of 4, 3", "4 is worse", "threshold 3")


def says(reason: str, *words: str) -> bool:
    """Whether a reason gives these numbers."""
    return all(word in reason for word in words)


def test_maximising_turns_the_order_around() -> None:
    values = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 4.0, "e": 0.5}
    rows = decided(values, THIRD, "maximize")
    assert going(rows) == ["d", "a"]
    assert {row["threshold"] for row in rows} == {3.0}
    assert says(rows[2]["reason"], "2 is worse", "threshold 3")
    mirrored = decided({name: -value for name, value in values.items()}, THIRD)
    assert outcomes(mirrored) == outcomes(rows)


def test_names_break_ties_and_no_more_go_on_for_them() -> None:
    rows = decided({"c": 1.0, "a": 1.0, "d": 1.0, "b": 1.0})
    assert [row["trial"] for row in rows] == ["a", "b", "c", "d"]
    assert going(rows) == ["a", "b", "c"]
    assert says(rows[3]["reason"], "4 of 4, 3", "ties", "threshold 1", "name")


def test_the_order_of_arrival_says_nothing() -> None:
    values = {f"{i}": float(i % 3) for i in range(9)}
    shuffled = dict(random.Random(1).sample(sorted(values.items()), 9))
    assert decided(values) == decided(shuffled)


def test_a_single_trial_goes_on() -> None:
    assert outcomes(decided({"a": 9.9}, THIRD)) == {"a": "promote"}


def test_no_trials_no_decisions() -> None:
    assert decided({}) == []


def test_diverged_trials_are_compared_as_the_worst() -> None:
    """Four are compared, so that three may go on, though two of them have diverged."""
    rows = decide(
        HALVING,
        Rung(1, 1, 4),
        [
            entry("a", None, "diverged", step=7),
            entry("b", 5.0),
            entry("c", None, "diverged"),
            entry("d", 9.0),
        ],
        "minimize",
    )
    assert outcomes(rows) == {"b": "promote", "d": "promote", "a": "lost", "c": "lost"}
    assert {row["compared"] for row in rows} == {4}
    assert {row["threshold"] for row in rows} == {None}
    assert [row["reason"] for row in rows[2:]] == ["diverged", "diverged"]


@pytest.mark.parametrize("status", ["infeasible", "failed"])
def test_what_never_got_there_is_not_compared(status: str) -> None:
    entries = [entry(name, float(i)) for i, name in enumerate("abcd")]
    lost = entry("e", None, status, run_id=None, step=0)
    rows = decide(THIRD, Rung(1, 1, 5), [lost, *entries], "minimize")
    assert outcomes(rows) == dict.fromkeys("ab", "promote") | dict.fromkeys("cd", "stop") | {
        "e": "lost"
    }
    assert {row["compared"] for row in rows} == {4}
    assert rows[-1]["reason"] == status


def test_trials_at_their_end_take_part_and_no_slot() -> None:
    """A short one among the best: what it shows counts, and it needs no more steps."""
    rows = decide(
        HALVING,
        Rung(1, 1, 4),
        [
            entry("a", 1.0, "finished"),
            entry("b", 2.0),
            entry("c", 3.0, rule="plateau", step=8),
            entry("d", 4.0),
        ],
        "minimize",
    )
    assert outcomes(rows) == {"a": "done", "b": "promote", "c": "done", "d": "stop"}
    expected = ["finished", "2 of 4, 3", "plateau", "threshold 3"]
    assert all(says(row["reason"], word) for row, word in zip(rows, expected, strict=True))


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_trial_without_a_value_does_not_go_on(value: float | None) -> None:
    rows = decided({"a": value, "b": 2.0})
    assert outcomes(rows) == {"b": "promote", "a": "stop"}
    assert says(rows[1]["reason"], "no value")
    alone = decided({"a": value}, CUT)
    assert outcomes(alone) == {"a": "stop"}


def test_one_cut_keeps_as_many_as_it_says() -> None:
    rows = decided({"a": 3.0, "b": 1.0, "c": 2.0, "d": 4.0}, CUT)
    assert going(rows) == ["b", "c"]
    assert rows[0]["rule"] == "one_cut rung 1: 1 value, keep 2"
    assert going(decided({"a": 3.0}, CUT)) == ["a"]


# Steps

TRAINING = {"max_steps": 45, "eval_steps": 10, "log_steps": 4}


@pytest.mark.parametrize(
    ("metric", "values", "step"),
    [("val/loss", 5, 20), ("val/perplexity", 5, 20), ("train/loss", 12, 8), ("grad_norm", 12, 8)],
)
def test_a_band_counts_logged_values_of_the_metric(metric: str, values: int, step: int) -> None:
    """The last step is logged too, so 45 steps give five values: 10, 20, 30, 40 and 45."""
    assert values_of(metric_of({}, metric), TRAINING) == values
    assert step_of(2, metric_of({}, metric), TRAINING) == step
    assert step_of(None, metric_of({}, metric), TRAINING) is None
    assert step_of(values - 1, metric_of({}, metric), TRAINING) < 45


def test_the_length_of_epochs_is_not_known_beforehand() -> None:
    assert values_of(metric_of({}, "val/loss"), {**TRAINING, "max_steps": None}) is None
