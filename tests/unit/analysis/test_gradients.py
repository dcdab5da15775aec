"""Norms, cosines, noise and faults of gradients, against numbers computed by hand."""

import math

import pytest
import torch
from torch import Tensor

from resweep.analysis.gradient_text import short_names, spread
from resweep.analysis.gradients import (
    Part,
    between_layers,
    cosines,
    faults,
    join,
    layer_of,
    layers_of,
    measure,
    usual_norms,
)

NAMES = ["t.wte.weight", "t.h.0.a.weight", "t.h.1.a.weight", "t.h.0.a.bias", "t.ln_f.bias"]


def tensor(*values: float) -> Tensor:
    return torch.tensor(values)


def part(name: str, rms: float, elements: int = 4) -> Part:
    return Part(name=name, elements=elements, squares=elements * rms**2)


@pytest.mark.parametrize(
    ("parameter", "layer"),
    [
        ("transformer.h.0.mlp.c_fc.weight", "transformer.h.0"),
        ("transformer.h.11.ln_1.bias", "transformer.h.11"),
        ("model.layers.3.mlp.experts.7.up.weight", "model.layers.3"),
        ("transformer.wte.weight", "transformer.wte"),
        ("lm_head.weight", "lm_head"),
        ("scale", "scale"),
    ],
)
def test_a_layer_is_a_block_or_a_module_outside_of_blocks(parameter: str, layer: str) -> None:
    assert layer_of(parameter) == layer


def test_layers_have_all_of_their_parameters() -> None:
    found = layers_of(NAMES)
    assert list(found) == ["t.wte", "t.h.0", "t.h.1", "t.ln_f"]
    assert found["t.h.0"] == ["t.h.0.a.weight", "t.h.0.a.bias"]


def test_norms_are_those_of_all_elements() -> None:
    first, second = measure("a", tensor(3.0, 4.0)), measure("b", tensor(12.0).reshape(1, 1))
    assert (first.norm, first.rms) == (5.0, pytest.approx(5 / math.sqrt(2)))
    both = join("all", [first, second])
    assert (both.norm, both.elements) == (13.0, 3)
    assert both.rms == pytest.approx(13 / math.sqrt(3))
    assert measure("empty", torch.empty(0)).rms == 0.0


def test_noise_is_the_variance_over_samples() -> None:
    samples = torch.tensor([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]])  # variances 4 and 0, means 3 and 2
    found = measure("a", samples.mean(0), samples).noise
    assert found is not None
    assert (found.samples, found.variance, found.signal) == (3, 4.0, 13.0)
    assert found.share == pytest.approx(4 / 3 / 13)
    other = measure("b", tensor(0.0), torch.tensor([[1.0], [-1.0], [0.0]]))
    assert other.noise is not None and other.noise.share is None  # the mean is zero
    both = join("all", [measure("a", samples.mean(0), samples), other]).noise
    assert both is not None and (both.variance, both.signal) == (5.0, 13.0)
    assert measure("a", tensor(1.0), tensor(1.0)[None]).noise is None  # one sample has none
    assert join("all", [measure("a", tensor(1.0))]).noise is None


def test_cosines_of_known_angles() -> None:
    found = cosines(
        {
            "x": [tensor(1.0), tensor(0.0)],
            "y": [tensor(0.0), tensor(2.0)],
            "-x": [tensor(-3.0), tensor(0.0)],
            "xy": [tensor(1.0), tensor(1.0)],
            "none": [tensor(0.0), tensor(0.0)],
            "nan": [tensor(math.nan), tensor(0.0)],
        }
    )
    assert found.names == ["x", "y", "-x", "xy", "none", "nan"]
    x, y, back, both, none, nan = found.values
    half = pytest.approx(math.sqrt(0.5))
    assert x == [1.0, 0.0, -1.0, half, None, None]
    assert y == [0.0, 1.0, 0.0, half, None, None]
    assert (back[2], both[2], both[3]) == (1.0, pytest.approx(-math.sqrt(0.5)), 1.0)
    assert none == nan == [None] * 6


def test_only_layers_with_equal_parameters_are_compared() -> None:
    gradients = {
        "wte.weight": torch.ones(5, 2),
        "h.0.b.weight": tensor(1.0, 0.0),
        "h.0.a.weight": tensor(0.0),
        "h.1.a.weight": tensor(0.0),  # in another order
        "h.1.b.weight": tensor(0.0, 1.0),
        "h.2.a.weight": tensor(1.0, 1.0),  # of another shape
    }
    found = between_layers(gradients)
    assert found is not None
    assert (found.names, found.values) == (["h.0", "h.1"], [[1.0, 0.0], [0.0, 1.0]])
    assert between_layers({"h.0.a": tensor(1.0), "wte": tensor(1.0, 2.0)}) is None


@pytest.mark.parametrize(
    ("rms", "kind"),
    [
        (1.0, None),
        (1.1e-3, None),
        (0.9e-3, "vanishing"),
        (0.0, "vanishing"),
        (999.0, None),
        (1001.0, "exploding"),
        (math.inf, "exploding"),
        (math.nan, "exploding"),
    ],
)
def test_faults_between_layers(rms: float, kind: str | None) -> None:
    checkpoint = [part("a", 1.0), part("b", 1.0, 400), part("c", rms), part("d", 1.0)]
    found = faults(checkpoint)
    assert found.keys() == ({"c"} if kind else set())
    assert kind is None or found["c"].startswith(f"{kind}: ")


def test_what_adam_cannot_see_vanishes_even_if_all_layers_do() -> None:
    assert faults([part("a", 2e-8), part("b", 2e-8)]) == {}
    assert faults([part("a", 9e-9), part("b", 9e-9)]).keys() == {"a", "b"}
    assert faults([]) == {}


def test_faults_over_checkpoints_need_a_usual_norm() -> None:
    course = [[part("a", rms)] for rms in (1.0, 1.0, 11.0)]
    usual = usual_norms(course)
    assert usual == {"a": 2.0}  # four elements
    assert [bool(faults(one, usual.get)) for one in course] == [False, False, True]
    assert usual_norms(course[1:]) == {}
    assert usual_norms([[part("a", rms)] for rms in (math.nan, 0.0, 0.0)]) == {}


def test_names_are_shown_without_what_they_share() -> None:
    assert short_names(["t.wte", "t.h.0", "t.h.1"]) == ["wte", "h.0", "h.1"]
    assert short_names(["t.h.0", "t.h.1"]) == ["h.0", "h.1"]
    assert short_names(["wte", "t.h.1"]) == ["wte", "t.h.1"]
    assert short_names(["100", "200"]) == ["100", "200"]
    assert short_names([]) == []


def test_side_by_side_are_the_first_the_last_and_some_between() -> None:
    assert spread(range(8)) == list(range(8))
    found = spread(range(100))
    assert (len(found), found[0], found[-1]) == (8, 0, 99) and found == sorted(set(found))
