"""Layers to one configuration: names, origins, types, and everything wrong at once."""

from typing import Annotated
from unittest.mock import ANY

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from resweep.config import compose, layers
from resweep.config.compose import Composed, Layer
from resweep.config.modules import load_module
from resweep.config.nesting import nest
from resweep.config.schema import Schema
from resweep.config.section import Section, as_tuple
from resweep.config.spelling import _edits, nearest
from tests.support.problems import assert_problem, problem_of
from tests.support.tiny import LANGUAGE

MINIMAL = {"training": {"max_steps": 10}}


def check(own=(), **changes):
    """Check a minimal configuration with flat `changes`; returns it and the problems."""
    made = [Layer("base", MINIMAL), Layer("changes", nest(changes))]
    done = layers.complete(made, "study", LANGUAGE, own)
    return done.config, done.problems


def test_a_minimal_configuration_gets_all_defaults():
    config, problems = check()
    assert problems == []
    assert set(config) == set(LANGUAGE.sections)
    assert config["training"]["learning_rate"] == 1e-3


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("learning_rate", "training.learning_rate"),
        ("n_layer", "model.n_layer"),
        ("paths", "data.paths"),
        ("init_std", "initialization.init_std"),
        ("training.learning_rate", "training.learning_rate"),
        ("model", "model"),
        ("my_own", "my_own"),
        ("my.own", "my.own"),
        ("rope_theta", "model.rope_theta"),
    ],
)
def test_a_flat_name_means_the_one_field_it_can_mean(name, path):
    assert compose.resolve_name(name, {"model": {"rope_theta": 1.0}}, LANGUAGE) == path


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("name", {}),
        ("learning_rate", {"model": {"learning_rate": 1}}),
        ("x", {"a": {"x": 1}, "b": {"x": 1}}),
    ],
)
def test_an_ambiguous_name_lists_what_it_could_mean(name, config):
    with pytest.raises(ValueError, match=rf"\w+\.{name} or \w+\.{name}\b"):
        compose.resolve_name(name, config, LANGUAGE)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("training.learning_rte", "training.learning_rate"),
        ("training.leraning_rate", "training.learning_rate"),
        ("training.Learning_Rate", "training.learning_rate"),
        ("training.learningrate", "training.learning_rate"),
        ("training.batchsize", "training.batch_size"),
        ("training.max_step", "training.max_steps"),
        ("training.warmup_step", "training.warmup_steps"),
        ("training.weigth_decay", "training.weight_decay"),
        ("training.sede", "training.seed"),
        ("training.shceduler", "training.scheduler"),
        ("training.presicion", "training.precision"),
        ("model.n_layers", "model.n_layer"),
        ("model.n_heads", "model.n_head"),
        ("model.n_embed", "model.n_embd"),
        ("model.drop_out", "model.dropout"),
        ("model.context_lenght", "model.context_length"),
        ("data.path", "data.paths"),
        ("data.val_fracton", "data.val_fraction"),
        ("initialization.init_sdt", "initialization.init_std"),
        ("learning_rte", "training.learning_rate"),
        ("patch_size", "training.batch_size"),
        ("nme", "model.name or run.name"),
        ("trainig.x", "training"),
        ("modle.x", "model"),
    ],
)
def test_misspellings_are_errors_that_name_both(wrong, meant):
    _, problems = check(**{wrong: 3})
    (problem,) = problems
    assert problem.key in wrong
    assert_problem(problem, ANY, ANY, f" {meant}?", "own:", "--own")


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("patch_size", "patch_size"),
        ("patch_size.x", "patch_size"),
        ("model.n_heads", "n_heads"),
        ("model.n_heads", "model.n_heads"),
        ("model.n_heads.first", "n_heads"),
        ("training.max_step", "max_step"),
        ("seeds", "seeds"),
        ("dropouts", "dropouts"),
        ("data.path", "data.path"),
    ],
)
def test_a_name_that_the_study_calls_its_own_is_no_misspelling(path, own):
    assert check(**{path: 3})[1] != []
    config, problems = check(own=[own], **{path: 3})
    assert problems == []
    assert dict(compose.leaves(config))[path] == 3


