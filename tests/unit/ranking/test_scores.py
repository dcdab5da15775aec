"""From records to ranks, from ranks to configurations, from configurations to reruns."""

import itertools
import json
import math
import random
import statistics
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pandas as pd
import pytest

from resweep import yaml12
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.ranking.score_row import best_trials
from resweep.ranking.score_table import read_scores, write_scores
from resweep.ranking.scores import check_rankable, code_warning, leader_by_final, rank_trials
from resweep.ranking.selection import (
    best_configs_text,
    plan_rerun,
    short_name,
)
from resweep.ranking.ties import Tie
from resweep.ranking.trial_result import SEED, TrialResult, early_slope, read_result
from resweep.trials.best_configs import read_best_configs
from resweep.trials.record import Record, Status
from resweep.trials.trial import Trial, read_outcome, write_trial
from tests.support.language import score as made_score
from tests.support.problems import assert_problem, problem_of
from tests.support.rankings import frame, read_frame
from tests.support.tiny import LANGUAGE

LR = "training.learning_rate"
LOGGED = {"training": {"log_steps": 10, "eval_steps": 10}}


def result(
    trial, final, slope=None, status="finished", step=100, code="c1", rule=None, **assignments
):
    """A trial's result; without assignments it is a configuration of its own."""
    record = Record(
        run_id=f"run{trial}",
        status=Status(status),
        stop_reason=None if status == "finished" else f"{status} for a reason",
        rule=rule,
        step=step,
        metrics={},
        parameters=10,
        code=code,
    )
    named = {name.replace("__", "."): value for name, value in assignments.items()}
    return TrialResult(
        trial=trial,
        record=record,
        assignments=named or {"mine": trial},
        early_slope=slope,
        final=final,
    )


def seeds_of(configuration, *finals, **more) -> list[TrialResult]:
    return [
        result(f"{configuration}{seed}", final, training__learning_rate=configuration,
               training__seed=seed, **more)
        for seed, final in enumerate(finals, 1)
    ]  # fmt: skip


def ranked(results, **score) -> pd.DataFrame:
    return frame(rank_trials(list(results), made_score(**score)))


# Slopes and scores


@pytest.mark.parametrize(
    ("steps", "values", "slope"),
    [
        ([0, 10], [5.0, 4.0], -0.1),
        ([1, 2, 3, 4], [2.0, 4.0, 6.0, 8.0], 2.0),
        ([10, 20, 30], [3.0, 1.0, 2.0], -0.05),
        ([10, 20, 30], [1.0, 1.0, 1.0], 0.0),
        ([10], [1.0], None),
        ([], [], None),
        ([5, 5], [1.0, 2.0], None),
    ],
)
def test_slopes_by_hand(steps, values, slope):
    assert early_slope(steps, values) == (slope if slope is None else pytest.approx(slope))


def test_own_hyperparameters_called_like_our_columns_have_columns_of_their_own():
    results = [
        result("a", 2.0, score=7, tie="x", mine=1),
        result("b", 1.0, score=8, tie="y", mine=2),
    ]
    scores = frame(rank_trials(results, made_score()))
    assert list(scores["trial"]) == ["b", "a"] and list(scores["final"]) == [1.0, 2.0]
    assert list(scores["config.score"]) == [8, 7] and list(scores["config.tie"]) == ["y", "x"]


def test_raw_scores_by_hand():
    table = ranked([result("a", 2.0, -0.01), result("b", 3.0, -0.5)], normalize="raw",
                   slope_weight=4.0, final_weight=0.5)  # fmt: skip
    scores = dict(zip(table["trial"], table["score"], strict=True))
    assert scores == pytest.approx({"a": 4 * 0.01 - 0.5 * 2, "b": 4 * 0.5 - 0.5 * 3})
    assert table["trial"].tolist() == ["b", "a"]


