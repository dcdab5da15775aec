"""What W&B accepts, read by the types of the fields; bounds that are never drawn."""

import math
from pathlib import Path
from typing import Any

import pytest

from resweep.config import compose
from resweep.search.space import Space
from resweep.study.fit_fields import fit_fields
from resweep.study.name_trials import name_trials, resolve_parameters
from resweep.sweep import Parameter, Sweep, load_sweep
from tests.support import problems
from tests.support.problems import assert_problem
from tests.support.tiny import LANGUAGE

LAST = math.nextafter(1.0, 0.0)


def fitted(folder: Path, parameters: str, top: str = "method: random\nrun_cap: 3") -> Sweep:
    file = folder / "sweep.yaml"
    file.write_text(f"{top}\nparameters: {{{parameters}}}")
    return fit_fields(load_sweep(file), {}, LANGUAGE)


def trials(folder: Path, parameters: str, top: str = "method: grid") -> list[dict[str, Any]]:
    """What the trials of a sweep assign; its constants are checked too."""
    sweep = fitted(folder, parameters, top)
    swept, constants = resolve_parameters(sweep, {}, (), LANGUAGE)
    return [constants | given for given in name_trials(sweep, swept, LANGUAGE).values()]


# Bounds that are never drawn

OPEN = [
    ("training.learning_rate", "{distribution: uniform, min: 0, max: 0.1}", 0.0),
    ("training.learning_rate", "{min: 0.0, max: 5}", 0.0),
    ("model.dropout", "{min: 0.25, max: 1.0}", 1.0),
    ("model.dropout", "{distribution: log_uniform_values, min: 1e-5, max: 1}", 1.0),
    ("model.dropout", "{distribution: inv_log_uniform_values, min: 1e-5, max: 1.0}", 1.0),
    ("model.dropout", "{distribution: log_uniform, min: -5, max: 0}", 1.0),
    ("model.dropout", "{distribution: inv_log_uniform, min: 0, max: 5}", 1.0),
    ("training.beta2", "{distribution: beta, a: 9, b: 0.05}", 1.0),
    ("training.learning_rate", "{distribution: beta, a: 0.001}", 0.0),
]


def path_of(parameter: str) -> str:
    """The path of the field that a line of a sweep file sets."""
    (path,) = LANGUAGE.fields[parameter.partition(":")[0]]
    return path


@pytest.mark.parametrize(("path", "spec", "bound"), OPEN)
def test_a_bound_that_is_never_drawn_may_be_refused(path, spec, bound, tmp_path):
    sweep = fitted(tmp_path, f"{path}: {spec}")
    resolve_parameters(sweep, {}, (), LANGUAGE)
    (parameter,) = sweep.parameters
    (raw,) = load_sweep(tmp_path / "sweep.yaml").parameters
    for u in (0.0, 2**-53, 1e-12, 1e-3, 0.3, 0.5, 0.999, 1 - 1e-9, LAST):
        value = parameter.draw(u)
        assert compose.coerce(path, value, LANGUAGE) == value
        assert value == raw.draw(u) or abs(value - bound) < 1e-8
        assert 0 <= parameter.locate(value) <= 1
    with pytest.raises(ValueError, match="outside"):
        parameter.locate(bound)


@pytest.mark.parametrize(("path", "spec", "bound"), OPEN)
def test_a_search_that_proposes_the_bound_gets_its_neighbour(path, spec, bound, tmp_path):
    space = Space(fitted(tmp_path, f"{path}: {spec}", "method: bayes").parameters)
    for inner in (0.0, 1.0):
        point = space.point({path: inner})
        assert point[path] != bound
        assert space.holds({path: compose.coerce(path, point[path], LANGUAGE)})


@pytest.mark.parametrize("sampler", ["", "sampler: sobol\n"])
def test_open_bounds_are_swept(sampler, tmp_path):
    spec = "learning_rate: {distribution: uniform, min: 0, max: 0.1}, dropout: {min: 0.0, max: 1.0}"
    found = trials(tmp_path, spec, f"method: random\n{sampler}run_cap: 16")
    raw = load_sweep(tmp_path / "sweep.yaml").points(16)
    assert [list(point.values()) for point in raw] == [
        [trial["model.dropout"], trial["training.learning_rate"]] for trial in found
    ]


def test_a_space_that_the_fields_allow_stays_as_it_is(tmp_path):
    text = """
method: random
parameters:
  learning_rate: {distribution: log_uniform, min: -9, max: -2}
  weight_decay: {min: 0, max: 1, distribution: uniform}
  batch_size: {values: [8.0, 16]}
  mine: {values: [yes, "1_000", 0]}
  bias: {values: [true, false]}
"""
    (tmp_path / "sweep.yaml").write_text(text)
    sweep = load_sweep(tmp_path / "sweep.yaml")
    assert fit_fields(sweep, {}, LANGUAGE) == sweep
    assert type(fit_fields(sweep, {}, LANGUAGE).parameters[0].values[0]) is float


@pytest.mark.parametrize(
    ("parameters", "value"),
    [
        ("learning_rate: {min: -0.1, max: 0.1}", -0.1),
        ("dropout: {min: 0.0, max: 1.5}", 1.5),
        ("learning_rate: {distribution: q_uniform, min: 0, max: 0.1, q: 0.01}", 0.0),
        ("dropout: {distribution: q_uniform, min: 0, max: 1, q: 0.25}", 1.0),
        ("n_layer: {min: 0, max: 4}", 0),
        ("learning_rate: {values: [0, 0.1], probabilities: [0.01, 0.99]}", 0),
        ("learning_rate: {distribution: normal, mu: 0, sigma: 1}", pytest.approx(-2.3, abs=0.1)),
    ],
)
def test_what_is_drawn_has_to_be_allowed(parameters, value, tmp_path):
    for method in ("random", "bayes"):
        top = f"method: {method}\nrun_cap: 4"
        found = problems.problem_of(trials, tmp_path, parameters, top)
        assert_problem(found, path_of(parameters), value, file="sweep.yaml")


