"""Dotted paths: into lists that are there, lists that are made, and paths that lead nowhere."""

import copy
import itertools

import pytest

from resweep.config import compose
from resweep.config.compose import Layer
from resweep.config.nesting import (
    PathError,
    assign_paths,
    changed_paths,
    find,
    leaves,
    nest,
    with_value,
)
from resweep.errors import ConfigError
from tests.support.tiny import LANGUAGE

STAGES = {"arch": {"stages": [{"repeat": 3, "inputs": True}, {"repeat": 2}], "sizes": [4, 8]}}


def test_a_number_enters_a_list_and_leaves_the_original_alone():
    before = copy.deepcopy(STAGES)
    changed = with_value(STAGES, "arch.stages.0.repeat", 1)
    assert changed["arch"]["stages"] == [{"repeat": 1, "inputs": True}, {"repeat": 2}]
    assert with_value(STAGES, "arch.sizes.1", 9)["arch"]["sizes"] == [4, 9]
    assert with_value(STAGES, "arch.stages.1", None)["arch"]["stages"][1] is None
    assert with_value(STAGES, "arch.stages", [])["arch"]["stages"] == []
    assert before == STAGES


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("arch.stages.2.repeat", r"arch\.stages\b.*arch\.stages\.0 to arch\.stages\.1"),
        ("arch.stages.repeat", "'repeat'"),
        ("arch.stages.-1.repeat", "'-1'"),
        ("arch.sizes.x", r"arch\.sizes\.0 to arch\.sizes\.1"),
        ("arch.none.0", r"arch\.none\b.*no entries"),
    ],
)
def test_a_place_that_a_list_does_not_have_is_named(path, words):
    config = with_value(STAGES, "arch.none", [])
    with pytest.raises(PathError, match=words) as caught:
        assign_paths(config, {path: 1})
    assert caught.value.path == path


def test_numbered_entries_make_a_list_in_any_order():
    values = {f"arch.stages.{i}.repeat": i for i in range(3)} | {"arch.stages.1.inputs": False}
    wanted = [{"repeat": 0}, {"repeat": 1, "inputs": False}, {"repeat": 2}]
    for order in itertools.permutations(values):
        made = assign_paths({}, {path: values[path] for path in order})
        assert made == {"arch": {"stages": wanted}}
        later = assign_paths(made, {"arch.stages.2.repeat": 9})
        assert later["arch"]["stages"] == [*wanted[:2], {"repeat": 9}]


def test_lists_in_lists_are_made_too():
    values = {"a.0.b.1": 2, "a.0.b.0": 1, "a.1": 5}
    assert assign_paths({}, values) == {"a": [{"b": [1, 2]}, 5]}
    assert assign_paths({"a": [{"b": [0, 0]}, 0]}, values) == {"a": [{"b": [1, 2]}, 5]}


def test_numbers_with_gaps_stay_names():
    assert assign_paths({}, {"decay.10": 0.1, "decay.20": 0.01}) == {
        "decay": {"10": 0.1, "20": 0.01}
    }


def test_a_list_is_one_leaf_unless_its_entries_are_asked_for():
    assert dict(leaves(STAGES)) == {
        "arch.stages": STAGES["arch"]["stages"],
        "arch.sizes": [4, 8],
    }
    assert dict(leaves(STAGES, entries=True)) == {
        "arch.stages.0.repeat": 3,
        "arch.stages.0.inputs": True,
        "arch.stages.1.repeat": 2,
        "arch.sizes": [4, 8],
    }


def test_a_mapping_among_own_names_is_one_leaf_wherever_it_is_written():
    own = {"own": {"config": {"a": {"b": 1}}, "x.y": 2}}
    flat = {"own.config": {"a": {"b": 1}}, "own.x.y": 2}
    assert dict(leaves(own)) == dict(leaves(flat)) == flat
    assert nest(flat) == assign_paths({}, flat) == own


def test_what_stands_at_a_path_is_found():
    assert find(STAGES, "arch.stages.1.repeat") == 2
    assert find(STAGES, "arch.stages.2.repeat") is None
    assert find(STAGES, "arch.stages.x") is None
    assert find(STAGES, "arch.sizes.0.x") is None


