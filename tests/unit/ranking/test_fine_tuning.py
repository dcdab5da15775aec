"""Which runs a fine-tuning starts from, and what its trials are."""

from typing import Any

import pytest

from resweep.config.compose import assign
from resweep.config.nesting import find
from resweep.ranking.fine_tuning import (
    FineTuningPlan,
    Start,
    _changed_by_any,
    plan_trials,
    read_starts,
    start_round,
    write_starts,
)
from resweep.search.rounds import RoundPlan, plan_from
from resweep.sweep import Parameter
from tests.support.problems import problem_of


@pytest.mark.parametrize(
    ("others", "paths"),
    [
        ([{"d": {"first": {}}}, {"d": {"first": {"x": 1, "y": 2}}}], ["d.first"]),
        ([{"d": {"first": {"x": 1}}}, {"d": {"first": {"x": 1, "y": 2}}}], ["d.first"]),
        ([{"d": {"first": {"x": 1}}}, {"d": {"first": {"x": 2}}}], ["d.first.x"]),
    ],
)
def test_what_only_some_configurations_have_is_set_as_a_whole(others, paths):
    before = {"d": {"first": {}}}
    assert _changed_by_any(before, others) == paths
    for other in others:
        assert assign(before, {path: find(other, path) for path in paths}) == other


CONFIG = {"training": {"max_steps": 10, "eval_steps": 5, "seed": 0}, "model": {"n_layer": 1}}


def plan(**changes: Any) -> FineTuningPlan:
    """A plan over two points."""
    points = [{"training.learning_rate": 0.1}, {"training.learning_rate": 0.2}]
    content = {"study": "s", "phase": "tune", "config": CONFIG, "fitted": CONFIG, "given": []}
    rest = {"forgetting": True, "top": 2, "points": points, "seeds": [], "metric": "val/loss"}
    return FineTuningPlan(**{**content, **rest, "band": None, **changes})


def start(trial: str, layers: int) -> Start:
    assigned = {"run.checkpoint": f"{trial}/10", "model.n_layer": layers}
    return Start(study="s", phase="sweep", trial=trial, final="1.0", assignments=assigned)


def test_slots_are_filled_starts_outermost_then_points_then_seeds():
    names = [f"{slot:02d}" for slot in range(1, 9)]
    trials = plan_trials(names, plan(seeds=[1, 2]), [start("a", 2), start("b", 3)])
    got = [
        (trial.assignments["run.checkpoint"], *list(trial.assignments.values())[2:])
        for trial in trials
    ]
    assert got == [
        (run, rate, seed) for run in ("a/10", "b/10") for rate in (0.1, 0.2) for seed in (1, 2)
    ]
    assert [trial.config["model"]["n_layer"] for trial in trials] == [2] * 4 + [3] * 4


def test_slots_without_a_run_are_empty():
    trials = plan_trials(["01", "02", "03", "04"], plan(), [start("a", 2)])
    assert [trial.empty is None for trial in trials] == [True, True, False, False]
    assert "only 1 configuration" in str(trials[-1].empty)


def test_starts_are_read_as_they_were_written(tmp_path):
    starts = [start("a", 2), start("b", 3)]
    write_starts(tmp_path / "starts.yaml", starts)
    assert read_starts(tmp_path / "starts.yaml") == starts
    (tmp_path / "starts.yaml").write_text("- {phase: sweep}\n")
    assert "not a list of starts" in problem_of(read_starts, tmp_path / "starts.yaml").hint


def test_a_round_starts_from_the_best_run():
    space = (Parameter("training.learning_rate", "uniform", low=0.0, high=1.0),)
    of_round = RoundPlan(
        study="s",
        phase="tune",
        round=1,
        slots=("r01-01", "r01-02"),
        size=2,
        config=CONFIG,
        parameters=space,
        sampler="tpe",
        seed=1,
        metric="val/loss",
        goal="minimize",
    )
    fitted = start_round(of_round, [start("a", 2)])
    assert fitted.fixed == {"run.checkpoint": "a/10", "model.n_layer": 2}
    assert fitted.config["run"]["checkpoint"] == "a/10"
    assert plan_from(fitted.content()) == fitted
    assert "fixed" not in of_round.content()
    empty = start_round(of_round, [])
    assert [trial.empty for trial in empty] == ["nothing to fine-tune"] * 2
