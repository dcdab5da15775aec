"""Rounds: proposed from what is on file, taken from their own file while it fits."""

import json
import logging
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.data.source import data_id
from resweep.json_files import read_json, write_json
from resweep.paths import Layout
from resweep.search.rounds import RoundPlan, plan_from, propose_round
from resweep.sweep.parameter import Parameter
from resweep.trials.record import Status
from resweep.trials.trial import Outcome, Trial, read_trial, write_trial
from tests.support.language import SYSTEM
from tests.support.outcomes import METRIC, empty, outcome
from tests.support.tiny import BASE, LANGUAGE

RATE, HEADS = "training.learning_rate", "model.n_head"
SPACE = (
    Parameter(HEADS, "categorical", values=(1, 2, 4)),
    Parameter(RATE, "log_uniform_values", low=1e-4, high=1e-1),
)
SLOTS = ("r01-01", "r01-02", "r01-03", "r01-04")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results")


@pytest.fixture
def plan(tmp_path: Path) -> RoundPlan:
    """The first round of a phase on a short text."""
    text = tmp_path / "short.txt"
    text.write_text("to be or not to be " * 400)
    data = {"data.source": "text", "data.paths": [str(text)], "data.split": "contiguous"}
    config, problems = compose.validate(Composed(nest(BASE | data), {}), "made", LANGUAGE)
    assert not problems
    return RoundPlan(
        study="s",
        phase="p",
        round=1,
        slots=SLOTS,
        size=len(SLOTS),
        config=config,
        parameters=SPACE,
        sampler="tpe",
        seed=3,
        metric=METRIC,
        goal="minimize",
    )


def later(plan: RoundPlan, **changes: Any) -> RoundPlan:
    """The second round."""
    slots = tuple(slot.replace("r01", "r02") for slot in SLOTS)
    return replace(plan, **{"round": 2, "slots": slots} | changes)


def results_of(trials: list[Trial], **values: float) -> list[Outcome]:
    """Every trial at its end: the better the nearer its rate to 0.003."""
    return [
        outcome(t.trial, abs(math.log10(t.assignments[RATE]) + 2.5), point=t.assignments)
        for t in trials
    ]


def with_record(made: Outcome, **changes: Any) -> Outcome:
    """The same outcome, its record changed."""
    return replace(made, record=replace(made.record, **changes))


def file_of(layout: Layout, number: int) -> Path:
    return layout.phase("s", "p").round(number)


def points(trials: list[Trial]) -> list[dict[str, Any]]:
    return [trial.assignments for trial in trials]


# A round


def test_the_first_round_is_a_sobol_sequence_of_whole_trials(
    plan: RoundPlan, layout: Layout
) -> None:
    trials = propose_round(plan, [], [], layout)
    assert [trial.trial for trial in trials] == list(SLOTS)
    for trial in trials:
        assert sorted(trial.assignments) == [HEADS, RATE]
        assert trial.config["training"]["learning_rate"] == trial.assignments[RATE]
        assert trial.config["model"]["n_embd"] == 16
        assert trial.stop is None and trial.empty is None
    told = json.loads(file_of(layout, 1).read_text())
    assert told["sampler"] == "sobol" and told["observations"] == []
    assert told["points"] == points(trials) and told["seed"] == plan.derived_seed


def test_a_band_is_where_trials_stop_first(plan: RoundPlan, layout: Layout) -> None:
    """BASE evaluates every 6 steps, of 12."""
    trials = propose_round(replace(plan, band=1), [], [], layout)
    assert {trial.stop for trial in trials} == {6}


def test_each_round_study_phase_and_seed_has_a_seed_of_its_own(plan: RoundPlan) -> None:
    plans = [plan, replace(plan, round=2), replace(plan, study="t"), replace(plan, phase="q")]
    plans.append(replace(plan, seed=4))
    seeds = {each.derived_seed for each in plans}
    assert len(seeds) == 5 and all(0 <= seed < 2**32 for seed in seeds)
    assert plan.derived_seed == replace(plan, metric="test/loss", slots=()).derived_seed


def test_values_get_the_types_of_their_fields(plan: RoundPlan, layout: Layout) -> None:
    """As a float column of a sampler would give them: a whole number for a count."""
    space = (
        Parameter("model.n_layer", "q_uniform", low=1.0, high=3.0, q=1.0),
        Parameter("training.weight_decay", "int_uniform", low=0, high=1),
        Parameter("my_own", "categorical", values=(1, 2.5)),
    )
    trials = propose_round(replace(plan, parameters=space), [], [], layout)
    assert {type(t.assignments["model.n_layer"]) for t in trials} == {int}
    assert {type(t.assignments["training.weight_decay"]) for t in trials} == {float}
    assert {t.config["my_own"] for t in trials} <= {1, 2.5}


