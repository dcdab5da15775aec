"""W&B sweep files: what they mean, which points they have, and what is wrong with them."""

import itertools
import math
import statistics
from pathlib import Path
from unittest.mock import ANY

import pytest

from resweep.canonical import canonical_json
from resweep.errors import ConfigError, Problem
from resweep.sweep import Sweep, SweepMetric, load_sweep, uniform
from resweep.sweep.load import read_content
from tests.support import problems
from tests.support.problems import assert_problem

STAGES = "maxwell-gao+VirtualRecursiveNetwork__config__wandb__sweep_stages"
EXAMPLES = "wandb+sweeps__examples__"
REAL_FILES = Path(__file__).parents[3].parent / "shared" / "data" / "sweep_yamls"


def sweep_from(folder: Path, text: str) -> Sweep:
    file = folder / "sweep.yaml"
    file.write_text(text)
    return load_sweep(file)


def only(folder: Path, spec: str, method: str = "random"):
    """The one parameter `p` of a sweep."""
    return sweep_from(folder, f"method: {method}\nparameters: {{p: {spec}}}\n").parameters[0]


def problems_of(folder: Path, text: str) -> list[Problem]:
    return problems.problems_of(sweep_from, folder, text)


def problem_of(folder: Path, text: str) -> Problem:
    return problems.problem_of(sweep_from, folder, text)


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
    lr, wd = problems_of(tmp_path, text)
    assert_problem(lr, "parameters.lr", None, "uniform", "method: random")
    assert_problem(wd, "parameters.wd", None, "log_uniform_values", "method: random")


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


# Sobol sequences

SOBOL = RANDOM.replace("method: random", "method: random\nsampler: sobol")


def test_a_sobol_sweep_is_seeded_and_more_trials_begin_with_the_same_ones(tmp_path, recwarn):
    sweep = sweep_from(tmp_path, SOBOL)
    few = list(sweep.points())
    assert few == list(sweep_from(tmp_path, SOBOL).points())
    assert list(sweep.points(100))[:6] == few
    assert list(sweep.points(1)) == few[:1]
    assert list(sweep.points(0)) == []
    assert list(sweep.points(seed=4)) != few
    assert len({str(point) for point in few}) == 6
    assert not recwarn.list


def test_constants_and_the_order_of_parameters_leave_a_sobol_sequence_as_it_is(tmp_path):
    lines = SOBOL.splitlines()
    text = "\n".join([*lines[:6], "  aaa: {value: 1}", *reversed(lines[6:])])
    other = list(sweep_from(tmp_path, text).points())
    assert [{k: v for k, v in point.items() if k != "aaa"} for point in other] == list(
        sweep_from(tmp_path, SOBOL).points()
    )
    more = list(sweep_from(tmp_path, SOBOL + "  zzz: {min: 0, max: 9}\n").points())
    assert [point["lr"] for point in more] != [point["lr"] for point in other]


def test_a_sobol_sequence_fills_the_space_evenly(tmp_path):
    points = list(sweep_from(tmp_path, SOBOL).points(64))
    for name, values in (("size", (1, 2, 3, 4)), ("mix", range(4))):
        drawn = [int(p[name] * 4) if name == "mix" else p[name] for p in points]
        assert [drawn.count(value) for value in values] == [16] * 4
    boxes = {(p["size"], int(p["mix"] * 16)) for p in points}
    assert len(boxes) == 64  # 4 x 16 boxes, a point each: no draw does that by chance


def test_sobol_values_have_eight_digits(tmp_path):
    points = list(sweep_from(tmp_path, SOBOL).points(32))
    assert all(point["lr"] == float(f"{point['lr']:.8g}") for point in points)


# The short format, and combinations of a grid without replacement

SHORT = """
sweep_name: "learning_rate_sweep"
parameters:
  initialization.init_std:
    values: [0.01, 0.02]
  initialization.init_mean:
    values: [0.0]
strategy: "grid"
num_runs: 3
"""


def test_the_short_format_is_a_grid(tmp_path):
    sweep = sweep_from(tmp_path, SHORT)
    assert (sweep.method, sweep.name, sweep.warnings) == ("grid", "learning_rate_sweep", ())
    means = {"initialization.init_mean": 0.0}
    assert list(sweep.points()) == [
        means | {"initialization.init_std": std} for std in (0.01, 0.02)
    ]