def test_a_layer_enters_the_list_of_one_below_it():
    layers = [
        Layer("module", nest({"arch.stages": STAGES["arch"]["stages"]})),
        Layer("study", nest({"arch.stages.1.repeat": 7})),
    ]
    merged = compose.merge(layers)
    assert merged.content == with_value(
        {"arch": {"stages": STAGES["arch"]["stages"]}}, "arch.stages.1.repeat", 7
    )
    assert merged.origin_of("arch.stages.1.repeat", "?") == "study"


def test_a_layer_replaces_a_whole_list():
    layers = [Layer("module", STAGES), Layer("study", nest({"arch.stages": [{"repeat": 1}]}))]
    assert compose.merge(layers).content["arch"]["stages"] == [{"repeat": 1}]


def test_layers_that_miss_a_list_are_all_named():
    layers = [
        Layer("module", STAGES),
        Layer("study", nest({"arch.stages.5.repeat": 7})),
        Layer("cli", nest({"arch.stages.repeat": 7})),
    ]
    with pytest.raises(ConfigError) as caught:
        compose.merge(layers)
    assert [(p.file, p.key) for p in caught.value.problems] == [
        ("study", "arch.stages.5.repeat"),
        ("cli", "arch.stages.repeat"),
    ]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("inputs", "arch.stages.0.inputs"),
        ("sizes", "arch.sizes"),
        ("depth", "arch.encoder.depth"),
        ("encoder", "arch.encoder"),
        ("stages.0.repeat", "stages.0.repeat"),
    ],
)
def test_a_flat_name_means_the_one_leaf_that_has_it(name, path):
    config = {"arch": {**STAGES["arch"], "encoder": {"depth": 4}}}
    assert compose.resolve_name(name, config, LANGUAGE) == path


def test_a_flat_name_of_several_leaves_lists_them():
    with pytest.raises(ValueError, match=r"arch\.stages\.0\.repeat or arch\.stages\.1\.repeat"):
        compose.resolve_name("repeat", STAGES, LANGUAGE)
    with pytest.raises(ValueError, match=r"optim\.muon\.learning_rate or training\.learning_rate"):
        compose.resolve_name("learning_rate", {"optim": {"muon": {"learning_rate": 1}}}, LANGUAGE)


def test_a_known_field_is_set_as_a_whole():
    with pytest.raises(ValueError, match=r"data\.paths\b"):
        compose.coerce("data.paths.0", "a.txt", LANGUAGE)
    with pytest.raises(ValueError, match=r"training\.learning_rate\b"):
        compose.coerce("training.learning_rate.peak", 1, LANGUAGE)
    assert compose.coerce("training.mine.0", 3, LANGUAGE) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"model.n_head": 3}, ["model: ", "n_embd = 32", "n_head = 3"]),
        ({"training.max_steps": None}, ["training: ", "max_steps", "num_epochs"]),
        ({"data.source": "text"}, ["data: ", "text", "paths"]),
        ({"model.vocab_size": 10}, ["model.vocab_size: ", "257"]),
        ({"arch": {"mine": 1}}, None),
    ],
)
def test_values_that_do_not_fit_each_other_are_infeasible(changes, words):
    layers = [Layer("base", {"training": {"max_steps": 9}, "model": {"n_embd": 32}})]
    config, problems = compose.validate(compose.merge(layers), "?", LANGUAGE)
    assert problems == []
    before = copy.deepcopy(config)
    reason = compose.infeasible(compose.assign(config, changes), LANGUAGE)
    assert (reason is None) is (words is None)
    assert all(word in str(reason) for word in words or [])
    assert config == before


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c"]),
        ({"a": {"b": {}}}, {"a": {"b": {"x": 1}}}, ["a.b.x"]),
        ({"a": {"b": {"x": 1, "y": 2}}}, {"a": {"b": {"x": 3}}}, ["a.b"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}, ["a.b"]),
        ({"a": {"b": None}}, {"a": {"b": None}}, []),
    ],
)
def test_setting_what_changed_gives_the_other_configuration(before, after, paths):
    changed = changed_paths(before, after)
    assert changed == paths
    assert assign_paths(before, {path: find(after, path) for path in changed}) == after
