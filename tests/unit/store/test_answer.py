"""What the store answers to a trial, from a store that was written by hand: nothing is trained."""

import json
from pathlib import Path
from typing import Any

import pytest

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.errors import DataError
from resweep.paths import METRICS, Layout
from resweep.store.answer import (
    Infeasible,
    Served,
    ToTrain,
    Unknown,
    answer,
    prepare_and_answer,
)
from resweep.store.goal import Goal, goal_of
from resweep.store.run import Run
from resweep.training.metrics import Intervals
from resweep.trials.record import Record, Status
from resweep.trials.trial import Trial
from tests.support.language import ensure
from tests.support.tiny import BASE, LANGUAGE

HORIZON = BASE["training.max_steps"]
EVALUATED = BASE["training.eval_steps"]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A results folder without anything, beside some text."""
    text = "\n\n".join(f"Sentence {n} is about the number {n * n}." for n in range(200))
    (tmp_path / "text.txt").write_text(text)
    return Layout(tmp_path / "results")


def ask(layout: Layout, stop: int | None = None, **changes: Any) -> Trial:
    """A trial on the text; `changes` are flat, with `__` for dots."""
    source = {"source": "text", "paths": [str(layout.root.with_name("text.txt"))]}
    flat = BASE | {f"data.{name}": value for name, value in source.items()}
    flat |= {"data.documents": "blank_line"}
    flat |= {name.replace("__", "."): value for name, value in changes.items()}
    config, problems = compose.validate(Composed(nest(flat), {}), "here", LANGUAGE)
    assert not problems, problems
    return Trial("s", "p", "t", config=config, stop=stop)


def goal(trial: Trial, layout: Layout) -> Goal:
    """What the trial wants, its data prepared."""
    return goal_of(trial.config, trial.stop, ensure(trial.config["data"], layout), layout)


def run_to_the_end(trial: Trial, layout: Layout, status: Status = Status.FINISHED) -> Run:
    """Write the trial's run as a training to its horizon leaves it, but for its weights."""
    run = Run(layout.run(goal(trial, layout).run_id))
    run.path.mkdir(parents=True)
    evaluated = {step: {"val/loss": 5.0 - step / 10} for step in (0, EVALUATED, HORIZON)}
    steps = Intervals.of(trial.config["training"], HORIZON).steps(HORIZON)
    lines = [{"step": step, **evaluated.get(step, {})} for step in steps]
    (run.path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = Record(
        run_id=run.run_id,
        status=status,
        stop_reason=None,
        step=HORIZON,
        max_steps=HORIZON,
        metrics={"val/loss": 3.8},
    )
    run.write_record(record, None if status is Status.FINISHED else status)
    return run


def files(layout: Layout) -> set[Path]:
    return set(layout.root.rglob("*"))


def test_of_data_that_is_not_prepared_nothing_is_known(layout):
    found = answer(ask(layout), layout)
    assert isinstance(found, Unknown) and found.data is None
    assert "data is not prepared" in found.reason
    assert files(layout) == set()


def test_a_run_that_nobody_began_is_to_be_trained(layout):
    trial = ask(layout, stop=5)
    wanted = goal(trial, layout)
    before = files(layout)
    found = answer(trial, layout)
    assert isinstance(found, ToTrain)
    assert found.run.path == layout.run(wanted.run_id)
    assert (found.goal.until, found.goal.weights) == (5, False)
    assert files(layout) == before  # it only looks


def test_a_finished_run_is_served_by_its_record(layout):
    trial = ask(layout)
    run = run_to_the_end(trial, layout)
    found = answer(trial, layout)
    assert isinstance(found, Served)
    assert found.record == run.path / "records" / f"{HORIZON}.json"
    assert found.run.run_id == found.goal.run_id == run.run_id


def test_another_seed_is_another_run(layout):
    run_to_the_end(ask(layout), layout)
    assert isinstance(answer(ask(layout, training__seed=99), layout), ToTrain)


def test_weights_that_were_pruned_are_to_be_trained_again_where_they_are_wanted(layout):
    trial = ask(layout)
    run = run_to_the_end(trial, layout)
    found = answer(trial, layout, weights=True)
    assert isinstance(found, ToTrain) and found.goal.weights
    (run.path / f"checkpoint_{HORIZON}").mkdir()
    assert isinstance(answer(trial, layout, weights=True), Served)


def test_an_evaluation_on_the_way_is_served_from_the_metrics(layout):
    """Its record is still to be written."""
    run_to_the_end(ask(layout), layout)
    found = answer(ask(layout, stop=EVALUATED), layout)
    assert isinstance(found, Served) and found.record is None
    assert found.goal.until == EVALUATED
    assert isinstance(answer(ask(layout, stop=EVALUATED - 1), layout), ToTrain)


def test_a_stop_beyond_the_horizon_is_the_horizon(layout):
    run = run_to_the_end(ask(layout), layout)
    found = answer(ask(layout, stop=10 * HORIZON), layout)
    assert isinstance(found, Served)
    assert found.record == run.path / "records" / f"{HORIZON}.json"


def test_a_monitor_that_stops_it_is_seen_in_the_metrics(layout):
    """An improvement by a tenth a step is none to a monitor that asks for ten."""
    run_to_the_end(ask(layout), layout)
    plateau = {"early_stopping__plateau_patience": 1, "early_stopping__plateau_min_delta": 10.0}
    found = answer(ask(layout, **plateau), layout)
    assert isinstance(found, Served) and found.record is None
    stop = found.run.settled_stop(found.goal)
    assert stop is not None and (stop.step, stop.rule) == (EVALUATED, "plateau")


def test_what_diverged_is_served_to_those_that_wanted_to_go_as_far(layout):
    trial = ask(layout)
    run = run_to_the_end(trial, layout, Status.DIVERGED)
    found = answer(trial, layout)
    assert isinstance(found, Served)
    assert found.record == run.path / "records" / f"{HORIZON}-diverged.json"
    assert isinstance(answer(ask(layout, stop=EVALUATED - 1), layout), ToTrain)


@pytest.mark.parametrize("ready", [False, True])
def test_values_that_do_not_fit_each_other_are_infeasible_without_data(layout, ready):
    trial = ask(layout)
    if ready:
        goal(trial, layout)
    trial.config["model"]["n_head"] = 3  # of 16
    found = answer(trial, layout)
    assert isinstance(found, Infeasible) and found.reason.startswith("trial: model")
    assert prepare_and_answer(trial, layout) == found


def test_a_context_longer_than_the_text_is_infeasible(layout):
    trial = ask(layout, model__context_length=10**6)
    assert isinstance(answer(trial, layout), Unknown)  # only the data tells
    found = prepare_and_answer(trial, layout)
    assert isinstance(found, Infeasible) and "context_length" in found.reason
    assert answer(trial, layout) == found


def test_weights_that_another_training_makes_are_awaited(layout):
    trial = ask(layout, run__checkpoint="0123456789ab")
    data = ensure(trial.config["data"], layout)
    found = answer(trial, layout)
    assert isinstance(found, Unknown) and found.data == data
    assert "run.checkpoint" in found.reason and "0123456789ab" in found.reason


def test_preparing_makes_the_data_and_says_the_same_from_then_on(layout):
    trial = ask(layout)
    found = prepare_and_answer(trial, layout)
    assert isinstance(found, ToTrain)
    assert (found.goal.data.folder / "train.bin").is_file()
    again = answer(trial, layout)
    assert isinstance(again, ToTrain) and again.goal == found.goal


def test_data_that_cannot_be_prepared_is_an_error(layout):
    layout.root.with_name("text.txt").unlink()
    with pytest.raises(DataError, match=r"text\.txt"):
        prepare_and_answer(ask(layout), layout)
    assert isinstance(answer(ask(layout), layout), Unknown)