def test_a_rising_slope_is_good_where_the_early_metric_should_rise():
    results = [result("a", 2.0, 0.01), result("b", 2.0, 0.5)]
    rising = {
        "normalize": "raw",
        "slope_weight": 1.0,
        "final_weight": 0.0,
        "early_metric": "tokens",
    }
    assert ranked(results, **rising)["trial"].tolist() == ["b", "a"]
    falling = rising | {"early_metric": "train/loss"}
    assert ranked(results, **falling)["trial"].tolist() == ["a", "b"]


def test_standardised_scores_by_hand():
    slopes, finals = [-0.02, -0.01, -0.06], [2.0, 3.0, 2.5]
    table = ranked(
        [result(name, f, s) for name, f, s in zip("abc", finals, slopes, strict=True)],
        slope_weight=2.0, final_weight=0.5, normalize="zscore",
    )  # fmt: skip

    def z(values):
        return [(v - statistics.fmean(values)) / statistics.pstdev(values) for v in values]

    expected = [-2.0 * s - 0.5 * f for s, f in zip(z(slopes), z(finals), strict=True)]
    scores = dict(zip(table["trial"], table["score"], strict=True))
    assert [scores[name] for name in "abc"] == pytest.approx(expected)


def test_standardised_scores_do_not_depend_on_units():
    values = [(2.0, -0.02), (3.0, -0.01), (2.5, -0.06)]
    names = zip("abc", values, strict=True)
    rows = [(result(n, f, s), result(n, 100 * f + 7, s / 50)) for n, (f, s) in names]
    plain, scaled = (
        ranked(column, slope_weight=1.0, normalize="zscore") for column in zip(*rows, strict=True)
    )
    assert plain["score"].tolist() == pytest.approx(scaled["score"].tolist())


@pytest.mark.parametrize("normalize", ["raw", "zscore"])
def test_equal_values_score_alike(normalize):
    results = [result("b", 2.0, -0.1), result("a", 2.0, -0.1)]
    table = ranked(results, slope_weight=1.0, normalize=normalize)
    assert table["score"].nunique() == 1
    assert table["rank"].tolist() == [1, 2]


@pytest.mark.parametrize(("normalize", "score"), [("raw", -1.9), ("zscore", 0.0)])
def test_a_phase_of_one_configuration_has_a_score(normalize, score):
    table = ranked([result("a", 2.0, -0.1)], slope_weight=1.0, normalize=normalize)
    assert table["score"].tolist() == [score]


@pytest.mark.parametrize("normalize", ["raw", "zscore"])
def test_a_curve_without_early_points_counts_as_average(normalize):
    results = [result("a", 2.0, None), result("b", 2.0, -0.2), result("c", 2.0, -0.1)]
    table = ranked(results, slope_weight=1.0, normalize=normalize)
    assert table["trial"].tolist() == ["b", "a", "c"]


@pytest.mark.parametrize(("goal", "sign"), [("minimize", -1.0), ("maximize", 1.0)])
def test_by_default_the_score_is_the_final_value_and_the_highest_is_rank_1(goal, sign):
    results = [result("a", 2.0, -9.0), result("b", 3.0, -0.1), result("c", 2.5, None)]
    table = ranked(results, goal=goal)
    assert table["score"].tolist() == (sign * table["final"]).tolist()
    assert table["score"].is_monotonic_decreasing
    assert table.set_index("trial")["early_slope"]["a"] == -9.0
    assert made_score().by_final


def test_who_would_lead_without_the_slope_is_said_where_that_is_another():
    results = [result("a", 2.0, -0.01), result("b", 2.1, -0.5), result("c", 2.2, -0.1)]
    for settings, leads in (
        ({"slope_weight": 1.0}, True),
        ({"slope_weight": 1.0, "normalize": "zscore"}, True),
        ({"slope_weight": 0.01}, False),
        ({"final_weight": -1.0}, True),
        ({}, False),
    ):
        score = made_score(**settings)
        line = leader_by_final(rank_trials(results, score), score)
        assert (line is not None and "trial a" in line and "2.0000" in line) == leads
    nothing = rank_trials(
        [result("d", None, status="diverged")], score := made_score(slope_weight=1)
    )
    assert leader_by_final(nothing, score) is None


