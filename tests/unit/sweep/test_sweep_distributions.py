"""Distributions of sweep parameters: what they draw, where values lie, what JSON keeps."""

import dataclasses
import json
import math
import re
import subprocess
import sys

import pytest

from resweep.canonical import round_sampled
from resweep.sweep import Parameter, load_sweep

SPECS = {
    "constant": "{value: 3}",
    "choices": "{values: [a, 1, 2.5, true, null, [1, 2], {x: 1}]}",
    "weighted": "{values: [a, b, c], probabilities: [0.25, 0, 0.75]}",
    "int_uniform": "{min: -3, max: 12}",
    "uniform": "{min: 0.25, max: 4}",
    "q_uniform": "{distribution: q_uniform, min: 0.3, max: 2.05, q: 0.1}",
    "q_uniform_whole": "{distribution: q_uniform, min: 3, max: 60, q: 8}",
    "log_uniform": "{distribution: log_uniform, min: -9.2, max: -6.9}",
    "log_uniform_values": "{distribution: log_uniform_values, min: 1e-5, max: 1e-1}",
    "inv_log_uniform": "{distribution: inv_log_uniform, min: 1.5, max: 6}",
    "inv_log_uniform_values": "{distribution: inv_log_uniform_values, min: 1e-3, max: 10}",
    "q_log_uniform": "{distribution: q_log_uniform, min: 1, max: 5, q: 2}",
    "q_log_uniform_values": "{distribution: q_log_uniform_values, min: 1, max: 500, q: 4}",
    "normal": "{distribution: normal, mu: -3, sigma: 0.5}",
    "q_normal": "{distribution: q_normal, sigma: 3, q: 0.25}",
    "log_normal": "{distribution: log_normal, mu: -5, sigma: 0.7}",
    "q_log_normal": "{distribution: q_log_normal, mu: 3, q: 1}",
    "beta": "{distribution: beta, a: 2, b: 0.5}",
    "q_beta": "{distribution: q_beta, a: 2, b: 3, q: 0.05}",
}
BOUNDS = {
    "int_uniform": (-3, 12),
    "uniform": (0.25, 4),
    "q_uniform": (0.3, 2.0),
    "q_uniform_whole": (8, 56),
    "log_uniform": (round_sampled(math.exp(-9.2)), round_sampled(math.exp(-6.9))),
    "log_uniform_values": (1e-5, 1e-1),
    "inv_log_uniform": (round_sampled(math.exp(-6)), round_sampled(math.exp(-1.5))),
    "inv_log_uniform_values": (1e-3, 10),
    "q_log_uniform": (4, 148),
    "q_log_uniform_values": (4, 500),
    "beta": (0, 1),
    "q_beta": (0, 1),
}
GRID = [0.0, 1e-9, *(i / 97 for i in range(1, 97)), 1 - 1e-9, 1 - 2**-53]
CONTINUOUS = [
    "uniform", "log_uniform", "log_uniform_values", "inv_log_uniform", "inv_log_uniform_values",
    "normal", "log_normal", "beta",
]  # fmt: skip


@pytest.fixture
def make(tmp_path):
    """The one parameter of a sweep file, from its text or its name above."""

    def read(spec: str) -> Parameter:
        file = tmp_path / "sweep.yaml"
        file.write_text(f"method: random\nparameters: {{p: {SPECS.get(spec, spec)}}}\n")
        return load_sweep(file).parameters[0]

    return read


@pytest.mark.parametrize("name", SPECS)
def test_a_parameter_goes_through_json(name, make):
    parameter = make(name)
    text = json.dumps(dataclasses.asdict(parameter))
    again = Parameter(**json.loads(text))
    assert again == parameter
    assert [again.draw(u) for u in GRID] == [parameter.draw(u) for u in GRID]


@pytest.mark.parametrize("name", SPECS)
def test_every_draw_is_found_where_it_was_drawn(name, make):
    parameter = make(name)
    for u in GRID:
        value = parameter.draw(u)
        place = parameter.locate(value)
        assert 0 <= place <= 1
        if name in CONTINUOUS:
            if 1e-6 < u < 1 - 1e-6:
                assert place == pytest.approx(u, abs=1e-6)
        else:
            assert parameter.draw(place) == value
            assert type(parameter.draw(place)) is type(value)


@pytest.mark.parametrize("name", sorted(SPECS.keys() - {"constant", "choices", "weighted"}))
def test_draws_rise_with_u_and_never_leave_the_bounds(name, make):
    parameter = make(name)
    values = [parameter.draw(u) for u in GRID]
    assert values == sorted(values)
    assert all(math.isfinite(value) for value in values)
    assert all(math.copysign(1, value) > 0 for value in values if value == 0)
    if name in BOUNDS:
        low, high = BOUNDS[name]
        assert all(low <= value <= high for value in values)
        assert values[0] == pytest.approx(low, abs=1e-4, rel=1e-6)
        assert values[-1] == pytest.approx(high, rel=1e-6)