@pytest.mark.parametrize(
    ("strategy", "run_cap", "points"), [("grid", 1, 1), ("random", 1, 1), ("random", 9, 2)]
)
def test_run_cap_counts_in_the_short_format_too(strategy, run_cap, points, tmp_path):
    text = SHORT.replace('"grid"', strategy).replace("num_runs: 3", "num_runs: 2")
    sweep = sweep_from(tmp_path, f"{text}run_cap: {run_cap}")
    assert len(list(sweep.points())) == points


def test_num_runs_beside_method_is_warned_of(tmp_path):
    sweep = sweep_from(tmp_path, "method: grid\nnum_runs: 1\nparameters: {a: {values: [1, 2]}}")
    assert len(list(sweep.points())) == 2
    (line,) = sweep.warnings
    assert "'num_runs'" in line and "strategy" in line and "run_cap: 1" in line


def test_the_short_format_draws_combinations_without_replacement(tmp_path):
    text = SHORT.replace('"grid"', "random").replace("[0.01, 0.02]", "[1, 2, 3, 4, 5]")
    text = text.replace("[0.0]", "[0.0, 0.5]")
    sweep = sweep_from(tmp_path, text)
    points = [tuple(point.values()) for point in sweep.points()]
    assert (sweep.method, len(points), len(set(points))) == ("random", 3, 3)
    everything = [tuple(point.values()) for point in sweep.points(99)]
    assert everything[:3] == points
    assert sorted(everything) == sorted(itertools.product([0.0, 0.5], [1, 2, 3, 4, 5]))
    assert everything != sorted(everything)
    other = [tuple(point.values()) for point in sweep.points(99, seed=1)]
    assert sorted(other) == sorted(everything)
    assert other != everything


def test_every_combination_is_as_likely_as_another(tmp_path):
    text = "method: random\nsampler: without_replacement\nparameters: {a: {min: 0, max: 4}}"
    sweep = sweep_from(tmp_path, text)
    seconds = [list(sweep.points(2, seed=seed))[1]["a"] for seed in range(2000)]
    assert all(seconds.count(value) == pytest.approx(400, rel=0.2) for value in range(5))


# What is wrong


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("3", ["{value"]),
        ("[1, 2]", ["{value"]),
        ("{}", ["value"]),
        ("{min: 1}", ["min", "max"]),
        ("{max: 1}", ["min", "max"]),
        ("{min: 2, max: 2}", ["min", "max"]),
        ("{min: 0.3, max: 0.2}", ["min", "max", "0.3"]),
        ("{min: a, max: b}", ["min", "'a'"]),
        ("{min: true, max: 3}", ["min", "True"]),
        ("{min: 0, max: .inf}", ["max", "inf"]),
        ("{min: 0.5, max: 3, distribution: int_uniform}", ["whole numbers"]),
        ("{min: 0, max: 1, distribution: log_uniform_values}", ["min", "0"]),
        ("{value: 3, values: [1, 2]}", ["values", "constant"]),
        ("{values: [1, 2], min: 0, max: 9}", ["min", "categorical"]),
        ("{distribution: categorical, min: 1, max: 2}", ["min", "categorical"]),
        ("{distribution: categorical}", ["values", "categorical"]),
        ("{distribution: uniform, values: [1]}", ["values", "uniform"]),
        ("{distribution: uniform, value: 1}", ["value", "uniform"]),
        ("{distribution: gaussian}", ["'gaussian'", "normal?"]),
        ("{distribution: log_unifrom, min: 1, max: 2}", ["log_uniform?"]),
        ("{distribution: [normal]}", ["['normal']"]),
        ("{distribution: normal, min: 0, max: 1}", ["min", "normal"]),
        ("{distribution: normal, sigma: 0}", ["sigma", "0"]),
        ("{distribution: normal, mu: .nan}", ["mu", "nan"]),
        ("{distribution: log_normal, mu: 1e3}", ["mu", "sigma", "logarithm"]),
        ("{distribution: beta, a: -1}", ["a ", "-1"]),
        ("{distribution: uniform, min: 0, max: 1, q: 1}", ["q", "uniform"]),
        ("{distribution: q_uniform, min: 0, max: 1, q: 0}", ["q", "0"]),
        ("{distribution: q_normal, q: -1}", ["q", "0"]),
        ("{distribution: q_uniform, min: 0, max: 1, q: 1e-30}", ["q = 1e-30"]),
        ("{distribution: q_uniform, min: 1.2, max: 1.8, q: 1}", ["q = 1", "min", "max"]),
        ("{distribution: log_uniform, min: 1e-5, max: 1e-1}", ["distribution: log_uniform_values"]),
        ("{distribution: log_uniform, min: 16, max: 512}", ["distribution: log_uniform_values"]),
        ("{distribution: inv_log_uniform, min: 0.1, max: 1}", ["e^-0.1", "e^-1"]),
        ("{distribution: inv_log_uniform_values, min: 0, max: 1}", ["min", "0"]),
        ("{distribution: q_log_uniform_values, min: -1, max: 1}", ["min", "0"]),
        ("{min: -0.0, max: 1.0}", ["min", "-0.0"]),
        ("{min: 0, max: 1" + "0" * 400 + "}", ["max"]),
        ("{min: '1e-4', max: 1.0}", ["min", "'1e-4'"]),
        ("{values: [1, .nan]}", ["nan"]),
        ("{value: {a: [-0.0]}}", ["a[0] = -0.0"]),
        (
            "{values: [1, 2], probabilities: [0.5, 0.5], distribution: categorical}",
            ["probabilities"],
        ),
        ("{values: []}", ["values"]),
        ("{values: 3}", ["values", "list"]),
        ("{values: [1, 2], probabilities: [1]}", ["probabilities"]),
        ("{values: [1, 2], probabilities: [-0.5, 1.5]}", ["probabilities", "0"]),
        ("{values: [1, 2], probabilities: [0.5, 0.4]}", ["probabilities", "0.9"]),
        ("{values: [1, 2], probability: [0.5, 0.5]}", ["'probability'", "probabilities"]),
        ("{valeus: [1, 2]}", ["'valeus'", "values"]),
        ("{parameters: 3}", ["names"]),
        ("{parameters: {}}", ["names"]),
        ("{parameters: {q: {value: 1}}, value: 2}", ["parameters:", "value"]),
    ],
)
def test_a_wrong_parameter_is_named_with_what_it_should_be(spec, words, tmp_path):
    problem = problem_of(tmp_path, f"method: random\nparameters: {{lr: {spec}}}")
    assert_problem(problem, "parameters.lr", ANY, *words, file="sweep.yaml")


