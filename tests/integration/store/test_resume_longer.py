"""A run that continues another one: for longer, or with other settings."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.errors import ConfigError, StoreError
from resweep.paths import Layout
from resweep.store import checkpoints
from resweep.store.advance import advance
from resweep.store.identity import identity, resolve
from resweep.store.run import Run
from resweep.training.metrics import read_metrics
from resweep.trials.record import read_record
from tests.support.asked import ask, run_of
from tests.support.problems import assert_problem, problem_of
from tests.support.tiny import BASE, LANGUAGE, prepare

STEADY: dict[str, Any] = {"training.scheduler": "constant", "training.pct_warmup": 0.0}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results")


@pytest.fixture
def data(tmp_path):
    return prepare(tmp_path / "data")


def configure(data, layout, **changes: Any) -> dict[str, Any]:
    """A resolved configuration with a rate that does not depend on the horizon."""
    flat = BASE | STEADY | {name.replace("__", "."): value for name, value in changes.items()}
    full, problems = compose.validate(Composed(nest(flat), {}), "tiny", LANGUAGE)
    assert not problems, problems
    return resolve(full, data, layout)


def train(data, layout, **changes: Any) -> Run:
    """Train a run to its end."""
    asked = ask(configure(data, layout, **changes), data)
    advance(*asked, layout)
    return run_of(asked, layout)


def continued(data, layout, run: Run, **changes: Any) -> Run:
    """Continue a run."""
    return train(data, layout, **{"run__checkpoint": run.run_id, "run__resume": True, **changes})


def weights(run: Run, step: int) -> str:
    return checkpoints.weights_digest(run.path / checkpoints.folder_name(step))


def test_continued_for_longer_it_is_what_one_training_would_be(data, layout):
    whole = train(data, layout, training__max_steps=24)
    first = train(data, layout)
    longer = continued(data, layout, first, training__max_steps=24)
    assert longer.run_id not in (whole.run_id, first.run_id)
    assert read_metrics(longer.folder.metrics) == read_metrics(whole.folder.metrics)
    assert weights(longer, 24) == weights(whole, 24)
    record = read_record(longer.folder.record("24"))
    assert (record.status, record.step) == ("finished", 24)
    begun = longer.state()["segments"][0]
    assert (begun["from_step"], begun["to_step"]) == (12, 24)


def test_weights_alone_are_another_training(data, layout):
    first = train(data, layout)
    longer = continued(data, layout, first, training__max_steps=24)
    anew = train(data, layout, run__checkpoint=first.run_id, training__max_steps=24)
    assert anew.run_id != longer.run_id
    assert read_metrics(anew.folder.metrics)[0]["step"] == 0
    configs = [configure(data, layout, run__checkpoint=first.run_id, training__max_steps=24)]
    assert "resume" not in identity(configs[0], data)["run"]


def test_it_can_continue_from_a_step_on_the_way(data, layout):
    first = train(data, layout, training__save_steps=4, training__keep_last=9)
    longer = continued(
        data, layout, first, run__checkpoint=f"{first.run_id}/8", training__max_steps=16
    )
    lines = read_metrics(longer.folder.metrics)
    assert lines[:3] == read_metrics(first.folder.metrics)[:3]
    assert lines[-1]["step"] == 16


def test_interrupted_and_pruned_it_is_trained_to_the_same_weights(data, layout):
    first = train(data, layout)
    longer = continued(data, layout, first, training__max_steps=24)
    made = weights(longer, 24)
    for step in checkpoints.steps_of(longer.path):
        checkpoints.delete(longer.path / checkpoints.folder_name(step))
    changes = {"run__checkpoint": first.run_id, "run__resume": True, "training__max_steps": 24}
    advance(*ask(configure(data, layout, **changes), data, weights=True), layout)
    assert weights(longer, 24) == made


def test_its_horizon_is_after_the_step_that_it_continues_from(data, layout):
    first = train(data, layout)
    problem = problem_of(continued, data, layout, first)
    assert_problem(problem, "training.max_steps", 12, "more than 12")


def test_lines_have_to_be_at_the_same_steps(data, layout):
    first = train(data, layout)
    problem = problem_of(
        continued, data, layout, first, training__max_steps=24, training__log_steps=3
    )
    assert problem.key == "training" and first.run_id in problem.hint


def test_only_a_checkpoint_of_a_run_is_continued(data, layout, tmp_path):
    first = train(data, layout)
    elsewhere = tmp_path / "model"
    shutil.copytree(first.path / "checkpoint_12", elsewhere)
    with pytest.raises(ConfigError, match="RUN_ID"):
        configure(
            data, layout, run__checkpoint=str(elsewhere), run__resume=True, training__max_steps=24
        )


def test_a_damaged_one_is_not(data, layout):
    first = train(data, layout)
    (first.path / "checkpoint_12/optimizer.safetensors").write_bytes(b"")
    with pytest.raises(StoreError, match="optimizer"):
        continued(data, layout, first, training__max_steps=24)
