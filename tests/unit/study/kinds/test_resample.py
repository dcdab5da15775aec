"""A resample, as a study file has it."""

from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.canonical import canonical_json
from resweep.search.rounds import plan_from
from resweep.study.kinds.resample import ResamplePhase
from resweep.study.load import load_study
from tests.support.problems import assert_problem, problem_of

FOCUS = {"name": "focus", "kind": "resample", "of": "sweep", "top": 2, "trials": 5, "rounds": 2}
SWEEP = {
    "method": "random",
    "run_cap": 4,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
        "n_layer": {"values": [1, 2, 4]},
        "batch_size": {"value": 8},
    },
}


def load(folder: Path, *phases: dict[str, Any]):
    """Load a study of a sweep and more phases."""
    sweep = {"name": "sweep", "kind": "sweep", "sweep": "space"}
    study = {"name": "mine", "base": {}, "set": {"max_steps": 5}, "phases": [sweep, *phases]}
    for name, content in {"sweep/space.yaml": SWEEP, "studies/mine.yaml": study}.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml12.dump(content))
    return load_study(folder / "studies/mine.yaml", folder)


def test_it_has_slots_in_rounds_over_the_space_of_its_source(tmp_path):
    study = load(tmp_path, FOCUS)
    phase = study.phase("focus")
    assert isinstance(phase, ResamplePhase)
    assert phase.trials == ["r01-01", "r01-02", "r01-03", "r02-01", "r02-02"]
    assert [p.name for p in phase.space] == ["model.n_layer", "training.learning_rate"]
    assert phase.config["training"]["batch_size"] == 8  # a constant of the sweep
    assert (phase.focus.top, phase.focus.adaptive) == (2, False)


def test_a_plan_goes_through_json(tmp_path):
    phase = load(tmp_path, {**FOCUS, "factors": {"learning_rate": [0.8, 1.25]}}).phase("focus")
    plan = phase.round_plan(phase.stages[1])
    again = plan_from(yaml12.parse(yaml12.dump(plan.content())))
    assert again.focus.factors == {"training.learning_rate": [0.8, 1.25]}
    assert canonical_json(again.content()) == canonical_json(plan.content())


def test_it_can_resample_a_resample_and_several_phases(tmp_path):
    more = {**FOCUS, "name": "more", "of": ["sweep", "focus"]}
    phase = load(tmp_path, FOCUS, more).phase("more")
    assert phase.search.warm_start == ("sweep", "focus")
    assert len(phase.space) == 2


def test_other_values_can_be_set(tmp_path):
    phase = load(tmp_path, {**FOCUS, "set": {"max_steps": 9}}).phase("focus")
    assert phase.config["training"]["max_steps"] == 9


@pytest.mark.parametrize(
    ("changes", "key", "hint"),
    [
        ({"of": "sweeep"}, "of", "did you mean sweep?"),
        ({"of": []}, "of", "is missing"),
        ({"trials": None}, "trials", "is missing"),
        ({"rounds": 9}, "rounds", "at most trials = 5"),
        ({"top": 0}, "top", "above 0"),
        ({"factors": {"beta1": [0.5, 2]}}, "factors.beta1", "is not resampled"),
        ({"factors": {"n_layer": [0.5, 2]}}, "factors.n_layer", "choices"),
        ({"factors": {"learning_rate": [2, 3]}}, "factors.learning_rate", "between"),
        ({"set": {"learning_rate": 0.1}}, "set.training.learning_rate", "is resampled"),
    ],
)
def test_what_cannot_be_resampled_is_one_line(changes, key, hint, tmp_path):
    given = {name: value for name, value in {**FOCUS, **changes}.items() if value is not None}
    problem = problem_of(load, tmp_path, given)
    assert problem.key == f"phases.1.{key}" and hint in problem.hint


def test_a_fine_tuning_is_no_source(tmp_path):
    tune = {"name": "tune", "kind": "finetune", "of": "sweep", "sweep": "space"}
    problem = problem_of(load, tmp_path, tune, {**FOCUS, "of": "tune"})
    assert_problem(problem, "phases.2.of", "tune", "weights")


def test_a_rerun_is_no_source(tmp_path):
    rerun = {"name": "rerun", "kind": "rerun", "of": "sweep", "top": 1}
    problem = problem_of(load, tmp_path, rerun, {**FOCUS, "of": "rerun"})
    assert_problem(problem, "phases.2.of", "rerun", "search space", file="mine.yaml")