def test_a_trial_file_holds_the_whole_trial(plan: RoundPlan, layout: Layout) -> None:
    for trial in propose_round(plan, [], [], layout):
        path = layout.trial("s", "p", trial.trial)
        write_trial(path, trial)
        assert read_trial(path) == trial


# Replay


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_a_deleted_round_is_proposed_again_byte_for_byte(
    sampler: str, plan: RoundPlan, layout: Layout
) -> None:
    plan = replace(plan, sampler=sampler)
    seen = results_of(propose_round(plan, [], [], layout))
    trials = propose_round(later(plan), seen, [], layout)
    before = [file_of(layout, number).read_bytes() for number in (1, 2)]
    for number in (1, 2):
        file_of(layout, number).unlink()
    again = propose_round(later(plan), results_of(propose_round(plan, [], [], layout)), [], layout)
    assert again == trials
    assert [file_of(layout, number).read_bytes() for number in (1, 2)] == before
    assert json.loads(before[1])["sampler"] == sampler


def alter(file: Path) -> None:
    """Make a round's file tell of other points, as another machine might have proposed them."""
    content = read_json(file, "")
    for point in content["points"]:
        point[RATE] = 0.0123
    write_json(file, content)


def test_while_its_digest_fits_a_round_is_taken_from_its_file(
    plan: RoundPlan, layout: Layout
) -> None:
    seen = results_of(propose_round(plan, [], [], layout))
    propose_round(later(plan), seen, [], layout)
    alter(file_of(layout, 2))
    for given in (later(plan), plan_from(json.loads(canonical_json(later(plan).content())))):
        trials = propose_round(given, reversed(seen), [], layout)
        assert {trial.config["training"]["learning_rate"] for trial in trials} == {0.0123}
        assert {trial.assignments[RATE] for trial in trials} == {0.0123}


@pytest.mark.parametrize("change", ["value", "status", "trial", "plan", "space"])
def test_whatever_it_was_proposed_from_a_change_proposes_anew(
    change: str, plan: RoundPlan, layout: Layout
) -> None:
    seen = results_of(propose_round(plan, [], [], layout))
    second = later(plan)
    propose_round(second, seen, [], layout)
    alter(file_of(layout, 2))
    if change == "value":
        metrics = {METRIC: seen[0].record.metrics[METRIC] + 1e-9}
        seen[0] = with_record(seen[0], metrics=metrics)
    elif change == "status":
        seen[0] = with_record(seen[0], status=Status.DIVERGED)
    elif change == "trial":
        seen.pop()
    elif change == "plan":
        second = later(plan, seed=4)
    else:
        wider = Parameter(RATE, "log_uniform_values", low=1e-5, high=1e-1)
        second = later(plan, parameters=(SPACE[0], wider))
    trials = propose_round(second, seen, [], layout)
    assert 0.0123 not in {trial.assignments[RATE] for trial in trials}


def test_more_slots_keep_the_trials_of_the_round(plan: RoundPlan, layout: Layout) -> None:
    few = propose_round(replace(plan, slots=SLOTS[:2]), [], [], layout)
    assert propose_round(plan, [], [], layout)[:2] == few
    seen = results_of(few)
    two = propose_round(later(plan, slots=("r02-01", "r02-02")), seen, [], layout)
    assert propose_round(later(plan), seen, [], layout)[:2] == two


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"digest": 1, "points": 2}'])
def test_a_damaged_round_is_proposed_again(damage: str, plan: RoundPlan, layout: Layout) -> None:
    trials = propose_round(plan, [], [], layout)
    file = file_of(layout, 1)
    before = file.read_text()
    file.write_text(damage)
    assert propose_round(plan, [], [], layout) == trials
    assert file.read_text() == before
    assert file.with_name(f"{file.name}.damaged").read_text() == damage


def test_what_the_record_says_beside_the_metric_changes_nothing(
    plan: RoundPlan, layout: Layout
) -> None:
    """Seconds and devices differ from machine to machine."""
    seen = results_of(propose_round(plan, [], [], layout))
    trials = propose_round(later(plan), seen, [], layout)
    alter(file_of(layout, 2))
    metrics = {**seen[0].record.metrics, "train/loss": 5.0}
    seen[0] = with_record(seen[0], seconds=9.9, device="another", run_id="another", metrics=metrics)
    assert propose_round(later(plan), seen, [], layout) != trials  # the file was still in use


# Nothing to propose