@pytest.mark.parametrize(("goal", "first"), [("minimize", "low"), ("maximize", "high")])
def test_the_goal_says_what_is_best(goal, first):
    results = [result("low", 0.2), result("high", 0.9), result("mid", 0.5)]
    assert ranked(results, goal=goal)["trial"][0] == first
    assert ranked(results, goal=goal)["trial"][2] != first


def test_the_best_seed_of_a_configuration_comes_first():
    for goal, order in (("minimize", [1, 2, 3]), ("maximize", [3, 2, 1])):
        table = ranked(seeds_of(1.0, 0.1, 0.2, 0.3), goal=goal)
        assert table[SEED].tolist() == order


# Seeds


def test_seeds_of_a_configuration_are_one_rank_with_mean_and_spread():
    table = ranked([*seeds_of(1.0, 2.0, 2.4), *seeds_of(2.0, 2.1, 2.1, 2.1), *seeds_of(3.0, 9.0)])
    assert table["rank"].tolist() == [1, 1, 1, 2, 2, 3]
    assert table["seeds"].tolist() == [3, 3, 3, 2, 2, 1]
    assert table["final_mean"].tolist() == pytest.approx([2.1] * 3 + [2.2] * 2 + [9.0])
    assert table["final_std"].tolist()[3] == pytest.approx(statistics.stdev([2.0, 2.4]))
    assert math.isnan(table["final_std"].tolist()[5])


def test_slopes_are_averaged_over_seeds():
    a, b = seeds_of(1.0, 2.0, 2.0), seeds_of(2.0, 2.0, 2.0)
    table = ranked(
        [replace(r, early_slope=slope)
         for r, slope in zip([*a, *b], (-0.3, -0.1, -0.4, -0.2), strict=True)],
        slope_weight=1.0,
    )  # fmt: skip
    by_rate = table.groupby(LR)["score"].first()
    assert by_rate[1.0] == pytest.approx(0.2 - 2.0)
    assert by_rate[2.0] == pytest.approx(0.3 - 2.0)


def test_a_configuration_with_a_diverged_seed_ranks_behind_every_finished_one():
    random.seed(0)
    for _ in range(50):
        finished = [seeds_of(float(n), *(random.uniform(1, 9) for _ in range(3))) for n in range(4)]
        broken = seeds_of(99.0, 0.01, 0.01)
        broken.append(result("broken", None, status="diverged", training__learning_rate=99.0,
                             training__seed=3))  # fmt: skip
        results = [*itertools.chain(*finished), *broken]
        random.shuffle(results)
        table = ranked(results, goal=random.choice(["minimize", "maximize"]))
        assert table["rank"].tolist() == sorted(table["rank"])
        assert set(table[table["rank"] == 5][LR]) == {99.0}
        assert table[table["rank"] == 5]["score"].isna().all()


def test_what_did_not_finish_comes_last_with_its_reason():
    results = [
        result("empty", None, status="empty", step=0),
        result("failed", None, status="failed", step=90),
        result("early", None, status="diverged", step=10),
        result("late", None, status="diverged", step=50),
        result("memory", None, status="infeasible", step=0),
        result("stopped", 1.0, status="stopped", step=50),
        result("bad", 9.0),
    ]
    table = ranked(results)
    order = ["bad", "stopped", "late", "early", "memory", "failed", "empty"]
    assert table["trial"].tolist() == order
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert table["stop_reason"].tolist()[1:] == [
        f"{status} for a reason"
        for status in ("stopped", "diverged", "diverged", "infeasible", "failed", "empty")
    ]
    assert table["score"].isna().tolist() == [False] + [True] * 6