@pytest.mark.parametrize("name", ["2x", "a b", "a..b", ".a", "a.", "a/b", "''", "é"])
def test_a_name_that_cannot_be_one_is_refused(name, tmp_path):
    text = f"method: grid\nparameters: {{{name}: {{value: 1}}}}"
    assert_problem(problems_of(tmp_path, text)[0], f"parameters.{name.strip(chr(39))}", None)


def test_all_wrong_parameters_are_reported_at_once_in_one_line_each(tmp_path):
    text = """
method: grid
parameters:
  a: {min: 2, max: 1}
  b: {distribution: normal}
  c: {values: []}
  d: {parameters: {e: {distribution: beta, c: 1}, f: {values: [1], probabilities: [1.0]}}}
"""
    keys = [problem.key for problem in problems_of(tmp_path, text)]
    wrong = [f"parameters.{name}" for name in ("a", "c", "d.e")]
    assert keys == [*wrong, "parameters.b", "parameters.d.f"]


def test_a_name_that_is_given_twice_is_reported(tmp_path):
    text = "method: grid\nparameters: {a.b: {value: 1}, a: {parameters: {b: {value: 2}}}}"
    assert_problem(problem_of(tmp_path, text), "parameters.a.b", None, "twice", file="sweep.yaml")


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        (
            "optimizer: {value: adamw}, optimizer.config.learning_rate: {values: [2, 3]}",
            ["optimizer", "optimizer.config.learning_rate"],
        ),
        ("a.b: {value: 1}, a: {parameters: {b.c: {values: [1]}}}", ["a.b.c", "a.b"]),
    ],
)
def test_a_name_may_be_a_part_of_another(parameters, names, tmp_path):
    sweep = sweep_from(tmp_path, f"method: grid\nparameters: {{{parameters}}}")
    assert [parameter.name for parameter in sweep.parameters] == names
    assert all(list(point) == names for point in sweep.points())


def test_names_that_begin_alike_are_apart(tmp_path):
    given = ", ".join(f"{name}: {{value: 1}}" for name in ("a", "ab", "c.a", "c-a"))
    sweep = sweep_from(tmp_path, f"method: grid\nparameters: {{{given}}}")
    assert len(sweep.parameters) == 4


