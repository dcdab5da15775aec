"""Observations: what trials of a search and rows of tables tell."""

import dataclasses
import math
import random
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from resweep.search.observe import histories, observe, reached, read_table
from resweep.search.space import Space
from resweep.search.suggest import Observation
from resweep.sweep.parameter import Parameter
from resweep.trials.record import Record, Status, write_record
from resweep.trials.trial import Outcome, Trial, write_trial
from tests.support.outcomes import METRIC, empty, outcome
from tests.support.problems import assert_problem, problem_of
from tests.support.tiny import LANGUAGE

EXPORT = Path(__file__).parents[3].parent / "shared/data/wandb_csv/runs_table_64runs.csv"
RATE = "training.learning_rate"

# Outcomes


def stopped(trial: str, value: float | None, stop: int, **more: Any) -> Outcome:
    return outcome(trial, value, "stopped", stop, **more)


def test_statuses_become_observations_in_the_order_of_names() -> None:
    told = [
        outcome("d", None, "diverged", point={"a": 4}, step=7),
        outcome("b", 2.0, point={"a": 2}),
        empty("f"),
        outcome("c", None, "infeasible", point={"a": 3}, step=0),
        outcome("a", 1.0, point={"a": 1}),
        outcome("e", None, "failed", point={"a": 5}, step=3),
    ]
    expected = [
        Observation({"a": 1}, 1.0, "finished"),
        Observation({"a": 2}, 2.0, "finished"),
        Observation({"a": 3}, None, "infeasible"),
        Observation({"a": 4}, None, "diverged"),
        Observation({"a": 5}, None, "failed"),
    ]
    assert observe(told, METRIC) == expected
    random.Random(0).shuffle(told)
    assert observe(told, METRIC) == expected


def test_a_stopped_trial_enters_with_an_estimate_of_its_end() -> None:
    """From the first rung the others went down by 1, 2 and 4, from the second by 1 and 3."""
    told = [
        stopped("a", 5.0, 10), stopped("a", 5.0, 20), outcome("a", 4.0),
        stopped("b", 5.0, 10), stopped("b", 6.0, 20), outcome("b", 3.0),
        stopped("c", 6.0, 10), outcome("c", 2.0),
        stopped("d", 9.0, 10),
        stopped("e", 8.0, 10), stopped("e", 7.0, 20),
    ]  # fmt: skip
    seen = {name: o for name, o in zip("abcde", observe(told, METRIC), strict=True)}
    assert [seen[name].value for name in "abc"] == [4.0, 3.0, 2.0]
    assert seen["d"] == Observation({"a": 1}, 9.0 - 2.0, "stopped")
    assert seen["e"] == Observation({"a": 1}, 7.0 - 2.0, "stopped")


def test_without_any_end_a_stopped_trial_enters_as_it_is() -> None:
    assert observe([stopped("a", 5.0, 10)], METRIC) == [Observation({"a": 1}, 5.0, "stopped")]


def test_diverged_ends_say_nothing_of_the_change() -> None:
    told = [
        stopped("a", 5.0, 10), outcome("a", None, "diverged", step=33),
        stopped("b", 6.0, 10), outcome("b", 5.5),
        stopped("c", 7.0, 10),
    ]  # fmt: skip
    assert [o.value for o in observe(told, METRIC)] == [None, 5.5, 6.5]


def test_a_trial_that_a_monitor_stopped_is_at_its_end() -> None:
    told = [
        stopped("a", 5.0, 10), outcome("a", 4.0),
        stopped("b", 6.0, 10), outcome("b", 5.8, "stopped", step=23, rule="plateau"),
    ]  # fmt: skip
    assert observe(told, METRIC)[1] == Observation({"a": 1}, 5.8, "finished")


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_an_end_without_a_value_is_no_observation(value: float | None) -> None:
    assert observe([outcome("a", value), outcome("b", 1.0)], METRIC) == [
        Observation({"a": 1}, 1.0, "finished")
    ]