def test_what_a_monitor_stopped_is_ranked_by_its_last_value():
    results = [
        result("flat", 2.0, status="stopped", step=50, rule="loss-flat"),
        result("worse", 3.0),
        result("best", 1.0),
        result("spike", 0.5, status="diverged", step=90, rule="divergence"),
        result("cut", 0.1, status="stopped", step=90),
    ]
    table = ranked(results)
    assert table["trial"].tolist() == ["best", "flat", "worse", "cut", "spike"]
    assert table["score"].isna().tolist() == [False] * 3 + [True] * 2
    assert table["rule"].tolist()[1] == "loss-flat"
    assert table["stop_reason"].tolist()[1] == "stopped for a reason"
    check_rankable(results[:1], 0, "mine")
    with pytest.raises(StoreError, match="1 trial "):
        check_rankable(results[-1:], 0, "mine")


@pytest.mark.parametrize(("goal", "order"), [("minimize", "edabc"), ("maximize", "debac")])
def test_what_was_cut_is_ordered_by_how_far_it_got_and_then_by_value(goal, order):
    results = [
        result("a", 1.0, status="stopped", step=50),
        result("b", 2.0, status="stopped", step=50),
        result("c", None, status="stopped", step=50),
        result("d", 4.0, status="stopped", step=80),
        result("e", 3.0, status="stopped", step=80),
    ]
    table = ranked([*results, result("end", 9.0)], goal=goal)
    assert "".join(table["trial"]) == "end" + order
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6]


def test_seeds_that_were_cut_are_ordered_alike():
    cut = [
        result(str(seed), value, status="stopped", step=step, training__seed=seed)
        for seed, value, step in ((1, 3.0, 50), (2, 2.0, 50), (3, 9.0, 80), (4, None, 50))
    ]
    whole = result("5", 1.0, training__seed=5)
    assert ranked([*cut, whole])["trial"].tolist() == ["5", "3", "2", "1", "4"]


def test_seeds_that_a_rung_stopped_spoil_no_configuration():
    """Only those at their end are compared; what diverged still counts against it."""
    cut = result("cut", 0.5, status="stopped", step=50, training__learning_rate=1.0)
    spike = result("spike", None, status="diverged", training__learning_rate=2.0)
    table = ranked([*seeds_of(1.0, 2.0, 2.2), cut, *seeds_of(2.0, 1.0), spike, *seeds_of(3.0, 3.0)])
    assert table["trial"].tolist() == ["1.01", "1.02", "cut", "3.01", "2.01", "spike"]
    assert table["rank"].tolist() == [1, 1, 1, 2, 3, 3]
    assert table["score"].isna().tolist() == [False, False, True, False, True, True]
    assert table["final_mean"].tolist()[:3] == pytest.approx([2.1] * 3)
    assert table["seeds"].tolist()[:3] == [2] * 3
    assert table[table["score"].notna()]["trial"].tolist() == ["1.01", "1.02", "3.01"]


def test_a_final_value_that_is_no_number_spoils_no_other():
    table = ranked([result("a", 2.0), result("nan", math.nan), result("b", 3.0)])
    assert table["trial"].tolist() == ["a", "b", "nan"]
    assert table["score"].notna().tolist() == [True, True, False]


def test_an_empty_slot_spoils_no_configuration():
    only_seed = result("01", 2.0, training__seed=1)
    empty = TrialResult(
        trial="02",
        record=replace(only_seed.record, status=Status.EMPTY),
        assignments={},
        early_slope=None,
        final=None,
    )
    assert ranked([only_seed, empty])["rank"].tolist() == [1, 2]


def test_the_order_of_records_does_not_matter():
    results = [
        *seeds_of(1.0, 2.0, 2.4),
        *seeds_of(2.0, 2.1, 2.2),
        result("x", None, status="failed"),
    ]
    tables = [ranked(order).to_csv() for order in itertools.permutations(results, 5)]
    assert len(set(tables)) == 1


def test_hyperparameters_are_columns():
    table = ranked([result("a", 1.0, training__learning_rate=0.1, mine="x")])
    assert table.loc[0, [LR, "mine", "parameters"]].tolist() == [0.1, "x", 10]


# Failures and mixed code


