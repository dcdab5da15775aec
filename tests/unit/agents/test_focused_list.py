"""Configurations near those of a list."""

import pytest

from resweep import yaml12
from resweep.agents.focused_list import focused_list, list_text
from resweep.systems.registry import find_system
from tests.support.problems import problem_of

SCHEMA = find_system().schema
LR, WARMUP = "training.learning_rate", "training.pct_warmup"
BEST = "- {learning_rate: 4e-3, pct_warmup: 0.1, n_layer: 4, bias: true}\n- {learning_rate: 1e-3}\n"


@pytest.fixture
def best(tmp_path):
    file = tmp_path / "best.yaml"
    file.write_text(BEST)
    return file


def points(best, count=6, **given):
    return focused_list(best, count, SCHEMA, **{"seed": 0, "factors": {}, "clip": {}, **given})


def test_each_configuration_has_points_near_it(best):
    found = points(best)
    assert len(found) == 12
    for point in found[:6]:
        assert 2e-3 <= point[LR] <= 8e-3 and 0.05 <= point[WARMUP] <= 0.15
        assert point["model.n_layer"] == 4 and point["model.bias"] is True
    for point in found[6:]:
        assert list(point) == [LR] and 5e-4 <= point[LR] <= 2e-3
    assert len({point[LR] for point in found}) == 12


def test_factors_and_clips_are_kept(best):
    found = points(best, factors={"learning_rate": (0.9, 1.1)}, clip={"pct_warmup": (0.08, 0.09)})
    assert all(3.6e-3 <= point[LR] <= 4.4e-3 for point in found[:6])
    assert all(0.08 <= point[WARMUP] <= 0.09 for point in found[:6])


def test_no_point_has_a_value_that_its_field_refuses(best):
    best.write_text("- {dropout: 0.8}\n")
    assert all(0.4 <= point["model.dropout"] < 1 for point in points(best, 20))


def test_the_seed_decides(best):
    assert points(best) == points(best) != points(best, seed=1)


def test_the_new_list_is_one_of_configurations(best):
    text = list_text(points(best, 1), SCHEMA, "new")
    assert [list(entry) for entry in yaml12.parse(text)] == [
        ["learning_rate", "pct_warmup", "n_layer", "bias"],
        ["learning_rate"],
    ]


@pytest.mark.parametrize(
    ("text", "given", "hint"),
    [
        ("- {bias: true, n_layer: 2}\n", {}, "no real number"),
        (BEST, {"clip": {"pct_warmup": (0.5, 0.6)}}, "only"),
        (BEST, {"factors": {"beta1": (0.5, 2)}}, "is not in"),
        ("{}\n", {}, "list of mappings"),
    ],
)
def test_what_cannot_be_resampled_is_named(text, given, hint, best):
    best.write_text(text)
    assert hint in problem_of(points, best, **given).hint
