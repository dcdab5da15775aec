"""What trials are compared by, and in which direction."""

import pytest

from resweep.config.metric import MetricGoal
from resweep.errors import ConfigError
from resweep.study.metric import choose_metric, read_score, warn_of_goals
from resweep.study.schema import Score
from resweep.sweep import Sweep, SweepMetric
from resweep.systems.registry import find_system
from tests.support.blobs.system import SYSTEM as BLOBS

LANGUAGE = find_system("language")
METRIC = "val/accuracy"


def sweep(name: str, goal: MetricGoal | None) -> Sweep:
    return Sweep(origin="s.yaml", method="grid", parameters=(), metric=SweepMetric(name, goal))


@pytest.mark.parametrize(
    ("score", "swept", "goal"),
    [
        ({}, None, "maximize"),
        ({}, sweep(METRIC, None), "maximize"),
        ({}, sweep(METRIC, "minimize"), "minimize"),
        ({"goal": "minimize"}, sweep(METRIC, None), "minimize"),
        ({"metric": "move"}, sweep(METRIC, "maximize"), "minimize"),
        ({"metric": METRIC}, sweep("move", "minimize"), "maximize"),
    ],
)
def test_a_goal_that_nobody_gives_is_the_metrics_own(score, swept, goal):
    assert choose_metric(Score(**score), swept, "study.yaml", BLOBS).goal == goal


def test_two_goals_for_one_metric_are_refused():
    with pytest.raises(ConfigError) as caught:
        choose_metric(Score(goal="maximize"), sweep(METRIC, "minimize"), "study.yaml", BLOBS)
    assert (caught.value.problems[0].key, caught.value.problems[0].value) == (
        "score.goal",
        "maximize",
    )


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ({}, []),
        ({"goal": "minimize"}, [(METRIC, "more")]),
        ({"metric": "move", "goal": "maximize"}, [("move", "less")]),
    ],
)
def test_a_goal_against_the_metrics_own_is_said(score, said):
    chosen = choose_metric(Score(**score), None, "study.yaml", BLOBS)
    lines = list(warn_of_goals(chosen, "study.yaml", BLOBS))
    assert len(lines) == len(said)
    for line, (name, better) in zip(lines, said, strict=True):
        assert f"goal: {chosen.goal} for {name}, of which {better} is better" in line


@pytest.mark.parametrize("name", ["test/loss", "test_loss"])
def test_an_early_metric_that_is_logged_at_the_end_only_is_refused(name):
    with pytest.raises(ConfigError) as caught:
        choose_metric(Score(early_metric=name), None, "study.yaml", LANGUAGE)
    (problem,) = caught.value.problems
    assert problem.value == name and "early_metric" in problem.key


def test_a_score_of_an_earlier_version_gets_the_goals_of_its_metrics():
    score = read_score({"score": {"metric": "val/loss"}, "config": {}})
    assert (score.goal, score.early_metric, score.early_goal) == (
        "minimize",
        "train/loss",
        "minimize",
    )


@pytest.mark.parametrize(
    ("system", "score", "rule"),
    [
        (LANGUAGE, {}, "final val/loss"),
        (LANGUAGE, {"normalize": "zscore"}, "final val/loss"),
        (BLOBS, {}, f"final {METRIC}"),
        (
            LANGUAGE,
            {"slope_weight": 0.25},
            "score = - 0.25 * early slope of train/loss - 1 * final val/loss",
        ),
        (
            BLOBS,
            {"slope_weight": 2, "final_weight": 0.5, "early_metric": METRIC, "normalize": "zscore"},
            f"score = 2 * z(early slope of {METRIC}) + 0.5 * z(final {METRIC})",
        ),
        (LANGUAGE, {"final_weight": -1}, "score = 1 * final val/loss"),
    ],
)
def test_the_rule_of_a_ranking_says_what_counts(system, score, rule):
    assert choose_metric(Score(**score), None, "study.yaml", system).rule == rule
