"""W&B sweep files: what they mean, which points they have, and what is wrong with them."""

import itertools
import math
import statistics
from pathlib import Path

import pytest

from resweep.errors import ConfigError
from resweep.sweep import Sweep, load_sweep, uniform

REAL_FILES = Path(__file__).parents[2].parent / "shared" / "data" / "sweep_yamls"


def sweep_from(folder: Path, text: str) -> Sweep:
    file = folder / "sweep.yaml"
    file.write_text(text)
    return load_sweep(file)


def only(folder: Path, spec: str, method: str = "random"):
    """The one parameter `p` of a sweep."""
    return sweep_from(folder, f"method: {method}\nparameters: {{p: {spec}}}\n").parameters[0]


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        sweep_from(folder, text)
    assert all(len(str(problem).splitlines()) == 1 for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


# What a parameter is


@pytest.mark.parametrize(
    ("spec", "distribution"),
    [
        ("{value: 3}", "constant"),
        ("{value: 3, distribution: constant}", "constant"),
        ("{values: [1, 2]}", "categorical"),
        ("{values: [1, 2], distribution: categorical}", "categorical"),
        ("{values: [1, 2], probabilities: [0.3, 0.7]}", "categorical"),
        (
            "{values: [1, 2], probabilities: [0, 1], distribution: categorical_w_probabilities}",
            "categorical",
        ),
        ("{min: 1, max: 8}", "int_uniform"),
        ("{min: 1, max: 8, distribution: int_uniform}", "int_uniform"),
        ("{min: 1, max: 8, distribution: uniform}", "uniform"),
        ("{min: 1.0, max: 8.0}", "uniform"),
        ("{min: 1, max: 8.5}", "uniform"),
        ("{min: 1e-4, max: 1e-2}", "uniform"),
        ("{min: 1e-4, max: 1, distribution: log_uniform_values}", "log_uniform_values"),
    ],
)
def test_the_first_rule_that_fits_says_what_a_parameter_is(spec, distribution, tmp_path):
    assert only(tmp_path, spec).distribution == distribution


@pytest.mark.parametrize("value", [0, 0.0, False, None, "", [], [1, 2], {"a": 1}])
def test_values_that_look_like_nothing_are_values(value, tmp_path):
    text = f"method: grid\nparameters: {{a: {{value: {value!r}}}, b: {{values: [{value!r}, 7]}}}}"
    text = text.replace("None", "null").replace("False", "false")
    points = list(sweep_from(tmp_path, text).points())
    assert points == [{"a": value, "b": value}, {"a": value, "b": 7}]
    assert all(type(point["a"]) is type(value) for point in points)


def test_only_constants_are_not_swept(tmp_path):
    text = "method: grid\nparameters: {a: {value: 1}, b: {values: [1]}, c: {min: 1, max: 2}}"
    swept = [
        parameter.name for parameter in sweep_from(tmp_path, text).parameters if parameter.swept
    ]
    assert swept == ["b", "c"]


def test_nested_parameters_are_joined_with_dots(tmp_path):
    text = """
method: grid
parameters:
  batch_size: {values: [32, 64]}
  optimizer:
    parameters:
      lr: {values: [1e-3, 1e-4]}
      nadam: {parameters: {beta: {values: [0.9, 0.95]}}}
"""
    sweep = sweep_from(tmp_path, text)
    names = [parameter.name for parameter in sweep.parameters]
    assert names == ["batch_size", "optimizer.lr", "optimizer.nadam.beta"]
    assert len(list(sweep.points())) == 8


# Grids


def test_a_grid_goes_through_sorted_names_the_last_one_fastest(tmp_path):
    text = "method: grid\nparameters: {b: {values: [2, 1]}, a: {min: 3, max: 4}, c: {value: x}}"
    points = list(sweep_from(tmp_path, text).points())
    assert points == [{"a": a, "b": b, "c": "x"} for a, b in itertools.product([3, 4], [2, 1])]
    assert [list(point) for point in points] == [["a", "b", "c"]] * 4


def test_a_limit_cuts_a_grid_and_run_cap_is_the_limit(tmp_path):
    text = "method: grid\nparameters: {a: {min: 1, max: 9}}\nrun_cap: 4"
    sweep = sweep_from(tmp_path, text)
    assert [point["a"] for point in sweep.points()] == [1, 2, 3, 4]
    assert [point["a"] for point in sweep.points(limit=2)] == [1, 2]


def test_a_grid_names_every_parameter_that_it_cannot_enumerate(tmp_path):
    text = """
method: grid
parameters:
  lr: {min: 0.1, max: 0.2}
  wd: {distribution: log_uniform_values, min: 1e-3, max: 1}
  ok: {values: [1]}
"""
    problems = problems_of(tmp_path, text)
    assert [problem.split(": ")[1] for problem in problems] == ["parameters.lr", "parameters.wd"]
    assert "distribution uniform" in problems[0]
    assert all("method: random" in problem for problem in problems)


# Random sweeps

RANDOM = """
method: random
run_cap: 6
seed: 3
parameters:
  lr: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}
  size: {min: 1, max: 4}
  kind: {values: [a, b, c]}
  mix: {min: 0.0, max: 1.0}
"""


def test_the_same_file_draws_the_same_points(tmp_path):
    first = list(sweep_from(tmp_path, RANDOM).points())
    assert first == list(sweep_from(tmp_path, RANDOM).points())
    assert len(first) == 6
    assert len({str(point) for point in first}) == 6


def test_a_higher_run_cap_only_adds_points(tmp_path):
    few = list(sweep_from(tmp_path, RANDOM).points())
    many = list(sweep_from(tmp_path, RANDOM.replace("run_cap: 6", "run_cap: 20")).points())
    assert many[:6] == few
    assert list(sweep_from(tmp_path, RANDOM).points(limit=20)) == many


def test_another_parameter_leaves_the_draws_of_the_others(tmp_path):
    before = list(sweep_from(tmp_path, RANDOM).points())
    after = list(sweep_from(tmp_path, RANDOM + "  aaa: {min: 0, max: 9}\n").points())
    assert [{k: v for k, v in point.items() if k != "aaa"} for point in after] == before


def test_another_order_of_parameters_changes_nothing(tmp_path):
    lines = RANDOM.splitlines()
    swapped = "\n".join([*lines[:5], *reversed(lines[5:])])
    assert list(sweep_from(tmp_path, swapped).points()) == list(
        sweep_from(tmp_path, RANDOM).points()
    )


def test_a_seed_changes_every_draw(tmp_path):
    sweep = sweep_from(tmp_path, RANDOM)
    other = list(sweep.points(seed=4))
    assert other == list(sweep_from(tmp_path, RANDOM.replace("seed: 3", "seed: 4")).points())
    assert all(a["lr"] != b["lr"] for a, b in zip(other, sweep.points(), strict=True))


def test_seed_zero_is_a_seed(tmp_path):
    sweep = sweep_from(tmp_path, RANDOM)
    assert list(sweep.points(seed=0)) != list(sweep.points())


def test_draws_are_pinned():
    """Every machine draws these: another hash or rounding would rename all trials."""
    assert [round(uniform(1, index, "learning_rate"), 9) for index in range(3)] == [
        0.218095883,
        0.422306327,
        0.747036112,
    ]


def test_a_random_sweep_without_a_limit_asks_for_one(tmp_path):
    sweep = sweep_from(tmp_path, RANDOM.replace("run_cap: 6\n", ""))
    with pytest.raises(ConfigError, match=r"run_cap.*trials"):
        list(sweep.points())
    assert len(list(sweep.points(limit=2))) == 2


def draws(parameter, count: int = 4000) -> list:
    return [parameter.draw(uniform(7, index, parameter.name)) for index in range(count)]


def test_uniform_draws_fill_their_range_evenly(tmp_path):
    values = draws(only(tmp_path, "{min: 2.0, max: 6.0}"))
    assert statistics.fmean(values) == pytest.approx(4, abs=0.1)
    assert statistics.pstdev(values) == pytest.approx(4 / math.sqrt(12), abs=0.05)
    assert 2 <= min(values) < 2.1
    assert 5.9 < max(values) <= 6


def test_log_uniform_draws_are_even_in_every_decade(tmp_path):
    values = draws(only(tmp_path, "{distribution: log_uniform_values, min: 1e-4, max: 1e-1}"))
    decades = [sum(10.0**e <= v < 10.0 ** (e + 1) for v in values) for e in (-4, -3, -2)]
    assert sum(decades) >= len(values) - 1
    assert all(share == pytest.approx(len(values) / 3, rel=0.1) for share in decades)


def test_whole_numbers_are_drawn_evenly_with_both_bounds(tmp_path):
    values = draws(only(tmp_path, "{min: -1, max: 2}"))
    assert set(map(type, values)) == {int}
    assert all(values.count(n) == pytest.approx(1000, rel=0.15) for n in (-1, 0, 1, 2))
    assert sum(values.count(n) for n in (-1, 0, 1, 2)) == len(values)


def test_choices_are_drawn_evenly_or_by_their_probabilities(tmp_path):
    even = draws(only(tmp_path, "{values: [a, b, c, d]}"))
    assert all(even.count(c) == pytest.approx(1000, rel=0.15) for c in "abcd")
    uneven = draws(only(tmp_path, "{values: [a, b, c], probabilities: [0.1, 0, 0.9]}"))
    assert uneven.count("b") == 0
    assert uneven.count("a") == pytest.approx(400, rel=0.2)


def test_two_parameters_are_drawn_independently():
    xs = [uniform(0, index, "x") for index in range(2000)]
    ys = [uniform(0, index, "y") for index in range(2000)]
    assert abs(statistics.correlation(xs, ys)) < 0.08
    assert abs(statistics.correlation(xs[1:], xs[:-1])) < 0.08


@pytest.mark.parametrize("distribution", ["uniform", "log_uniform_values"])
@pytest.mark.parametrize("u", [0.0, 0.5, 1 - 2**-53])
def test_rounding_does_not_leave_the_bounds(distribution, u, tmp_path):
    spec = f"{{distribution: {distribution}, min: 0.12345678912, max: 0.12345678999}}"
    assert 0.12345678912 <= only(tmp_path, spec).draw(u) <= 0.12345678999


def test_draws_have_eight_digits(tmp_path):
    values = draws(only(tmp_path, "{min: 0.1, max: 0.9}"), 100)
    assert all(value == float(f"{value:.8g}") for value in values)


# What is wrong


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("3", "should be {value"),
        ("[1, 2]", "should be {value"),
        ("{}", "should have value"),
        ("{min: 1}", "both min and max"),
        ("{max: 1}", "both min and max"),
        ("{min: 2, max: 2}", "min should be smaller than max, not 2 and 2"),
        ("{min: 0.3, max: 0.2}", "min should be smaller than max"),
        ("{min: a, max: b}", "min should be a finite number, not 'a'"),
        ("{min: true, max: 3}", "min should be a finite number, not True"),
        ("{min: 0, max: .inf}", "max should be a finite number, not inf"),
        ("{min: 0.5, max: 3, distribution: int_uniform}", "whole numbers"),
        ("{min: 0, max: 1, distribution: log_uniform_values}", "min above 0"),
        ("{value: 3, values: [1, 2]}", "values: is not for distribution constant"),
        ("{values: [1, 2], min: 0, max: 9}", "min: is not for distribution categorical"),
        ("{distribution: categorical, min: 1, max: 2}", "min: is not for distribution categorical"),
        ("{distribution: categorical}", "values: is missing"),
        ("{distribution: uniform, values: [1]}", "values: is not for distribution uniform"),
        ("{distribution: uniform, value: 1}", "value: is not for distribution uniform"),
        ("{values: []}", "at least one entry"),
        ("{values: 3}", "should be a list"),
        ("{values: [1, 2], probabilities: [1]}", "one number"),
        ("{values: [1, 2], probabilities: [-0.5, 1.5]}", "one number, 0 or more"),
        ("{values: [1, 2], probabilities: [0.5, 0.4]}", "add up to 1, not 0.9"),
        ("{values: [1, 2], probability: [0.5, 0.5]}", "unknown key 'probability'"),
        ("{valeus: [1, 2]}", "unknown key 'valeus'"),
        ("{parameters: 3}", "should map names"),
        ("{parameters: {q: {value: 1}}, value: 2}", "nested parameters"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_it_should_be(spec, words, tmp_path):
    (problem,) = problems_of(tmp_path, f"method: random\nparameters: {{lr: {spec}}}")
    assert words in problem
    assert "sweep.yaml: " in problem
    assert "lr" in problem.split(": ")[1]


def test_a_wrong_nested_parameter_has_its_whole_name(tmp_path):
    text = "method: grid\nparameters: {opt: {parameters: {lr: {min: 1}}}}"
    (problem,) = problems_of(tmp_path, text)
    assert "parameters.opt.lr" in problem


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("parameters: {a: {value: 1}}", "method"),
        ("method: bayse\nparameters: {a: {value: 1}}", "method = 'bayse'"),
        ("method: custom\nparameters: {a: {value: 1}}", "method = 'custom'"),
        ("method: grid", "parameters"),
        ("method: grid\nparameters: {}", "parameters"),
        ("method: grid\nparameters: [a]", "parameters"),
        ("method: grid\nparameters: {a: {value: 1}}\nrun_cap: 0", "run_cap = 0"),
        ("method: grid\nparameters: {a: {value: 1}}\nrun_cap: many", "run_cap = 'many'"),
        ("method: grid\nparameters: {a: {value: 1}}\nrun_cap: true", "run_cap = True"),
        ("method: grid\nparameters: {a: {value: 1}}\nseed: -1", "seed = -1"),
        ("method: grid\nparameters: {a: {value: 1}}\nmetric: {goal: minimize}", "metric.name"),
        ("method: grid\nparameters: {a: {value: 1}}\nmetric: {name: x, goal: up}", "metric.goal"),
        (
            "method: grid\nparameters: {a: {value: 1}}\nearly_terminate: {type: hyperband}",
            "early_t",
        ),
    ],
)
def test_what_is_wrong_at_the_top_is_named(text, key, tmp_path):
    assert any(f"sweep.yaml: {key}" in problem for problem in problems_of(tmp_path, text))


