"""How a ranking held in its rerun: orders, winner's curse, and what says nothing of either."""

import math
import statistics
from dataclasses import replace

import pytest

from resweep.ranking.held import SAME_RUN, Held, Ranked, compare_rankings, kendall_tau
from resweep.ranking.scores import rank_trials
from tests.support.language import score as made_score
from tests.unit.ranking.test_scores import LR, result, seeds_of

SETTINGS = {"model.n_layer": 2}


def of(name, results, **score) -> Ranked:
    """A ranking, of trials with equal settings."""
    rule = made_score(**score)
    return Ranked(
        name=name,
        metric=rule.metric,
        goal=rule.goal,
        rows=rank_trials(list(results), rule),
        settings=lambda trial: SETTINGS,
    )


def sweep(*finals, step=100, **score) -> Ranked:
    """Configurations 1, 2, ... with one trial each."""
    results = [
        result(f"s{n}", final, step=step, training__learning_rate=n)
        for n, final in enumerate(finals, 1)
    ]
    return of("sweep", results, **score)


def rerun(*finals, step=100, **score) -> Ranked:
    """The same configurations with the seeds of each tuple."""
    results = [one for n, own in enumerate(finals, 1) for one in seeds_of(n, *own, step=step)]
    return of("rerun", results, **score)


def values_of(held: Held) -> list[tuple]:
    return [(pair.source_trial, pair.source_rank, pair.rank, pair.value) for pair in held.pairs]


@pytest.mark.parametrize(
    ("pairs", "tau"),
    [
        ([(1, 1), (2, 2), (3, 3)], 1.0),
        ([(1, 3), (2, 2), (3, 1)], -1.0),
        ([(1, 2), (2, 1), (3, 3), (4, 4)], (5 - 1) / 6),
        ([(1, 1), (2, 1), (3, 2)], 2 / math.sqrt(3 * 2)),
        ([(1, 1), (1, 2), (2, 2), (3, 0)], (1 - 3) / math.sqrt(5 * 5)),
        ([(1, 1), (2, 1), (3, 1)], None),
        ([(1, 1), (2, 2)], None),
        ([], None),
    ],
)
def test_tau_by_hand(pairs, tau):
    assert kendall_tau(pairs) == (None if tau is None else pytest.approx(tau))


def test_values_ranks_and_the_winners_curse_by_hand():
    held = compare_rankings([sweep(2.0, 2.1, 2.3, 2.9)], rerun((2.3, 2.5), (2.1, 2.3), (2.6, 2.7)))
    assert values_of(held) == [
        ("s1", 1, 2, pytest.approx(2.4)),
        ("s2", 2, 1, pytest.approx(2.2)),
        ("s3", 3, 3, pytest.approx(2.65)),
    ]
    first = held.pairs[0]
    assert first.source_value == 2.0 and first.hyperparameters == {LR: 1}
    assert first.spread == pytest.approx(math.sqrt(0.02))
    assert first.error == pytest.approx(0.1)
    assert held.tau == pytest.approx((2 - 1) / 3)
    differences = [0.4, 0.1, 0.35]
    assert held.curse is not None and held.repeats == 3
    assert held.curse.value == pytest.approx(0.85 / 3)
    assert held.curse.error == pytest.approx(statistics.stdev(differences) / math.sqrt(3))


def test_where_more_is_better_a_lower_rerun_is_worse():
    up = {"goal": "maximize"}
    held = compare_rankings([sweep(0.9, 0.8, 0.7, **up)], rerun((0.8,), (0.85,), (0.6,), **up))
    assert [pair.rank for pair in held.pairs] == [2, 1, 3]
    assert held.curse is not None and held.curse.value == pytest.approx((0.1 - 0.05 + 0.1) / 3)
    assert held.tau == pytest.approx(1 / 3)


def test_equal_values_share_a_rank():
    held = compare_rankings([sweep(1.0, 2.0, 3.0)], rerun((1.5,), (1.5,), (0.0,)))
    assert [pair.rank for pair in held.pairs] == [2, 2, 1]
    assert held.tau == pytest.approx(-2 / math.sqrt(3 * 2))
    assert held.curse is not None and held.curse.value == pytest.approx((0.5 - 0.5 - 3.0) / 3)


@pytest.mark.parametrize(("finals", "error"), [((2.3, 2.5), 0.1), ((2.4,), None)])
def test_of_one_configuration_the_error_is_that_of_its_seeds(finals, error):
    held = compare_rankings([sweep(2.0, 2.1)], rerun(finals))
    assert held.tau is None and held.curse is not None
    assert held.curse.value == pytest.approx(0.4)
    assert held.curse.error == (None if error is None else pytest.approx(error))


def test_several_sources_are_ordered_by_score_each_configuration_where_it_was_best():
    focus = [
        result("f3", 1.9, training__learning_rate=3),
        result("f2", 2.2, training__learning_rate=2),
    ]
    sources = [sweep(2.0, 2.1, 2.3), of("focus", focus)]
    held = compare_rankings(sources, rerun((2.0,), (2.1,), (2.2,)))
    assert [(pair.source, pair.source_trial, pair.source_rank) for pair in held.pairs] == [
        ("focus", "f3", 1),
        ("sweep", "s1", 1),
        ("sweep", "s2", 2),
    ]
    assert held.tau == pytest.approx(-1 / 3)
    assert held.curse is not None and held.curse.value == pytest.approx((0.3 + 0.0 + 0.0) / 3)


