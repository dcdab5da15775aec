"""Names of a sweep's parameters in a configuration: lists, constants, what cannot be set."""

from pathlib import Path

import pytest

from resweep.config import compose
from resweep.config.compose import Layer
from resweep.config.nesting import nest
from resweep.errors import Problem
from resweep.study.name_trials import name_trials, resolve_parameters
from resweep.sweep import load_sweep
from tests.support import problems
from tests.support.problems import assert_problem
from tests.support.tiny import LANGUAGE

REAL_FILES = Path(__file__).parents[3].parent / "shared" / "data" / "sweep_yamls"
STAGES = {"arch": {"stages": [{"repeat": 3, "inputs": True}, {"repeat": 2}, {"repeat": 1}]}}


def enumerate_trials(file: Path, config, fixed=()) -> tuple[dict, dict]:
    """Assignments by trial, and the constants of all."""
    sweep = load_sweep(file)
    swept, constants = resolve_parameters(sweep, config, fixed, LANGUAGE)
    return name_trials(sweep, swept, LANGUAGE), constants


def trials(folder: Path, parameters: str, config=None, fixed=()) -> list[dict]:
    """What each trial of a grid would train, without the known sections."""
    file = folder / "sweep.yaml"
    file.write_text(f"method: grid\nparameters: {{{parameters}}}")
    config = config or {}
    assignments, constants = enumerate_trials(file, config, fixed)
    below = compose.assign(config, constants)
    layered = compose.merge([Layer("config", config), Layer("sweep", nest(constants))])
    assert layered.content == below, "a rerun, which is made of layers, stands on the same"
    return [compose.assign(below, assigned) for assigned in assignments.values()]


def problem_of(folder: Path, parameters: str, config=None) -> Problem:
    return problems.problem_of(trials, folder, parameters, config)


def test_list_entries_are_swept_where_the_configuration_has_them(tmp_path):
    found = trials(
        tmp_path, "arch.stages.0.repeat: {values: [1, 4]}, arch.stages.2.repeat: {value: 5}", STAGES
    )
    assert [[s["repeat"] for s in trial["arch"]["stages"]] for trial in found] == [
        [1, 2, 5],
        [4, 2, 5],
    ]
    assert all(trial["arch"]["stages"][0]["inputs"] for trial in found)


def test_list_entries_make_a_list_where_there_is_none(tmp_path):
    parameters = ", ".join(f"arch.stages.{i}.repeat: {{values: [{i}]}}" for i in range(3))
    (trial,) = trials(tmp_path, parameters)
    assert trial == {"arch": {"stages": [{"repeat": 0}, {"repeat": 1}, {"repeat": 2}]}}


@pytest.mark.parametrize("constant", [0, 1, 2])
def test_constant_and_swept_entries_share_a_list(constant, tmp_path):
    parameters = ", ".join(
        f"arch.stages.{i}.repeat: " + (f"{{value: {i}}}" if i == constant else f"{{values: [{i}]}}")
        for i in range(3)
    )
    (trial,) = trials(tmp_path, parameters)
    assert trial == {"arch": {"stages": [{"repeat": 0}, {"repeat": 1}, {"repeat": 2}]}}


def test_constant_and_swept_names_with_gaps_stay_names(tmp_path):
    (trial,) = trials(tmp_path, "decay.0: {value: 1}, decay.20: {values: [2]}")
    assert trial == {"decay": {"0": 1, "20": 2}}


def test_nested_parameters_reach_list_entries_by_their_names(tmp_path):
    (trial,) = trials(tmp_path, "arch: {parameters: {stages.1.repeat: {values: [9]}}}", STAGES)
    assert trial["arch"]["stages"][1] == {"repeat": 9}


@pytest.mark.parametrize("kind", ["value: 1", "values: [1]"])
@pytest.mark.parametrize("name", ["arch.stages.3.repeat", "arch.stages.repeat"])
def test_a_place_that_a_list_does_not_have_is_named(kind, name, tmp_path):
    problem = problem_of(tmp_path, f"{name}: {{{kind}}}", STAGES)
    entries = ("arch.stages ", "arch.stages.0", "arch.stages.2")
    assert_problem(problem, name, None, *entries, file="sweep.yaml")


def test_a_flat_name_of_several_entries_lists_them(tmp_path):
    entries = "arch.stages.0.repeat or arch.stages.1.repeat or arch.stages.2.repeat"
    assert_problem(problem_of(tmp_path, "repeat: {values: [1]}", STAGES), "repeat", None, entries)


def test_unbounded_distributions_are_checked_before_any_job(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "method: random\nrun_cap: 2\nparameters: {learning_rate: {distribution: normal}}"
    )
    found = problems.problems_of(enumerate_trials, file, {})
    assert_problem(found, "training.learning_rate", pytest.approx(-2.3, abs=0.1), "0")


@pytest.mark.parametrize("value", ["[a, b]", "{x: {y: 1}}", "0", "0.0", "false", "null"])
def test_choices_of_any_type_are_assigned_as_they_are(value, tmp_path):
    one, two = trials(tmp_path, f"mine: {{values: [{value}, other]}}")
    again, _ = trials(tmp_path, f"mine: {{values: [{value}, more]}}")
    assert one == again
    assert two == {"mine": "other"}


@pytest.mark.skipif(not REAL_FILES.is_dir(), reason="no shared/data/sweep_yamls beside the project")
@pytest.mark.parametrize("config", [{}, STAGES])
def test_the_real_stage_sweep_has_its_256_trials(config):
    file = REAL_FILES / "maxwell-gao+VirtualRecursiveNetwork__config__wandb__sweep_stages.yaml"
    assignments, constants = enumerate_trials(file, config)
    assert (len(assignments), constants) == (256, {})
    made = [compose.assign(config, assigned)["arch"]["stages"] for assigned in assignments.values()]
    assert [len(stages) for stages in made] == [3] * 256
    assert [made[0][i]["repeat"] for i in range(3)] == [1, 1, 1]
    assert made[0][0]["include_inputs"] is True
    assert made[1][2]["repeat"] == 2