def test_everything_wrong_is_told_at_once(tmp_path):
    text = """
method: bayse
run_cap: -1
metric: {name: "", goal: minimize}
parameters: {a: {min: 1}, b: {value: 1}, c: {values: []}}
"""
    keys = [problem.split(": ")[1].split(" =")[0] for problem in problems_of(tmp_path, text)]
    assert keys == ["run_cap", "method", "parameters.a", "parameters.c", "metric.name"]


def test_unknown_keys_at_the_top_are_warnings(tmp_path):
    text = "method: grid\nparameters: {a: {value: 1}}\ncount: 4\nprogramm: x\nprogram: y"
    sweep = sweep_from(tmp_path, text)
    assert [warning.split("'")[1] for warning in sweep.warnings] == ["count", "programm"]


def test_numbers_in_short_exponent_form_are_numbers(tmp_path):
    parameter = only(tmp_path, "{distribution: log_uniform_values, min: 1e-5, max: 1E-1}")
    assert parameter.extremes == (1e-5, 0.1)


def test_the_metric_minimises_unless_told_otherwise(tmp_path):
    base = "method: grid\nparameters: {a: {value: 1}}\n"
    assert sweep_from(tmp_path, base).metric is None
    assert sweep_from(tmp_path, base + "metric: {name: val/loss}").metric.goal == "minimize"
    assert sweep_from(tmp_path, base + "metric: {name: acc, goal: maximize}").metric.name == "acc"


# Files of other people


@pytest.mark.skipif(not REAL_FILES.is_dir(), reason="no shared/data/sweep_yamls beside the project")
def test_real_files_load():
    files = sorted(REAL_FILES.glob("*.yaml"))
    assert files
    assert [load_sweep(file).origin for file in files] == [str(file) for file in files]