def test_what_was_trained_for_other_steps_or_with_other_settings_has_no_curse():
    source = sweep(2.0, 2.1, 2.3)
    longer = compare_rankings([source], rerun((1.0,), (1.2,), (1.1,), step=200))
    assert longer.curse is None and longer.repeats == 0
    assert longer.tau == pytest.approx(1 / 3)
    assert {(pair.steps, pair.source_steps) for pair in longer.pairs} == {((200,), (100,))}
    again = rerun((2.1,), (2.2,), (2.4,))
    changed = {"21": {"model.n_layer": 4}, "31": None}
    mixed = compare_rankings(
        [source], replace(again, settings=lambda t: changed.get(t, {"model.n_layer": 2}))
    )
    assert [pair.changes for pair in mixed.pairs] == [{}, {"model.n_layer": (4, 2)}, None]
    assert mixed.repeats == 1 and mixed.curse is not None
    assert mixed.curse.value == pytest.approx(0.1)


def test_another_metric_has_no_curse():
    again = rerun((2.1,), (2.2,), (2.4,), metric="test/loss")
    held = compare_rankings([sweep(2.0, 2.1, 2.3)], again)
    assert held.tau == 1.0 and held.curse is None


def with_run(one, run_id):
    return replace(one, record=replace(one.record, run_id=run_id))


def test_a_run_of_the_source_is_not_counted_as_its_rerun():
    first, second, alone = *seeds_of(1, 2.0, 2.4), *seeds_of(2, 2.1)
    again = of("rerun", [with_run(first, "runs1"), second, with_run(alone, "runs2")])
    held = compare_rankings([sweep(2.0, 2.1)], again)
    assert held.same_runs == 2
    assert [(pair.trials, pair.value, pair.lost) for pair in held.pairs] == [
        (("12",), 2.4, None),
        ((), None, SAME_RUN),
    ]
    assert held.curse is not None and held.curse.value == pytest.approx(0.4)
    assert held.repeats == 1


def test_a_configuration_with_a_seed_that_diverged_has_no_value():
    lost = result("12", None, status="diverged", training__learning_rate=1, training__seed=2)
    again = of("rerun", [*seeds_of(1, 2.0), lost, *seeds_of(2, 2.2), *seeds_of(3, 2.4)])
    held = compare_rankings([sweep(2.0, 2.1, 2.3)], again)
    assert [(pair.rank, pair.value, pair.lost) for pair in held.pairs] == [
        (None, None, "diverged"),
        (1, 2.2, None),
        (2, 2.4, None),
    ]
    assert held.tau is None and held.repeats == 2
    assert held.curse is not None and held.curse.value == pytest.approx(0.1)


def test_empty_slots_and_configurations_that_no_source_scored_are_left_out():
    empty = result("09", None, status="empty")
    strange = result("08", 1.0, training__learning_rate=77)
    unscored = result("s2", None, status="diverged", training__learning_rate=2)
    source = of("sweep", [result("s1", 2.0, training__learning_rate=1), unscored])
    again = of("rerun", [*seeds_of(1, 2.2), *seeds_of(2, 2.3), strange, empty])
    held = compare_rankings([source], again)
    assert [pair.source_trial for pair in held.pairs] == ["s1"]


def test_what_the_rerun_sets_is_not_compared():
    source = of(
        "sweep",
        [
            result("s1", 2.0, training__learning_rate=1, training__max_steps=50, score=1),
            result("s2", 2.1, training__learning_rate=2, training__max_steps=100, score=2),
        ],
    )
    again = [
        result("r1", 1.9, training__learning_rate=1, training__max_steps=300, score=9),
        result("r2", 1.8, training__learning_rate=2, training__max_steps=300, score=9),
    ]
    overridden = ["training.max_steps", "score"]
    held = compare_rankings([source], of("rerun", again), overridden)
    assert [(pair.source_trial, pair.rank) for pair in held.pairs] == [("s1", 2), ("s2", 1)]
    assert compare_rankings([source], of("rerun", again)).pairs == ()


def test_a_sweep_over_seeds_alone_is_one_configuration():
    source = of("sweep", [result("s1", 2.0, training__seed=1), result("s2", 2.2, training__seed=2)])
    held = compare_rankings([source], of("rerun", [result("r1", 2.3, training__seed=3)]))
    assert [(pair.source_value, pair.value) for pair in held.pairs] == [(pytest.approx(2.1), 2.3)]


def test_scores_with_slopes_order_the_source():
    """The second has the better value, but the first was chosen for its slope."""
    source = of(
        "sweep",
        [
            result("s1", 2.2, -0.5, training__learning_rate=1),
            result("s2", 2.0, -0.1, training__learning_rate=2),
        ],
        slope_weight=1.0,
    )
    held = compare_rankings([source], rerun((2.3,), (2.2,)))
    assert values_of(held) == [("s1", 1, 2, 2.3), ("s2", 2, 1, 2.2)]


def test_a_fine_tuning_is_compared_with_the_run_that_it_starts_from():
    starts = {"runs2": 2.0, "runs1": 2.2, "strange": 1.0}
    tuned = [
        result(f"f{n}", final, run__checkpoint=f"{run_id}/100")
        for n, (run_id, final) in enumerate(starts.items())
    ]
    held = compare_rankings([sweep(3.0, 3.1)], of("finetune", tuned))
    assert values_of(held) == [("s1", 1, 2, 2.2), ("s2", 2, 1, 2.0)]