def test_more_failures_than_tolerated_are_refused_with_the_mend():
    results = [result(name, None, status="failed") for name in ("a", "b")] + [result("c", 1.0)]
    check_rankable(results, 2, "mine")
    with pytest.raises(StoreError) as caught:
        check_rankable(results, 1, "mine")
    message = str(caught.value)
    facts = ("2 trials", "tolerate_failures = 1", "a: failed for a ")
    ways_out = ("resweep forget failed --study mine", "tolerate_failures: 2")
    assert all(words in message for words in (*facts, *ways_out))


def test_other_ends_are_no_failures():
    ended = [result(s, None, status=s) for s in ("diverged", "infeasible", "empty")]
    check_rankable([*ended, result("a", 1.0)], 0, "m")
    with pytest.raises(StoreError, match="3 trials of study m"):
        check_rankable(ended, 0, "m")


def test_a_ranking_of_mixed_code_is_warned_about():
    assert code_warning([result("a", 1.0).record, result("b", 1.0).record]) is None
    warning = code_warning([result("a", 1.0).record, result("b", 1.0, code="c2").record])
    assert warning is not None and "2 versions" in warning and "c1, c2" in warning


# Files


@pytest.fixture
def phase(tmp_path):
    """A phase with files; returns a function that adds a trial to it."""
    layout = Layout(tmp_path)

    def add(trial, final, assignments, curve=(), status="finished", step=100, rule=None):
        write_trial(
            layout.trial("mine", "sweep", trial),
            Trial("mine", "sweep", trial, config=LOGGED, assignments=assignments),
        )
        record = layout.record("mine", "sweep", trial)
        record.parent.mkdir(parents=True, exist_ok=True)
        metrics = {} if final is None else {"val/loss": final}
        content = {"run_id": f"run-{trial}", "status": status, "stop_reason": None, "step": step}
        record.write_text(json.dumps(content | {"metrics": metrics, "rule": rule}))
        run = layout.run(f"run-{trial}")
        run.mkdir(parents=True)
        logged = {at: {} for at in range(0, step + 1, 10)}
        logged |= {at: {"train/loss": value} for at, value in curve}
        lines = [json.dumps({"step": at, **values}) for at, values in sorted(logged.items())]
        (run / "metrics.jsonl").write_text("\n".join([*lines, ""]))
        return record

    add.layout = layout
    add.folder = layout.phase("mine", "sweep").path
    return add


def rank_phase(phase, **score) -> Path:
    results = [
        read_result(read_outcome(path), made_score(**score), phase.layout)
        for path in sorted(phase.folder.glob("records/*.json"))
    ]
    write_scores(phase.folder / "scores.csv", rank_trials(results, made_score(**score)))
    return phase.folder / "scores.csv"


def test_a_result_is_read_from_record_trial_and_curve(phase):
    curve = [(0, 99.0), (10, 5.0), (20, 4.0), (30, 3.0), (40, 99.0), (200, 0.0)]
    record = phase("a", 2.5, {LR: 0.1}, curve)
    read = read_result(read_outcome(record), made_score(early_steps=30), phase.layout)
    assert (read.trial, read.final, read.assignments) == ("a", 2.5, {LR: 0.1})
    assert read.early_slope == pytest.approx(-0.1)


def test_points_after_the_stop_of_a_trial_do_not_count(phase):
    record = phase("a", 2.5, {LR: 0.1}, [(10, 5.0), (20, 4.0), (30, 0.0)], step=20)
    assert read_result(
        read_outcome(record), made_score(), phase.layout
    ).early_slope == pytest.approx(-0.1)


def test_a_metric_that_nobody_logged_lists_those_there_are(phase):
    record = phase("a", 2.5, {LR: 0.1})
    problem = problem_of(read_result, read_outcome(record), made_score(metric="acc"), phase.layout)
    assert_problem(problem, "score.metric", "acc", "val/loss")