@pytest.mark.parametrize("name", ["mode", "date", "notes", "weight", "bins", "speed", "mind"])
def test_a_word_that_only_resembles_a_section_or_a_short_field_is_no_misspelling(name):
    assert check(**{name: 3})[1] == []


@pytest.mark.parametrize("own", ["n_head", "heads", "data.n_heads", "n_heads.x", "s"])
def test_only_whole_parts_of_a_name_are_its_own(own):
    assert [p.key for p in check(own=[own], **{"model.n_heads": 3})[1]] == ["model.n_heads"]


def test_a_section_that_takes_no_others_has_no_names_of_ones_own():
    _, problems = check(own=["loss_patence"], **{"early_stopping.loss_patence": 3})
    (problem,) = problems
    assert_problem(problem, "early_stopping.loss_patence", 3, " early_stopping.loss_patience?")
    assert "own" not in str(problem)


@pytest.mark.parametrize(
    "own",
    [
        "training.beta3", "training.beta", "training.lr", "training.momentum", "training.eps",
        "training.label_smoothing", "training.max_lr", "training.z_loss", "training.clip",
        "training.learning_rate2", "training.decay", "training.patience",
        "model.n_kv_head", "model.n_inner", "model.n_experts", "model.rope_theta", "model.qk_norm",
        "model.attention", "data.language", "data.shuffle", "initialization.gain",
        "lr", "wd", "tau", "optim", "epochs", "rank", "alpha", "arch.depth", "group", "rng",
    ],
)  # fmt: skip
def test_hyperparameters_of_the_users_own_are_carried(own):
    config, problems = check(**{own: 3})
    assert problems == []
    assert dict(compose.leaves(config))[own] == 3


def test_a_rule_about_several_fields_blames_who_set_the_last_of_them():
    layers = [
        compose.Layer("model.yaml", {"model": {"n_embd": 96, "n_head": 4}}),
        compose.Layer("study.yaml", {"training": {"max_steps": 5}, "model": {"bias": True}}),
        compose.Layer("command line", {"model": {"n_head": 5}}),
        compose.Layer("later", {"model": {"dropout": 0.1}}),
    ]
    _, (problem,) = compose.validate(compose.merge(layers), "study.yaml", LANGUAGE)
    assert_problem(problem, ANY, ANY, "n_embd = 96", "n_head = 5", file="command line")


SIBLINGS = {"keep_last", "keep_best"}  # as other trainers call them; both are known, so no harm


def test_no_known_field_looks_like_a_misspelling_of_another():
    for name, section in LANGUAGE.sections.items():
        for field in section.model_fields:
            kin = SIBLINGS if field in SIBLINGS else {field}
            others = [other for other in section.model_fields if other not in kin]
            meant = nearest(field, others) if others else None
            assert meant is None, f"{name}.{field} reads like {meant}"


@pytest.mark.parametrize(
    ("left", "right", "edits"),
    [("", "", 0), ("a", "", 1), ("lr", "rl", 1), ("seed", "sede", 1), ("kitten", "sitting", 3)],
)
def test_edits_count_swaps_as_one(left, right, edits):
    assert _edits(left, right) == _edits(right, left) == edits


def test_later_layers_win_leaf_by_leaf_and_keep_their_origins():
    merged = compose.merge(
        [
            Layer("module", {"training": {"max_steps": 10, "seed": 1}}),
            Layer("study", {"training": {"seed": 2}}),
            Layer("cli", {"training": {"mine": {"deep": 3}}}),
        ]
    )
    assert merged.content == {"training": {"max_steps": 10, "seed": 2, "mine": {"deep": 3}}}
    assert merged.origin_of("training.max_steps", "?") == "module"
    assert merged.origin_of("training.seed", "?") == "study"
    assert merged.origin_of("training.mine", "?") == "cli"
    assert merged.origin_of("model.n_layer", "?") == "?"