def test_a_history_goes_by_what_was_asked_for() -> None:
    """A retraining for the second rung that ran out of memory at once tells of the second rung."""
    late = outcome("a", None, "infeasible", 20, step=0)
    for told in ([stopped("a", 5.0, 10), late], [late, stopped("a", 5.0, 10)]):
        assert [o.record.status for o in histories(told)["a"]] == ["stopped", "infeasible"]
        assert observe(told, METRIC) == [Observation({"a": 1}, None, "infeasible")]


# Targets


def test_a_target_is_reached_by_trials_at_their_end() -> None:
    told = [stopped("a", 1.0, 10), outcome("b", 2.5), outcome("c", 2.0), outcome("d", 1.5)]
    assert reached(told, METRIC, "minimize", 2.0).trial.trial == "c"
    assert reached(told, METRIC, "minimize", 1.4) is None
    assert reached(told, METRIC, "maximize", 2.5).trial.trial == "b"
    assert reached(told, METRIC, "maximize", 2.6) is None
    assert reached([empty("e"), outcome("f", None)], METRIC, "minimize", 9.0) is None


def test_a_trial_that_a_monitor_stopped_reaches_a_target_too() -> None:
    told = [outcome("a", 1.0, "stopped", 10), outcome("b", 1.5, "stopped", step=23, rule="plateau")]
    assert reached(told, METRIC, "minimize", 2.0).trial.trial == "b"


# Tables


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


SCORES = f"""rank,trial,run_id,status,rule,stop_reason,score,final,step,{RATE},shape,betas
1,a,r1,finished,,,1.5,2.5,40,0.001,adam,"[0.9, 0.95]"
2,b,r2,stopped,plateau,plateau: no gain,0.5,2.75,30,1e-2,lion,"[0.9, 0.99]"
3,c,r3,stopped,,hyperband rung 1,,3.5,10,0.1,adam,"[0.9, 0.99]"
4,d,r4,diverged,,the loss was nan,,,7,1,adam,"[0.9, 0.99]"
5,e,r5,infeasible,,out of memory,,,0,0.5,adam,"[0.9, 0.99]"
6,f,r6,failed,,ValueError,,,0,0.5,adam,"[0.9, 0.99]"
7,g,,empty,,target,,,0,,,
"""


def test_scores_of_a_phase(tmp_path: Path) -> None:
    """What the rungs stopped is left out: nothing tells here what became of the others."""
    seen = read_table(table(tmp_path, SCORES), METRIC, [RATE, "shape", "betas"], LANGUAGE)
    assert seen == [
        Observation({RATE: 0.001, "shape": "adam", "betas": [0.9, 0.95]}, 2.5, "finished"),
        Observation({RATE: 0.01, "shape": "lion", "betas": [0.9, 0.99]}, 2.75, "finished"),
        Observation({RATE: 1.0, "shape": "adam", "betas": [0.9, 0.99]}, None, "diverged"),
        Observation({RATE: 0.5, "shape": "adam", "betas": [0.9, 0.99]}, None, "infeasible"),
    ]
    assert type(seen[2].point[RATE]) is float


def test_a_phase_is_read_from_its_records_at_all_rungs(tmp_path: Path) -> None:
    """What was not swept is in the configurations; from the rung the others went down by 1."""
    folder = tmp_path / "s/phase"
    ends = {"a": ("finished", 2.0), "b": ("stopped", 9.0)}
    for name, (status, value) in ends.items():
        config = {"model": {"n_embd": 16}, "training": {"learning_rate": 0.25}}
        trial = Trial("s", "phase", name, config=config, assignments={RATE: 0.25})
        for place, step in ((f"b1/{name}", 10), (name, 40 if status == "finished" else 10)):
            write_trial(folder / f"trials/{place}.yaml", dataclasses.replace(trial, stop=step))
            record = Record(
                run_id=name,
                status=Status(status if step == 40 else "stopped"),
                stop_reason=None,
                step=step,
                metrics={METRIC: value if step == 40 or name == "b" else value + 1},
            )
            write_record(folder / f"records/{place}.json", record)
    trial = Trial("s", "phase", "a", config=config, assignments={RATE: 0.25})
    write_trial(folder / "trials/b2/01.yaml", trial)
    write_record(folder / "records/b2/01.json", outcome("a", 2.0).record)
    (folder / "records/b1/c.json").symlink_to("../../../runs/gone/records/10.json")
    scores = table(folder, SCORES)
    point = {RATE: 0.25, "model.n_embd": 16}
    assert read_table(scores, METRIC, [RATE, "model.n_embd"], LANGUAGE) == [
        Observation(point, 2.0, "finished"),
        Observation(point, 8.0, "stopped"),
    ]
    assert read_table(scores, METRIC, [RATE, "nobody.has.it"], LANGUAGE) == []