def test_a_metric_of_the_end_ranks_nothing_that_a_monitor_stopped(phase):
    """test/loss is measured at the horizon alone."""
    record = phase("a", 2.5, {LR: 0.1}, status="stopped", rule="plateau")
    assert (
        read_result(read_outcome(record), made_score(metric="test/loss"), phase.layout).ranked
        is False
    )
    assert read_result(read_outcome(record), made_score(), phase.layout).ranked is True


def test_what_a_monitor_stopped_is_among_the_best_configurations(phase):
    phase("a", 2.0, {LR: 4e-4}, status="stopped", rule="loss-flat")
    phase("b", 1.0, {LR: 4e-3}, status="stopped")
    phase("c", 3.0, {LR: 4e-2})
    scores = rank_phase(phase)
    assert best_trials(read_scores(scores), 3) == ["a", "c"]
    assert yaml12.parse(best_configs_text(scores, 1)) == [{"learning_rate": 4e-4}]


def test_the_best_configurations_are_a_list_of_mappings_with_short_names(phase):
    phase("a", 2.0, {LR: 4e-4, "training.pct_warmup": 0.1, SEED: 1})
    phase("b", 2.2, {LR: 4e-4, "training.pct_warmup": 0.1, SEED: 2})
    phase("c", 1.0, {LR: 1e-3, "mine": "1e-4", "model.name": "x", "model.rope": True, SEED: 1})
    phase("d", None, {LR: 9.0}, status="diverged")
    text = best_configs_text(rank_phase(phase), 2)
    assert yaml12.parse(text) == [
        {"learning_rate": 1e-3, "mine": "1e-4", "model.name": "x", "model.rope": True},
        {"learning_rate": 4e-4, "pct_warmup": 0.1},
    ]
    first, second = [line for line in text.splitlines() if line.startswith("# rank ")]
    assert "trial c" in first and "1.0000" in first and "score" not in text
    assert "over 2 seeds" in second and Tie.UNKNOWN in second


def test_the_best_configurations_name_the_score_where_it_is_more_than_the_final_value(phase):
    phase("a", 2.0, {LR: 4e-4}, [(10, 5.0), (20, 4.0)])
    phase("b", 2.2, {LR: 1e-3}, [(10, 5.0), (20, 3.0)])
    text = best_configs_text(rank_phase(phase, slope_weight=3.0), 2)
    assert "trial b, score -1.6000, final 2.2000" in text


@pytest.mark.parametrize(("top", "count"), [(1, 1), (2, 2), (9, 2)])
def test_there_are_at_most_as_many_as_asked_for(top, count, phase):
    phase("a", 2.0, {LR: 1.0})
    phase("b", 3.0, {LR: 2.0})
    phase("c", None, {LR: 3.0}, status="failed")
    assert len(yaml12.parse(best_configs_text(rank_phase(phase), top))) == count
    assert len(best_trials(read_scores(phase.folder / "scores.csv"), top)) == count


def test_nothing_finished_is_an_empty_list(phase):
    phase("a", None, {LR: 1.0}, status="diverged")
    assert yaml12.parse(best_configs_text(rank_phase(phase), 3)) == []


def test_text_that_a_spreadsheet_would_compute_comes_back(phase):
    phase("-1", 2.0, {LR: 1.0, "mine": "=1+1", "@other": "-0.5"})
    phase("b", 3.0, {LR: 0.5, "mine": "plain", "@other": "x"})
    scores = rank_phase(phase)
    header, *rows = scores.read_text().splitlines()
    assert header.endswith(",mine,'@other")
    assert [row.split(",")[1] for row in rows] == ["'-1", "b"]
    assert rows[0].endswith(",'=1+1,'-0.5")
    assert read_frame(scores)[["trial", "mine", "@other"]].values.tolist() == [
        ["-1", "=1+1", "-0.5"],
        ["b", "plain", "x"],
    ]
    assert yaml12.parse(best_configs_text(scores, 1)) == [
        {"learning_rate": 1.0, "mine": "=1+1", "@other": "-0.5"}
    ]


def test_names_of_slots_stay_text_in_the_table(phase):
    phase("01", 2.0, {LR: 1.0})
    assert read_frame(rank_phase(phase))["trial"].tolist() == ["01"]