def test_the_other_way_to_say_it_gives_way_to_a_later_layer():
    merged = compose.merge(
        [
            Layer("module", {"training": {"pct_warmup": 0.1, "max_steps": 10}}),
            Layer("study", {"training": {"warmup_steps": 5}}),
            Layer("cli", {"training": {"num_epochs": 2}}),
        ]
    )
    training = merged.content["training"]
    assert (training["warmup_steps"], training["pct_warmup"]) == (5, None)
    assert (training["num_epochs"], training["max_steps"]) == (2, None)


def test_merging_changes_no_layer():
    layer = Layer("module", {"training": {"seed": 1}})
    compose.merge([layer, Layer("study", {"training": {"seed": 2}})])
    assert layer.content == {"training": {"seed": 1}}


def test_nesting_and_leaves_are_each_others_inverse():
    flat = {"a.b": 1, "a.c.d": [2], "e": None, "f.g": {}}
    assert dict(compose.leaves(nest(flat))) == flat
    assert nest({"a": {"b.c": 1}, "a.d": 2}) == {"a": {"b": {"c": 1}, "d": 2}}


@pytest.mark.parametrize("flat", [{"a": 1, "a.b": 2}, {"a.b": 2, "a": 1}])
def test_a_name_cannot_be_a_value_and_hold_others(flat):
    with pytest.raises(ValueError, match=r"^a\b|\ba\.b"):
        nest(flat)


@pytest.mark.parametrize(
    ("path", "given", "value"),
    [
        ("training.learning_rate", 1, 1.0),
        ("training.max_steps", 100.0, 100),
        ("training.warmup_steps", 0, 0),
        ("training.warmup_steps", None, None),
        ("model.bias", False, False),
        ("data.paths", "a.txt", ("a.txt",)),
        ("data.paths", ["a", "b"], ("a", "b")),
        ("mine", "fast", "fast"),
        ("training.mine", [1, 2], [1, 2]),
    ],
)
def test_known_fields_take_their_type(path, given, value):
    coerced = compose.coerce(path, given, LANGUAGE)
    assert coerced == value
    assert type(coerced) is type(value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("training.learning_rate", "fast"),
        ("training.learning_rate", "1e-3"),
        ("training.learning_rate", True),
        ("training.learning_rate", -1e-3),
        ("training.learning_rate", 0.0),
        ("training.learning_rate", None),
        ("training.max_steps", True),
        ("training.max_steps", 10.5),
        ("training.max_steps", 0),
        ("training.max_gpu_batch_size", 0),
        ("training.eval_batch_size", -1),
        ("training.seed", -1),
        ("training.beta2", 1.0),
        ("training.pct_warmup", 1.5),
        ("training.scheduler", "exponential"),
        ("training.precision", "fp64"),
        ("model.n_layer", 0),
        ("model.n_layer", [4]),
        ("model.bias", 1),
        ("model.bias", "true"),
        ("model.vocab_size", 256),
        ("data.val_fraction", 0.0),
        ("data.val_fraction", 0.5),
        ("data.tokens", "words"),
        ("model", "gpt-tiny"),
    ],
)
def test_values_that_are_not_allowed_are_refused_alone_and_in_a_configuration(path, value):
    with pytest.raises(ValueError, match=r"\S"):
        compose.coerce(path, value, LANGUAGE)
    config, problems = check(**{path: value})
    assert config == {}
    assert [(p.key, p.value, p.file) for p in problems if p.key == path] == [
        (path, value, "changes")
    ]