@pytest.mark.parametrize(("goal", "target"), [("minimize", 2.0), ("maximize", 3.0)])
def test_once_the_target_is_reached_slots_stay_empty(
    goal: str, target: float, plan: RoundPlan, layout: Layout
) -> None:
    seen = [outcome("r01-01", 3.5), outcome("r01-02", 1.75), empty("r01-03")]
    trials = propose_round(later(plan, goal=goal, target=target), seen, [], layout)
    winner, value = ("r01-02", "1.75") if goal == "minimize" else ("r01-01", "3.5")
    assert {trial.empty for trial in trials} == {
        f"the target val/loss = {target:g} was reached by {winner} ({value})"
    }
    assert [trial.trial for trial in trials] == ["r02-01", "r02-02", "r02-03", "r02-04"]
    assert not file_of(layout, 2).exists()


def test_a_target_that_is_not_reached_changes_nothing(plan: RoundPlan, layout: Layout) -> None:
    seen = results_of(propose_round(plan, [], [], layout))
    trials = propose_round(later(plan, target=-1.0), seen, [], layout)
    assert all(trial.empty is None for trial in trials)


def test_a_space_that_is_used_up_leaves_slots_empty(plan: RoundPlan, layout: Layout) -> None:
    """Three heads cannot share a width of 16."""
    heads = Parameter(HEADS, "categorical", values=(1, 2, 3))
    plan = replace(plan, parameters=(heads,))
    for _ in range(2):  # the second time from the file
        trials = propose_round(plan, [], [], layout)
        assert points(trials) == [{HEADS: 1}, {HEADS: 2}, {}, {}]
        assert [trial.empty is None for trial in trials] == [True, True, False, False]
        assert all("1 proposals" in str(trial.empty) for trial in trials[2:])


def test_points_that_cannot_be_trained_are_passed_over_and_counted(
    plan: RoundPlan, layout: Layout
) -> None:
    heads = Parameter(HEADS, "int_uniform", low=1, high=6)
    plan = replace(plan, parameters=(heads, SPACE[1]))
    first = propose_round(plan, [], [], layout)
    second = propose_round(later(plan), results_of(first), [], layout)
    assert {trial.assignments[HEADS] for trial in first + second} <= {1, 2, 4}
    assert json.loads(file_of(layout, 1).read_text())["infeasible"] > 0


def test_the_tail_of_a_distribution_without_bounds_is_no_error(
    plan: RoundPlan, layout: Layout
) -> None:
    """Learning rates are above 0."""
    rate = Parameter(RATE, "normal", mu=1e-3, sigma=1e-2)
    trials = propose_round(replace(plan, parameters=(rate,)), [], [], layout)
    assert len(trials) == 4 and all(trial.assignments[RATE] > 0 for trial in trials)
    assert json.loads(file_of(layout, 1).read_text())["infeasible"] > 0


# Warm start


def test_a_warm_start_changes_proposals(
    plan: RoundPlan, layout: Layout, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cold = propose_round(plan, [], [], layout)
    table = tmp_path / "earlier.csv"
    rows = [f"{10 ** (-4 + i / 4):.6g},2,{abs(i - 6) / 4 + 1}" for i in range(13)]
    table.write_text("\n".join(["learning_rate,n_head,val/loss", *rows, "9.0,2,0.1"]))
    warm = propose_round(plan, [], [table], layout)
    told = json.loads(file_of(layout, 1).read_text())
    assert told["sampler"] == "tpe" and len(told["observations"]) == 13
    assert points(warm) != points(cold)
    assert re.search(r"earlier\.csv: .*\b13\b.*\b1 outside", caplog.text)
    table.write_text(table.read_text().replace(",1.0\n", ",1.5\n"))
    propose_round(plan, [], [table], layout)
    assert json.loads(file_of(layout, 1).read_text())["digest"] != told["digest"]


# Data


def test_data_that_is_swept_is_prepared(plan: RoundPlan, layout: Layout) -> None:
    share = Parameter("data.val_fraction", "categorical", values=(0.1, 0.2))
    trials = propose_round(replace(plan, parameters=(share, SPACE[1])), [], [], layout)
    assert {trial.config["data"]["val_fraction"] for trial in trials} == {0.1, 0.2}
    for trial in trials:
        assert (layout.data(data_id(SYSTEM, trial.config["data"])) / "data.json").is_file()
    assert len(list((layout.root / "data").glob("*/data.json"))) == 2


def test_data_that_cannot_be_had_is_logged_and_no_error(
    plan: RoundPlan, layout: Layout, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The trial that asks for it gets its own record; lists are choices like any other."""
    there = plan.config["data"]["paths"]
    paths = Parameter("data.paths", "categorical", values=(there, [str(tmp_path / "none.txt")]))
    plan = replace(plan, parameters=(paths,))
    for _ in range(2):  # the second time from the file
        trials = propose_round(plan, [], [], layout)
        assert [list(t.config["data"]["paths"]) for t in trials[:2]] == list(paths.values)
        assert trials[2].empty is not None
    assert "none.txt" in caplog.text