def test_a_wrong_nested_parameter_has_its_whole_name(tmp_path):
    text = "method: grid\nparameters: {opt: {parameters: {lr: {min: 1}}}}"
    assert problem_of(tmp_path, text).key == "parameters.opt.lr"


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
        ("metod: grid\nparameters: {a: {value: 1}}", "method: "),
        ("strategy: bayes\nparameters: {a: {value: 1}}", "strategy = 'bayes'"),
        ("strategy: random\nparameters: {a: {value: 1}}", "num_runs: "),
        ("strategy: grid\nmethod: grid\nparameters: {a: {value: 1}}", "strategy = 'grid'"),
        ("strategy: random\nnum_runs: 2\nparameters: {a: {min: 0.0, max: 1.0}}", "parameters.a"),
        *(
            (f"method: grid\nparameters: {{a: {{value: 1}}}}\n{text}", key)
            for text, key in (
                ("sampler: sobol", "sampler = 'sobol': "),
                ("metric: {name: x, goal: minimise}", "metric.goal = 'minimise'"),
                ("metric: {name: x, target: low}", "metric.target = 'low'"),
                ("metric: {name: x, impute: none}", "metric.impute = 'none'"),
                ("metric: {name: x, gaol: minimize}", "metric.gaol: "),
                ("metric: loss", "metric = 'loss'"),
                ("metrics: [{name: x}, {name: y}]", "metrics"),
                ("name: 3", "name = 3: "),
                ("program: [a]", "program = ['a']"),
                ("kind: job", "kind = 'job'"),
                ("controller: {type: here}", "controller = {'type': 'here'}"),
                ("scheduler: {engine: optuna}", "scheduler"),
                ("command: python train.py", "command = 'python train.py'"),
                ("command: []", "command = []"),
                ("command: [{a: 1}]", "command"),
                ("early_terminate: hyperband", "early_terminate.type = 'hyperband'"),
            )
        ),
        ("method: random\nsampler: gp\nparameters: {a: {value: 1}}", "sampler = 'gp'"),
        ("method: bayes\nsampler: sobol\nparameters: {a: {value: 1}}", "sampler = 'sobol'"),
    ],
)
def test_what_is_wrong_at_the_top_is_named(text, key, tmp_path):
    assert any(f"sweep.yaml: {key}" in str(problem) for problem in problems_of(tmp_path, text))


def test_misspelt_keys_get_a_hint(tmp_path):
    grid = "parameters: {a: {value: 1}}\n"
    assert_problem(problems_of(tmp_path, f"{grid}metod: grid"), "method", None, "metod")
    problem = problem_of(tmp_path, f"{grid}method: grid\nmetric: {{name: x, gaol: minimize}}")
    assert_problem(problem, "metric.gaol", ANY, "goal?")


def test_everything_wrong_is_reported_at_once(tmp_path):
    text = """
method: bayse
run_cap: -1
metric: {name: "", goal: minimize}
parameters: {a: {min: 1}, b: {value: 1}, c: {values: []}}
"""
    keys = [problem.key for problem in problems_of(tmp_path, text)]
    assert keys == ["run_cap", "method", "parameters.a", "parameters.c", "metric.name"]


def test_unknown_keys_at_the_top_are_warnings(tmp_path):
    text = "method: grid\nparameters: {a: {value: 1}}\ncount: 4\nprogramm: x\nprogram: y"
    sweep = sweep_from(tmp_path, text)
    assert [warning.split("'")[1] for warning in sweep.warnings] == ["count", "programm"]
    assert "run_cap: 4" in sweep.warnings[0]
    assert "program?" in sweep.warnings[1]


def test_a_key_without_a_value_is_no_key(tmp_path):
    text = "method: grid\nparameters: {a: {value: 1}}\nmetric:\nrun_cap:\nearly_terminate:\n"
    sweep = sweep_from(tmp_path, text)
    assert (sweep.metric, sweep.run_cap, sweep.early_terminate) == (None, None, None)