def test_bounds_hold_where_rounding_to_multiples_would_leave_them(make):
    parameter = make("{distribution: q_uniform, min: 0.6, max: 10.4, q: 2}")
    assert sorted({parameter.draw(u) for u in GRID}) == [2, 4, 6, 8, 10]
    assert parameter.extremes == (2, 10)


def test_whole_steps_draw_whole_numbers_and_others_short_ones(make):
    whole = make("q_uniform_whole")
    assert {type(whole.draw(u)) for u in GRID} == {int}
    tenths = make("q_uniform")
    assert {tenths.draw(u) for u in GRID} == {round(i / 10, 1) for i in range(3, 21)}
    assert type(make("{distribution: q_uniform, min: 0, max: 9}").draw(0.5)) is float


def test_the_default_shapes_are_those_of_wandb(make):
    assert make("{distribution: normal}").draw(0.5) == 0
    assert make("{distribution: normal}").draw(0.975) == pytest.approx(1.959964)
    assert make("{distribution: log_normal}").draw(0.5) == 1
    assert make("{distribution: beta}").draw(0.3) == pytest.approx(0.3)


def test_a_beta_distribution_has_its_own_median(make):
    assert make("{distribution: beta, a: 2, b: 2}").draw(0.5) == 0.5
    assert make("{distribution: beta, a: 1, b: 3}").draw(0.5) == pytest.approx(1 - 0.5 ** (1 / 3))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("constant", 4),
        ("choices", "b"),
        ("choices", False),
        ("weighted", "b"),
        ("int_uniform", 13),
        ("int_uniform", 1.5),
        ("int_uniform", True),
        ("uniform", 4.1),
        ("uniform", "1"),
        ("uniform", None),
        ("q_uniform", 0.35),
        ("q_uniform", 2.1),
        ("log_uniform_values", 0.0),
        ("normal", math.inf),
        ("normal", math.nan),
        ("log_normal", 0.0),
        ("beta", 1.5),
        ("q_log_normal", -1),
    ],
)
def test_a_value_that_cannot_be_drawn_has_no_place(name, value, make):
    with pytest.raises(ValueError, match=re.escape(repr(value))):
        make(name).locate(value)


@pytest.mark.parametrize("value", ["a", 1, 1.0, True, None, [1, 2], {"x": 1}, 2.5])
def test_choices_are_found_by_value_with_true_apart_from_one(value, make):
    parameter = make("choices")
    found = parameter.draw(parameter.locate(value))
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


def test_a_choice_lies_in_the_middle_of_its_share(make):
    assert make("{values: [a, b, c, d]}").locate("b") == 0.375
    assert make("weighted").locate("c") == pytest.approx(0.625)
    assert make("{min: 1, max: 4}").locate(2) == 0.375
    assert make("{distribution: q_uniform, min: 0, max: 10, q: 5}").locate(0) == 0.125


def test_extremes_are_all_choices_both_bounds_or_quantiles(make):
    assert make("{values: [3, 1]}").extremes == (3, 1)
    assert make("uniform").extremes == (0.25, 4)
    assert make("log_uniform").extremes == pytest.approx(BOUNDS["log_uniform"])
    low, middle, high = make("{distribution: normal, mu: 2}").extremes
    assert low < middle == 2 < high


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ("{distribution: q_uniform, min: 1, max: 10, q: 2}", [1, 3, 5, 7, 9]),
        ("{distribution: q_uniform, min: 1, max: 9, q: 2}", [1, 3, 5, 7]),
        ("{distribution: q_uniform, min: 0.1, max: 0.6, q: 0.1}", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("{distribution: q_uniform, min: 0, max: 3}", [0.0, 1.0, 2.0]),
        ("{min: 2, max: 4}", [2, 3, 4]),
        ("{values: [2, 1, 2.0, true, 2]}", [2, 1, True]),
        ("{values: [[1], [1, 2], [1], {a: 1}, {a: 1}]}", [[1], [1, 2], {"a": 1}]),
    ],
)
def test_a_grid_has_the_values_of_wandb_each_once(spec, values, make):
    parameter = make(spec)
    found = [parameter.grid_value(position) for position in range(parameter.grid_count())]
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(
    "name", ["weighted", *CONTINUOUS, "q_normal", "q_log_uniform_values", "q_beta"]
)
def test_what_has_no_list_of_values_says_what_to_write_for_a_grid(name, make):
    with pytest.raises(ValueError, match=r"values: \[\.\.\.\]|probabilities"):
        make(name).grid_count()


def test_numpy_and_scipy_load_only_for_what_needs_them(tmp_path):
    light = ", ".join(f"{key}: {SPECS[key]}" for key in SPECS if "beta" not in key)
    (tmp_path / "light.yaml").write_text(f"method: random\nparameters: {{{light}}}\n")
    code = (
        "import sys; from resweep.sweep import load_sweep\n"
        f"points = list(load_sweep({str(tmp_path / 'light.yaml')!r}).points(9))\n"
        "print(len(points), sorted({'numpy', 'scipy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "9 []"
