"""What planning knows of PathStar."""

import pytest
from pydantic import ValidationError

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.metric import Logged
from resweep.store.identity import identity_without_data
from resweep.systems.registry import find_system, other_systems
from tests.support.pathstar import SYSTEM, configure

LANGUAGE = find_system("language")


def hint_of(**changes):
    given = {"training": {"max_steps": 5}}
    for name, value in changes.items():
        section, _, field = name.partition("__")
        given.setdefault(section, {})[field] = value
    _, problems = compose.validate(Composed(given, {}), "study.yaml", SYSTEM.schema)
    (problem,) = problems
    return problem.hint


def test_too_few_names_is_the_error_of_the_document():
    hint = hint_of(data__graph_d=100, data__graph_l=5, data__graph_vocab_size=400)
    assert "vocab_size must be >= d * (l-1) + 1" in hint
    assert "401" in hint and "graph_vocab_size = 400" in hint


def test_as_many_names_as_vertices_are_enough():
    configure(data__graph_d=100, data__graph_l=5, data__graph_vocab_size=401)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__n_head": 12, "model__n_embd": 64}, ["n_embd = 64", "n_head = 12"]),
        ({"data__graph_l": 1}, ["2"]),
        ({"data__graph_holdout_percentage": 1.5}, ["1"]),
        ({"data__num_pause_tokens": -1}, ["0"]),
        ({"data__graph_d": 10**8, "data__graph_l": 10**8}, ["graph_d", "vertices"]),
        (
            {"data__train_on_edges": False, "data__graph_holdout_percentage": 1.0},
            ["nothing to train on"],
        ),
        ({"training__distributed": "ddp", "training__processes": 3}, ["64", "processes = 3"]),
        (
            {"training__save_gradients": True, "training__gradient_samples": 7},
            ["64", "gradient_samples"],
        ),
        ({"training__loss_on": "leaf"}, ["all", "target"]),
        ({"training__label_smoothing": 1.0}, ["1"]),
    ],
)
def test_what_cannot_be_trained_is_named(changes, words):
    hint = hint_of(**changes)
    assert all(word in hint for word in words), hint


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("epochs", "training.num_epochs"),
        ("eval_interval", "training.eval_steps"),
        ("warmup_frac", "training.pct_warmup"),
        ("graph_d", "data.graph_d"),
        ("n_embd", "model.n_embd"),
        ("label_smoothing", "training.label_smoothing"),
        ("num_epochs", "training.num_epochs"),
    ],
)
def test_names_of_the_document_are_fields(name, path):
    assert compose.resolve_name(name, {}, SYSTEM.schema) == path


@pytest.mark.parametrize(
    ("name", "goal"),
    [
        ("val/loss/token_1", "minimize"),
        ("val/loss/token_7", "minimize"),
        ("val/loss/token_l", "minimize"),
        ("val/accuracy/token_7", "maximize"),
        ("val/accuracy/token_l", "maximize"),
    ],
)
def test_each_token_of_the_path_has_two_metrics(name, goal):
    metric = SYSTEM.find_metric(name)
    assert metric is not None and metric.goal == goal and metric.logged is Logged.EVALUATION


@pytest.mark.parametrize("name", ["val/loss/token_0", "val/loss/token_", "val/accuracy/token_x"])
def test_others_are_not_logged(name):
    assert SYSTEM.find_metric(name) is None


def test_a_token_beyond_the_path_is_not_logged():
    config = configure(data__graph_l=4)
    assert SYSTEM.logs("val/loss/token_4", config)
    assert not SYSTEM.logs("val/loss/token_5", config)


def test_a_plateau_of_a_token_can_be_watched():
    configure(early_stopping__plateau_metric="val/loss/token_3")
    for other in ("train/loss/overall", "val/loss/token_5"):
        with pytest.raises(AssertionError):
            configure(early_stopping__plateau_metric=other)


@pytest.mark.parametrize(("name", "value"), [("graph_l", 10**5), ("num_pause_tokens", 10**8)])
def test_examples_that_no_memory_holds_are_refused(name, value):
    with pytest.raises(AssertionError, match="tokens"):
        configure(**{f"data__{name}": value})


@pytest.mark.parametrize(("batch", "steps"), [(None, 81), (100, 26)])
def test_epochs_are_steps_before_the_data_is_there(batch, steps):
    config = configure(
        data__graph_d=20,
        data__graph_l=5,
        data__graph_holdout_percentage=0.1,
        training__max_steps=None,
        training__num_epochs=8,
        training__batch_size=batch,
    )
    assert SYSTEM.steps_of(config, None) == steps  # 8 * (160 edges + 18 paths * 9)


def test_trials_of_which_the_batch_size_follows_from_the_data_differ_in_accumulation():
    one, two = (
        identity_without_data(configure(training__gradient_accumulation_steps=n)) for n in (1, 2)
    )
    assert (one["training"]["batch_size"], two["training"]["batch_size"]) == (16, 32)


def test_cost_and_size_are_known_before_the_data_is_there():
    config = configure()
    assert SYSTEM.cost(config, None).step_units == 16
    assert SYSTEM.count_parameters(config) > 0


def test_chance_is_what_a_guess_at_the_root_gets():
    chance, loss = SYSTEM.references({"graph_d": 50})
    assert (chance.metric, chance.value) == ("val/accuracy/token_2", 1 / 50)
    assert loss.value == pytest.approx(3.912, abs=1e-3)


def test_names_of_other_systems_are_known():
    assert other_systems("graph_d", "language") == ["data.graph_d of pathstar"]
    assert other_systems("data.graph_d", "language") == ["data.graph_d of pathstar"]
    assert other_systems("context_length", "pathstar") == ["model.context_length of language"]
    assert other_systems("label_smoothing", "language") == []  # many trainers have one
    assert other_systems("graph_d", "pathstar") == []


def test_language_models_do_not_take_its_fields():
    with pytest.raises(ValidationError):
        LANGUAGE.schema.validate({"training": {"max_steps": 5, "batch_size": None}})