@pytest.mark.parametrize("number", ["1_000", "1000.0", "1e3", "1_0_00.0"])
def test_whole_numbers_may_be_written_as_people_do(number, tmp_path):
    text = f"""
method: random
run_cap: {number}
seed: {number}
parameters:
  a: {{min: 10, max: {number}, distribution: int_uniform}}
  b: {{min: 0.5, max: {number}}}
metric: {{name: x, target: {number}}}
early_terminate: {{type: hyperband, max_iter: {number}, s: 2.0, eta: 3, strict: yes}}
"""
    sweep = sweep_from(tmp_path, text)
    assert [sweep.run_cap, sweep.seed, sweep.parameters[0].high] == [1000] * 3
    assert {type(sweep.run_cap), type(sweep.seed), type(sweep.parameters[0].high)} == {int}
    assert (sweep.parameters[1].distribution, sweep.parameters[1].high) == ("uniform", 1000)
    assert sweep.metric.target == 1000
    rule = sweep.early_terminate
    assert (rule.max_iter, rule.s, rule.strict) == (1000, 2, True)
    assert {type(rule.max_iter), type(rule.s)} == {int}


def test_num_runs_may_be_written_so_too(tmp_path):
    text = SHORT.replace('"grid"', "random").replace("num_runs: 3", "num_runs: 1.0")
    assert len(list(sweep_from(tmp_path, text).points())) == 1


def test_numbers_with_underscores_have_the_distribution_of_whole_ones(tmp_path):
    parameter = only(tmp_path, "{min: 1_000, max: 2_000}")
    assert (parameter.distribution, parameter.low, parameter.high) == ("int_uniform", 1000, 2000)


@pytest.mark.parametrize("key", ["run_cap", "num_runs", "seed"])
@pytest.mark.parametrize("number", ["3.5", "'3'", "true", "[3]", ".inf", "_3"])
def test_what_is_no_whole_number_is_refused(key, number, tmp_path):
    text = f"method: grid\nparameters: {{a: {{value: 1}}}}\n{key}: {number}"
    found = problems_of(tmp_path, text)
    assert_problem(found, key, ANY, *(["quotes"] if number == "'3'" else []))


def test_keys_that_are_whole_numbers_are_text(tmp_path):
    text = """
method: grid
parameters:
  1: {value: {0: 0.1, 50: {true: 2}}}
  stages: {parameters: {0: {parameters: {repeat: {values: [1, 2]}}}, 1: {value: 3}}}
2024: unknown
"""
    sweep = sweep_from(tmp_path, text)
    assert list(sweep.points())[1] == {
        "1": {"0": 0.1, "50": {"true": 2}},
        "stages.0.repeat": 2,
        "stages.1": 3,
    }
    assert canonical_json(read_content(tmp_path / "sweep.yaml"))
    assert "2024" in sweep.warnings[0]


def test_a_key_given_as_number_and_as_text_is_given_twice(tmp_path):
    text = "method: grid\nparameters: {1: {value: 1}, '1': {value: 2}}"
    assert_problem(problem_of(tmp_path, text), "", None, "1", "twice")


def test_a_command_has_the_words_that_wandb_makes_of_its_entries(tmp_path):
    text = "method: grid\nparameters: {a: {value: 1}}\ncommand: [python, true, null, 3, 0.5]"
    assert sweep_from(tmp_path, text).command.words == ("python", "True", "None", "3", "0.5")


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("command: [python, [a, b]]", "command.1", ["list"]),
        ("command: [python, {a: b}]", "command.1", ["quotes"]),
        ("count: .nan", "count", ["nan"]),
    ],
)
def test_entries_without_a_plain_form_are_named(text, key, words, tmp_path):
    text = f"method: grid\nparameters: {{a: {{value: 1}}}}\n{text}"
    assert_problem(problem_of(tmp_path, text), key, None, *words)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("method: grid\nparemetrs: {a: {value: 1}}", "parameters", ["paremetrs"]),
        ("method: grid\nparameter: {a: {value: 1}}", "parameters", ["parameter "]),
        ("method: grid\nparameters: [{name: a, values: [1]}]", "parameters", ["dashes"]),
        ("- method: grid", "", ["method", "parameters"]),
        ("method: grid\nparameters: {a: [1, 2]}", "parameters.a", ["values: in front"]),
        ("method: grid\nparameters: {a: 1}", "parameters.a", ["value: before"]),
        ("method: grid\nparameters: {a: {values: 5}}", "parameters.a", ["list", "value:"]),
        ("method: random\nparameters: {a: {min: '0.1', max: 1}}", "parameters.a", ["quotes"]),
        ("method: grid\nparameters: {a: {b: {values: [1]}}}", "parameters.a", ["parameters:"]),
        ("method: Grid\nparameters: {a: {value: 1}}", "method", ["did you mean grid?"]),
        ("method: bayesian\nparameters: {a: {value: 1}}", "method", ["did you mean bayes?"]),
        ("method: grid\nparameters:\n\ta: {value: 1}", "", ["line 3", "tab"]),
        ("method: grid\nparameters: {a: {value: 1}}\n---\nx: 1", "", ["line 3", "document"]),
        *(
            (
                f"method: random\nparameters: {{a: {{distribution: {given}, min: 1, max: 2}}}}",
                "parameters.a",
                [f"{meant}?"],
            )
            for given, meant in (
                ("loguniform", "log_uniform_values"),
                ("log-uniform", "log_uniform_values"),
                ("quniform", "q_uniform"),
                ("randint", "int_uniform"),
                ("Choice", "categorical"),
                ("gaussian", "normal"),
                ("Uniform", "uniform"),
            )
        ),
    ],
)
def test_files_as_people_write_them_are_refused_with_what_to_write(text, key, words, tmp_path):
    assert_problem(problem_of(tmp_path, text), key, ANY, *words, file="sweep.yaml")