def test_everything_wrong_is_told_at_once_with_the_place_that_set_it():
    made = [
        Layer("model.yaml", {"model": {"n_layer": 0, "n_headz": 2}}),
        Layer("study.yaml", {"training": {"learning_rate": "fast", "max_steps": 5}}),
        Layer("cli", {"training": {"beta2": 2}}),
    ]
    problems = layers.complete(made, "?", LANGUAGE).problems
    assert {(p.file, p.key, p.value) for p in problems} == {
        ("model.yaml", "model.n_layer", 0),
        ("model.yaml", "model.n_headz", 2),
        ("study.yaml", "training.learning_rate", "fast"),
        ("cli", "training.beta2", 2),
    }
    assert all(len(str(p).splitlines()) == 1 for p in problems)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model.n_embd": 100, "model.n_head": 3}, ("model", ANY, "n_embd = 100", "n_head = 3")),
        (
            {"training.num_epochs": 2, "training.max_steps": 9},
            ("training", ANY, "max_steps", "num_epochs"),
        ),
        ({"training.max_steps": None}, ("training", ANY, "max_steps", "num_epochs")),
        (
            {"training.warmup_steps": 5, "training.pct_warmup": 0.1},
            ("training", ANY, "warmup_steps", "pct_warmup"),
        ),
        ({"data.source": "text"}, ("data", ANY, "text", "paths")),
        ({"data.paths": ["a.txt"]}, ("data", ANY, "paths", "networkx-docs")),
        ({"model.vocab_size": 256}, ("model.vocab_size", 256, "257")),
        ({"training.learning_rate": -0.1}, ("training.learning_rate", -0.1, "0")),
        ({"mine": float("nan")}, ("mine", ANY)),
        ({"mine": -0.0}, ("mine", -0.0)),
        ({"training": 3}, ("training", 3)),
    ],
)
def test_fields_that_do_not_fit_say_why(changes, expected):
    assert_problem(check(**changes)[1], *expected)


def test_a_configuration_without_training_says_what_it_lacks():
    _, (problem,) = compose.validate(Composed({}, {}), "study.yaml", LANGUAGE)
    assert_problem(problem, "training", ANY, "max_steps", "num_epochs", file="study.yaml")


def test_validating_twice_gives_the_same():
    config, _ = check()
    assert compose.validate(Composed(config, {}), "?", LANGUAGE) == (config, [])


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("1e-4", 1e-4),
        ("012", 12),
        ("fast", "fast"),
        ("true", True),
        ({"training.lr": "1e-4", "x": {"y": "3"}}, {"training.lr": 1e-4, "x": {"y": 3}}),
        (["1e-4", "a"], [1e-4, "a"]),
        (5, 5),
        ({1: "2"}, {"1": 2}),
    ],
)
def test_overrides_from_the_command_line_are_read_as_yaml(given, read):
    assert compose.read_override(given) == read


def test_a_module_is_found_by_name_or_given_in_place(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "small.yaml").write_text("n_layer: 2\nrope.theta: 1e4\n")
    layer = load_module(tmp_path, "model", "small")
    assert layer.content == {"model": {"n_layer": 2, "rope": {"theta": 1e4}}}
    assert layer.origin.endswith("model/small.yaml")
    assert load_module(tmp_path, "model", {"n_layer": 3}).content == {"model": {"n_layer": 3}}


@pytest.mark.parametrize("name", ["../secret", "a/b", "", ".hidden", 3, None, ["small"]])
def test_a_module_cannot_lie_elsewhere(name, tmp_path):
    problem = problem_of(load_module, tmp_path, "model", name)
    assert_problem(problem, "base.model", name)


def test_a_missing_module_lists_those_there_are(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "small.yaml").write_text("n_layer: 2\n")
    problem = problem_of(load_module, tmp_path, "model", "large")
    assert_problem(problem, "base.model", "large", str(tmp_path / "model"), "small")


@pytest.mark.parametrize("content", [{"a": 1, "a.b": 2}])
def test_a_module_that_contradicts_itself_is_an_error(content, tmp_path):
    assert_problem(problem_of(load_module, tmp_path, "model", content), ANY, ANY, "a")


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    repeat: Annotated[int, Field(ge=0)] = 1


class Arch(Section):
    steps: Annotated[tuple[Step, ...], BeforeValidator(as_tuple)] = ()


def test_a_list_of_models_has_plain_values():
    schema = Schema(system="looped", implied=False, sections={"arch": Arch}, open=("arch.steps",))
    assert compose.coerce("arch.steps", [{}, {"repeat": 2}], schema) == [
        {"repeat": 1},
        {"repeat": 2},
    ]
    assert compose.coerce("arch.steps", [], schema) == ()
    with pytest.raises(ValueError, match="0"):
        compose.coerce("arch.steps", [{"repeat": -1}], schema)