@pytest.mark.parametrize("path", [LR, "model.n_layer", "mine", "model.name", "model.rope", "a.b"])
def test_a_short_name_leads_back_to_its_path(path):
    assert compose.resolve_name(short_name(path, LANGUAGE), {}, LANGUAGE) == path


# Reruns


def plan(folder: Path, text: str, trials: int, seeds=(1, 2), **overrides):
    (folder / "best.yaml").write_text(text)
    config, _ = compose.validate(Composed({"training": {"max_steps": 10}}, {}), "?", LANGUAGE)
    names = [f"{n:02d}" for n in range(1, trials + 1)]
    named = {name.replace("__", "."): value for name, value in overrides.items()}
    return plan_rerun(folder / "best.yaml", names, study="mine", phase="rerun", config=config,
                      overrides=named, seeds=list(seeds))  # fmt: skip


BEST = "# by hand\n- {learning_rate: 4e-4, pct_warmup: 0.1}\n- training.learning_rate: 1e-3\n"


def test_slots_are_filled_configurations_outermost_seeds_inside(tmp_path):
    planned = plan(tmp_path, BEST, 4)
    assert [trial.trial for trial in planned] == ["01", "02", "03", "04"]
    assert [(t.assignments[LR], t.assignments[SEED]) for t in planned] == [
        (4e-4, 1), (4e-4, 2), (1e-3, 1), (1e-3, 2),
    ]  # fmt: skip
    for trial in planned:
        training = trial.config["training"]
        assert training["learning_rate"] == trial.assignments[LR]
        assert training["seed"] == trial.assignments[SEED]
        assert trial.empty is None
    assert [trial.config["training"]["pct_warmup"] for trial in planned] == [0.1, 0.1, None, None]


def test_what_the_phase_sets_stands_above_the_best(tmp_path):
    (trial,) = plan(tmp_path, BEST, 1, [5], training__max_steps=99, training__pct_warmup=0.5)
    training = trial.config["training"]
    assert (training["max_steps"], training["pct_warmup"], training["seed"]) == (99, 0.5, 5)


def test_a_short_list_leaves_empty_slots_with_a_reason(tmp_path):
    planned = plan(tmp_path, BEST, 6)
    assert [trial.empty for trial in planned[:4]] == [None] * 4
    (reason,) = {trial.empty for trial in planned[4:]}
    assert "best.yaml" in reason and "2 configurations" in reason
    assert all(trial.empty for trial in plan(tmp_path, "[]", 2))


def test_planned_trials_survive_their_files(tmp_path):
    from resweep.trials.trial import read_trial

    for trial in plan(tmp_path, BEST, 6):
        write_trial(tmp_path / "trial.yaml", trial)
        assert read_trial(tmp_path / "trial.yaml") == trial


@pytest.mark.parametrize("text", ["learning_rate: 1", "[1, 2]", "just text"])
def test_a_list_of_mappings_is_asked_for(text, tmp_path):
    assert_problem(problem_of(plan, tmp_path, text, 2), ANY, ANY, "list", file="best.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- {name: x}", ("name", None, "model.name or run.name")),
        ("- {learning_rte: 1}", ("learning_rte", 1, "training.learning_rate?")),
        ("- {learning_rate: fast}", ("training.learning_rate", "fast")),
        ("- {learning_rate: 1}\n- {beta2: 3}", ("training.beta2", 3)),
    ],
)
def test_what_is_wrong_with_a_list_by_hand_is_reported_once(text, expected, tmp_path):
    assert_problem(problem_of(plan, tmp_path, text, 4), *expected, file="best.yaml")


def test_nested_names_by_hand_are_paths(tmp_path):
    (tmp_path / "best.yaml").write_text("- {training: {learning_rate: 1e-3}, my: {own: 2}}")
    assert read_best_configs(tmp_path / "best.yaml", LANGUAGE) == [{LR: 1e-3, "my.own": 2}]
