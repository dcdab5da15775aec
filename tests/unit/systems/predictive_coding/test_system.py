"""What planning knows of predictive coding."""

from pathlib import Path

import pytest

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.metric import Logged
from resweep.config.nesting import nest
from resweep.data.store import Prepared
from resweep.errors import ConfigError
from resweep.store.identity import resolve
from resweep.systems.values import Weights
from tests.support.predictive_coding import SYSTEM, configure, prepare


def hints_of(**changes):
    given = nest(
        {"training.max_steps": 5} | {key.replace("__", "."): v for key, v in changes.items()}
    )
    _, problems = compose.validate(Composed(given, {}), "study.yaml", SYSTEM.schema)
    return [problem.hint for problem in problems]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__num_heads": 3}, ["num_heads = 3", "hidden_size = 32"]),
        ({"model__hidden_size": 6, "model__num_heads": 2}, ["hidden_size = 6", "multiple of 4"]),
        ({"model__mlp_ratio": 0.001}, ["mlp_ratio = 0.001"]),
        ({"model__num_blocks": -1}, ["0"]),
        ({"model__hidden_size": 10**6}, ["100,000,000"]),
        ({"model__intermediate_l1_coeff": -0.1}, ["0"]),
        ({"data__patch_size": 3}, ["patch_size = 3", "8"]),
        ({"data__source": "npz"}, ["path"]),
        ({"data__path": "x.npz"}, ["source: npz or folder"]),
        ({"data__val_fraction": 0.5}, ["0.5"]),
        ({"inference__momentum": 1.0}, ["1"]),
        ({"inference__rate": 0.0}, ["0"]),
        ({"inference__steps": 0}, ["0"]),
        ({"training__compile": True}, ["compile = true", "remove it"]),
        ({"training__distributed": "ddp", "training__processes": 2}, ["distributed = ddp"]),
        ({"training__distributed": "zero2"}, ["distributed = zero2", "one process"]),
        ({"training__gradient_checkpointing": True}, ["gradient_checkpointing = true"]),
        ({"training__save_gradients": True}, ["save_gradients = true"]),
        ({"training__precision": "bf16"}, ["precision = bf16", "fp32 or tf32"]),
        ({"early_stopping__plateau_metric": "train_energy"}, ["best_val_mse"]),
    ],
)
def test_what_cannot_be_trained_is_one_line(changes, words):
    (hint,) = hints_of(**changes)
    assert "\n" not in hint and all(word in hint for word in words), hint


@pytest.mark.parametrize("name", ["gradient_samples", "cuda_graphs"])
def test_what_needs_a_refused_setting_is_refused_with_it(name):
    assert hints_of(**{f"training__{name}": 2 if name == "gradient_samples" else True})


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("num_blocks", "model.num_blocks"),
        ("hidden_size", "model.hidden_size"),
        ("intermediate_l1_coeff", "model.intermediate_l1_coeff"),
        ("intermediate_l2_coeff", "model.intermediate_l2_coeff"),
        ("batch_size", "training.batch_size"),
        ("learning_rate", "training.learning_rate"),
        ("seed", "training.seed"),
        ("epochs", "training.num_epochs"),
        ("T", "inference.steps"),
        ("patch_size", "data.patch_size"),
    ],
)
def test_names_of_the_document_are_fields(name, path):
    assert compose.resolve_name(name, {}, SYSTEM.schema) == path


@pytest.mark.parametrize(
    ("name", "goal"),
    [
        ("best_val_mse", "minimize"),
        ("best_train_mse", "minimize"),
        ("final_train_mse", "minimize"),
        ("best_probe_accuracy", "maximize"),
    ],
)
def test_metrics_of_the_document_have_goals(name, goal):
    metric = SYSTEM.find_metric(name)
    assert metric is not None and metric.goal == goal and metric.logged is Logged.EVALUATION


def test_without_classes_there_is_no_probe_and_without_test_images_no_test():
    plain = configure()
    unlabelled, untested = configure(data__labels=False), configure(data__test_fraction=0.0)
    assert all(SYSTEM.logs(metric.name, plain) for metric in SYSTEM.metrics)
    assert not SYSTEM.logs("best_probe_accuracy", unlabelled)
    assert not SYSTEM.logs("test_mse", untested) and SYSTEM.logs("best_val_mse", untested)


@pytest.mark.parametrize(
    ("status", "rule", "watched", "text"),
    [
        ("finished", None, None, "none"),
        ("diverged", "diverged", None, "nan"),
        ("diverged", "divergence", None, "train metric"),
        ("stopped", "loss-flat", None, "train metric"),
        ("stopped", "loss-rising", None, "train metric"),
        ("stopped", "plateau", None, "validation metric"),
        ("stopped", "plateau", "best_probe_accuracy", "validation metric"),
        ("stopped", "plateau", "best_train_mse", "train metric"),
        ("stopped", None, None, "rung"),
        ("infeasible", None, None, "infeasible"),
    ],
)
def test_why_it_stopped_in_the_words_of_the_document(status, rule, watched, text):
    config = configure(early_stopping__plateau_metric=watched)
    assert SYSTEM.stop_text(status, rule, config) == text


def test_epochs_and_the_shape_of_images_follow_from_the_data(tmp_path):
    config = configure(training__max_steps=None, training__num_epochs=3, training__batch_size=100)
    data = prepare(config, tmp_path)
    resolved = resolve(config, data)
    assert resolved["training"]["max_steps"] == -(-3 * data.about["images"]["train"] // 100)
    assert (resolved["model"]["height"], resolved["model"]["channels"]) == (8, 1)
    with pytest.raises(ConfigError, match=r"model.height = 9: should be 8"):
        resolve(configure(model__height=9), data)


def test_weights_of_another_shape_are_refused(tmp_path):
    config = configure()
    data = prepare(config, tmp_path)
    resolved = resolve(config, data)

    def start(model, patch_size=4):
        weights = Weights(
            folder=Path("w"), digest="0" * 64, config={"model": model, "patch_size": patch_size}
        )
        SYSTEM.resolve(configure(), data, weights)

    start(resolved["model"])
    with pytest.raises(ConfigError, match=r"model.num_blocks = 2: should be 5"):
        start({**resolved["model"], "num_blocks": 5})
    with pytest.raises(ConfigError, match=r"data.patch_size = 4: should be 2"):
        start(resolved["model"], patch_size=2)
    with pytest.raises(ConfigError, match="holds no weights"):
        start(None)


def test_the_cost_is_known_for_digits_and_bounded_later_for_others(tmp_path):
    config = configure()
    known, measured = SYSTEM.cost(config, None), SYSTEM.cost(config, prepare(config, tmp_path))
    assert known == measured and known.bounds is not None
    other = configure(data__source="npz", data__path="x.npz")
    assert SYSTEM.cost(other, None).bounds is None
    about = {"height": 32, "width": 32, "channels": 3}
    color = SYSTEM.cost(other, Prepared(tmp_path, "0", about))
    assert color.bounds is not None and color.step_flops > 16 * known.step_flops