def test_a_choice_of_no_probability_is_never_drawn(tmp_path):
    spec = "learning_rate: {values: [0, 0.1, fast], probabilities: [0, 1, 0]}"
    found = trials(tmp_path, spec, "method: random\nrun_cap: 3")
    assert found == [{"training.learning_rate": 0.1}] * 3


@pytest.mark.parametrize("top", ["grid", "random\nsampler: without_replacement\nrun_cap: 9"])
def test_a_grid_is_checked_by_its_own_values(top, tmp_path):
    spec = "{distribution: q_uniform, min: 0, max: 1, q: 0.25}"
    found = trials(tmp_path, f"dropout: {spec}", f"method: {top}")
    assert sorted(trial["model.dropout"] for trial in found) == [0, 0.25, 0.5, 0.75]
    refused = problems.problem_of(trials, tmp_path, f"learning_rate: {spec}", f"method: {top}")
    assert_problem(refused, "training.learning_rate", 0, file="sweep.yaml")


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ("n_layer: {distribution: uniform, min: 1, max: 8}", "int_uniform"),
        ("n_layer: {min: 1.0, max: 8.0}", "int_uniform"),
        (
            "batch_size: {distribution: log_uniform_values, min: 8, max: 512}",
            "q_log_uniform_values with q: 1",
        ),
        ("batch_size: {distribution: normal, mu: 30, sigma: 2}", "q_normal with q: 1"),
        ("dropout: {min: 0, max: 1}", "min: 0.0, max: 1.0"),
        ("n_layer: {value: [1, 2]}", "values:"),
        ("max_gpu_batch_size: {value: None}", "null"),
    ],
)
def test_what_to_write_instead_is_said(parameters, word, tmp_path):
    for method in ("random", "bayes"):
        found = problems.problems_of(trials, tmp_path, parameters, f"method: {method}\nrun_cap: 4")
        assert_problem(found, path_of(parameters), found[0].value, word)


# Values by the types of the fields


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("bias: {values: [yes, no]}", [True, False]),
        ("bias: {values: [On, OFF]}", [True, False]),
        ("bias: {values: [0, 1]}", [False, True]),
        ("bias: {values: ['True', 'false']}", [True, False]),
        ("bias: {values: [true, yes, 1]}", [True]),
        ("compile: {value: 0}", [False]),
        ("compile: {value: off}", [False]),
        ("batch_size: {values: [1_6, 3_2.0]}", [16, 32]),
        ("batch_size: {value: 1_000}", [1000]),
        ("learning_rate: {values: ['1e-4', '0.5']}", [1e-4, 0.5]),
        ("learning_rate: {values: [1, 2]}", [1.0, 2.0]),
        ("max_gpu_batch_size: {values: [null, 8]}", [None, 8]),
    ],
)
def test_values_are_read_by_the_type_of_their_field(parameter, values, tmp_path):
    found = [next(iter(trial.values())) for trial in trials(tmp_path, parameter)]
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n_layer: {values: [yes, 2]}", "yes"),
        ("n_layer: {values: [true, 2]}", True),
        ("bias: {values: [2, true]}", 2),
        ("bias: {values: [0.0, true]}", 0.0),
        ("learning_rate: {values: [fast, 0.1]}", "fast"),
        ("learning_rate: {values: [1/3, 0.1]}", "1/3"),
        ("learning_rate: {values: ['1e999', 0.1]}", "1e999"),
        ("learning_rate: {values: ['', 0.1]}", ""),
        ("scheduler: {values: [off, cosine]}", "off"),
    ],
)
def test_what_a_field_cannot_mean_is_refused(parameter, value, tmp_path):
    found = problems.problem_of(trials, tmp_path, parameter)
    assert_problem(found, path_of(parameter), value, file="sweep.yaml")


def test_whole_bounds_of_a_boolean_are_both_of_its_values(tmp_path):
    found = trials(tmp_path, "bias: {min: 0, max: 1}")
    assert [trial["model.bias"] for trial in found] == [False, True]


def test_a_search_knows_its_own_trials_again(tmp_path):
    """The values of trials are those of the space, or nothing would be learned from them."""
    sweep = fitted(
        tmp_path, "bias: {values: [yes, no]}, compile: {values: [0, 1]}", "method: bayes"
    )
    swept, _ = resolve_parameters(sweep, {}, (), LANGUAGE)
    space = Space(tuple(swept.values()))
    for point in space.all_points():
        trained = {path: compose.coerce(path, value, LANGUAGE) for path, value in point.items()}
        assert space.holds(trained) and space.key(trained) == space.key(point)


def test_own_hyperparameters_keep_their_values(tmp_path):
    (parameter,) = fitted(tmp_path, "mine: {values: [yes, 1_000, 0, '1e-4']}").parameters
    assert parameter == Parameter("mine", "categorical", values=("yes", "1_000", 0, "1e-4"))


def test_a_name_that_is_a_part_of_another_is_refused_where_both_are_one_place(tmp_path):
    spec = "training.optimizer: {value: adamw}, training.optimizer.lr: {values: [1, 2]}"
    assert_problem(problems.problems_of(trials, tmp_path, spec), "training.optimizer", None, "lr")
    other = "optimizer: {value: adamw}, optimizer.config.learning_rate: {values: [1, 2]}"
    assert [trial["training.optimizer"] for trial in trials(tmp_path, other)] == ["adamw"] * 2