def test_a_list_under_value_is_one_value_and_is_warned_of(tmp_path):
    text = "method: grid\nparameters: {a: {value: [1, 2]}, b: {value: [1]}, c: {values: [[1, 2]]}}"
    sweep = sweep_from(tmp_path, text)
    assert list(sweep.points()) == [{"a": [1, 2], "b": [1], "c": [1, 2]}]
    (warning,) = sweep.warnings
    assert "parameters.a" in warning and "values:" in warning


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffmethod: grid\r\nparameters:\r\n  a:\r\n    values: [1, 2]\r\n",
        "---\nmethod: grid\nparameters: {a: {values: [1, 2]}}\n...\n",
        "method: grid\nx: &x {values: [1, 2]}\nparameters: {a: *x}",
        "method: grid\nx: &x {values: [1, 2]}\nparameters: {a: {<<: *x}}",
    ],
)
def test_every_spelling_of_the_same_file_is_read(text, tmp_path):
    (tmp_path / "sweep.yaml").write_bytes(text.encode())
    assert [point["a"] for point in load_sweep(tmp_path / "sweep.yaml").points()] == [1, 2]


def test_what_the_agent_needs_is_kept(tmp_path):
    text = """
method: bayes
name: mine
description: for people
program: train.py
project: p
entity: e
command: ["${env}", python, "${program}", --depth, 3, "${args}"]
metric: {name: acc, goal: maximize, target: 0.9, impute: latest, impute_while_running: "false"}
controller: {type: local}
kind: sweep
sampler: tpe
seed: 7
parameters: {a: {distribution: normal}}
"""
    sweep = sweep_from(tmp_path, text)
    assert (sweep.name, sweep.program, sweep.project, sweep.entity) == (
        "mine",
        "train.py",
        "p",
        "e",
    )
    assert sweep.command.words == ("${env}", "python", "${program}", "--depth", "3", "${args}")
    assert sweep.metric == SweepMetric("acc", "maximize", 0.9)
    assert (sweep.sampler, sweep.seed) == ("tpe", 7)
    (warning,) = sweep.warnings
    assert "metric.impute" in warning


def test_bayes_has_no_list_of_points(tmp_path):
    sweep = sweep_from(tmp_path, "method: bayes\nsampler: auto\nparameters: {a: {values: [1]}}")
    assert sweep.sampler is None
    with pytest.raises(ConfigError, match="rounds"):
        next(sweep.points(3))


def test_a_grid_too_large_to_enumerate_asks_for_a_limit(tmp_path):
    text = "method: grid\nparameters: {a: {min: 1, max: 2000}, b: {min: 1, max: 2000}}"
    assert_problem(problem_of(tmp_path, text), ANY, ANY, "4,000,000", "run_cap")
    assert len(list(sweep_from(tmp_path, text + "\nrun_cap: 3").points())) == 3


HUGE = [
    "{min: 0, max: 100000000000}",
    "{min: 0, max: 1" + "0" * 30 + "}",
    "{distribution: q_uniform, min: 0, max: 1, q: 1e-11}",
]