def test_text_that_a_spreadsheet_would_compute_is_read_as_it_was(tmp_path: Path) -> None:
    text = f"{RATE},shape,'=own,{METRIC}\n-0.5,'=1+1,'-0.5,2.0\n"
    (seen,) = read_table(table(tmp_path, text), METRIC, [RATE, "shape", "=own"], LANGUAGE)
    assert seen.point == {RATE: -0.5, "shape": "=1+1", "=own": "-0.5"}


def test_short_names_missing_cells_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = (
        "learning_rate,Name,n_head,val/loss\n0.1,x,4,2.5\n,y,4,2.5\n0.2,z,2,\n0.3,w\n0.4,v,2,NaN\n"
    )
    path = table(tmp_path, text, "utf-8-sig")
    assert read_table(path, METRIC, [RATE, "model.n_head"], LANGUAGE) == [
        Observation({RATE: 0.1, "model.n_head": 4}, 2.5, "finished")
    ]


def test_runs_of_wandb_that_did_not_finish_are_left_out(tmp_path: Path) -> None:
    text = "Name,State,learning_rate,val/loss\na,finished,0.1,2\nb,crashed,0.2,3\nc,running,0.3,4\n"
    assert [o.value for o in read_table(table(tmp_path, text), METRIC, [RATE], LANGUAGE)] == [2.0]


def test_values_that_are_not_allowed_stay_and_are_outside_the_space(tmp_path: Path) -> None:
    text = "learning_rate,val/loss\n-3,2\nfast,3\n0.1,4\n"
    seen = read_table(table(tmp_path, text), METRIC, [RATE], LANGUAGE)
    assert [o.point[RATE] for o in seen] == [-3, "fast", 0.1]
    space = Space([Parameter(RATE, "uniform", low=0.0, high=1.0)])
    assert [space.holds(o.point) for o in seen] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "column", "there"),
    [
        ("learning_rate,loss\n1,2\n", "val/loss", "learning_rate"),
        ("rate,val/loss\n1,2\n", RATE, "rate, val/loss"),
        ("", "val/loss", ""),
    ],
)
def test_a_column_that_is_missing_is_named_in_one_line(
    text: str, column: str, there: str, tmp_path: Path
) -> None:
    problem = problem_of(read_table, table(tmp_path, text), METRIC, [RATE], LANGUAGE)
    assert_problem(problem, ANY, column, there, file="table.csv")


def test_what_is_no_table_is_reported_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", table(tmp_path, "näh", "utf-16")):
        assert_problem(problem_of(read_table, path, METRIC, [RATE], LANGUAGE), file=path.name)


@pytest.mark.skipif(not EXPORT.is_file(), reason="no shared/data/wandb_csv beside the project")
def test_a_real_export_of_a_runs_table() -> None:
    names = ["model.n_head", "norm_placement", "training.dropout_of_nobody"]
    assert_problem(problem_of(read_table, EXPORT, METRIC, names, LANGUAGE), ANY, names[-1])
    names = ["model.n_head", "norm_placement", "model.bias", "block_size", RATE]
    seen = read_table(EXPORT, METRIC, names, LANGUAGE)
    assert len(seen) == 64 and all(1.0 < o.value < 4.0 for o in seen)
    assert {o.point["model.n_head"] for o in seen} == {1, 6, 8, 12}
    assert {o.point["norm_placement"] for o in seen} == {"pre", "post"}
    assert {o.point["model.bias"] for o in seen} == {False}
    assert seen[0] == Observation(
        {"model.n_head": 6, "norm_placement": "pre", "model.bias": False, "block_size": 256}
        | {RATE: 0.001},
        1.4786324501037598,
    )