@pytest.mark.parametrize("spec", HUGE)
@pytest.mark.parametrize("top", ["method: grid", "method: random\nsampler: without_replacement"])
def test_a_huge_grid_is_counted_and_never_listed(spec, top, tmp_path):
    text = f"{top}\nparameters: {{a: {spec}, b: {{values: [1, 2]}}}}"
    assert_problem(problem_of(tmp_path, text), ANY, ANY, "00,00", "run_cap", "1,000,000")
    problem = problem_of(tmp_path, f"{text}\nrun_cap: 1000001")
    assert_problem(problem, ANY, ANY, "00,00", "run_cap", " 1,000,000")
    assert len(list(sweep_from(tmp_path, f"{text}\nrun_cap: 3").points())) == 3


@pytest.mark.parametrize("top", ["random", "random\nsampler: sobol", "bayes"])
def test_a_sweep_has_no_more_than_a_million_trials(top, tmp_path):
    text = f"method: {top}\nparameters: {{a: {{min: 0.0, max: 1.0}}}}\nrun_cap: "
    problem = problem_of(tmp_path, f"{text}100000000000")
    assert_problem(problem, "run_cap", 10**11, "1,000,000")
    assert sweep_from(tmp_path, f"{text}1000000").run_cap == 1_000_000


def test_a_small_grid_may_have_any_cap(tmp_path):
    text = "method: grid\nrun_cap: 100000000000\nparameters: {a: {values: [1, 2]}}"
    assert len(list(sweep_from(tmp_path, text).points())) == 2


def test_a_value_that_a_grid_has_twice_is_warned_of(tmp_path):
    sweep = sweep_from(tmp_path, "method: grid\nparameters: {a: {values: [1, 1.0, 2]}}")
    assert [point["a"] for point in sweep.points()] == [1, 2]
    assert all(word in sweep.warnings[0] for word in ("parameters.a", "3 values", "2"))


def test_numbers_in_short_exponent_form_are_numbers(tmp_path):
    parameter = only(tmp_path, "{distribution: log_uniform_values, min: 1e-5, max: 1E-1}")
    assert parameter.extremes == (1e-5, 0.1)


def test_without_a_goal_a_sweep_leaves_it_to_the_metric(tmp_path):
    base = "method: grid\nparameters: {a: {value: 1}}\n"
    assert sweep_from(tmp_path, base).metric is None
    assert sweep_from(tmp_path, base + "metric: {name: val/loss}").metric.goal is None
    assert sweep_from(tmp_path, base + "metric: {name: acc, goal: maximize}").metric.name == "acc"


# Files of other people


@pytest.mark.skipif(not REAL_FILES.is_dir(), reason="no shared/data/sweep_yamls beside the project")
@pytest.mark.parametrize(
    ("name", "method", "parameters", "swept", "bands"),
    [
        ("00-uno-00+fluke__sweep", "bayes", 4, 4, None),
        ("CopurOnur+ED-MTT__configs__sweep", "grid", 1, 1, None),
        ("FeherBalazs+cora__sweeps__sweep", "grid", 62, 15, None),
        ("FeherBalazs+cora__sweeps__sweep_random", "random", 62, 9, None),
        ("NWeis97+ML_Ops_ExamProject__configs__sweep", "bayes", 6, 6, None),
        ("borisdayma+dalle-mini__tools__train__sweep", "random", 14, 1, None),
        (f"{STAGES}", "grid", 5, 5, (1, 3)),
        (f"{STAGES}_bayes", "bayes", 5, 5, (1, 3)),
        (f"{STAGES}_random", "random", 5, 5, (1, 3)),
        (f"{EXAMPLES}local-controller__sweep-local-hyperband", "grid", 6, 3, (1, 3)),
        (f"{EXAMPLES}nested-params__sweep-nested-cli", "grid", 3, 3, None),
        (f"{EXAMPLES}sweep-grid", "grid", 6, 3, None),
    ],
)
def test_real_files_load(name, method, parameters, swept, bands):
    sweep = load_sweep(REAL_FILES / f"{name}.yaml")
    assert (sweep.method, len(sweep.parameters)) == (method, parameters)
    assert sum(parameter.swept for parameter in sweep.parameters) == swept
    assert sweep.warnings == ()
    early = sweep.early_terminate
    assert (early and early.bands(20)) == bands
    if method != "bayes":
        points = list(sweep.points(limit=4))
        assert all(len(point) == parameters for point in points)


@pytest.mark.skipif(not REAL_FILES.is_dir(), reason="no shared/data/sweep_yamls beside the project")
def test_every_real_file_is_covered():
    assert len(list(REAL_FILES.glob("*.yaml"))) == 12
