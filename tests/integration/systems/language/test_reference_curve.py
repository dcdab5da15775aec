"""Stored loss curves: numbers must not change while the recipe's version stays the same."""

import pytest
import torch

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.paths import Layout
from resweep.store.identity import resolve
from resweep.systems.language.data_section import Data
from resweep.systems.language.system import RECIPES
from resweep.training.metrics import read_metrics
from tests.support.language import SYSTEM, ensure
from tests.support.learners import make_learner, train_to

RECIPE = {"gpt": "gpt/1", "hf": "hf/1"}
TOLERANCE = 2e-3  # other CPUs and libraries round otherwise; a changed recipe moves far more
SETTINGS = {
    "training": {
        "seed": 7,
        "batch_size": 4,
        "gradient_accumulation_steps": 2,
        "max_steps": 40,
        "learning_rate": 1e-2,
        "scheduler": "cosine",
        "pct_warmup": 0.2,
        "min_lr_ratio": 0.1,
        "log_steps": 8,
        "eval_steps": 20,
    },
}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}
MODEL = {
    "gpt": {"n_layer": 2, "n_head": 2, "n_embd": 32, "context_length": 32},
    "hf": {"kind": "hf", "config": LLAMA, "context_length": 32},
}
TRAIN = {
    "gpt": {8: 4.86915, 16: 3.17396, 24: 2.95949, 32: 2.94576, 40: 2.90758},
    "hf": {8: 5.02752, 16: 3.09837, 24: 2.14628, 32: 1.82837, 40: 1.74197},
}
VAL = {
    "gpt": {0: 5.54228, 20: 2.97109, 40: 2.92528},
    "hf": {0: 5.55259, 20: 2.0834, 40: 1.67155},
}
DATA_DIGEST = "5b9c33a614f2163f687a8b6f018c41964b6eb6f3b766c81f6da944d6f88735b8"


def made_up_text() -> str:
    """Sentences that a small model learns quickly, the same on every machine."""
    subjects = ("the cat", "a dog", "one bird", "no fish", "my horse")
    verbs = ("sees", "likes", "follows", "hears")
    objects = ("the moon", "a tree", "old stones", "the quiet sea", "nobody", "seven lamps")
    sentences = [
        f"{subjects[n % 5]} {verbs[n * n % 4]} {objects[(n * 7 + n // 5) % 6]} in year {n}."
        for n in range(600)
    ]
    return "\n\n".join(sentences)


@pytest.fixture(scope="module", params=RECIPE)
def curve(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    (folder / "text.txt").write_text(made_up_text())
    data_settings = {
        "source": "text",
        "paths": [str(folder / "text.txt")],
        "documents": "blank_line",
    }
    data = ensure(Data.model_validate(data_settings).model_dump(mode="json"), Layout(folder))
    settings = SETTINGS | {"model": MODEL[request.param], "data": data_settings}
    full, problems = compose.validate(Composed(settings, {}), "reference", SYSTEM.schema)
    assert problems == []
    torch.set_num_threads(1)
    train_to(make_learner(resolve(full, data), data), 40, folder)
    return data.digest, read_metrics(folder / "metrics.jsonl"), request.param


def values(lines, name) -> dict[int, float]:
    return {line["step"]: round(line[name], 5) for line in lines if name in line}


def test_the_curve_of_the_recipe_is_as_it_was(curve):
    _, lines, kind = curve
    train_loss, val_loss = values(lines, "train/loss"), values(lines, "val/loss")
    assert (train_loss, val_loss) == (
        pytest.approx(TRAIN[kind], abs=TOLERANCE),
        pytest.approx(VAL[kind], abs=TOLERANCE),
    ), (
        "equal configurations give other numbers than before: if this change is meant, raise "
        f'RECIPES["{kind}"] in resweep/systems/language/system.py, so that stored runs are not '
        f"taken for new ones, and store the new curve here: train {train_loss}, val {val_loss}"
    )
    assert RECIPES[kind] == RECIPE[kind], (
        f'RECIPES["{kind}"] was raised: store its curve here, and its version in RECIPE'
    )


def test_the_reference_learns(curve):
    val_loss = values(curve[1], "val/loss")
    assert val_loss[40] < val_loss[20] < val_loss[0] - 1


def test_the_tokens_of_the_reference_are_as_they_were(curve):
    assert curve[0] == DATA_DIGEST, (
        "equal text gives other tokens than before: if this change is meant, raise data_format in "
        "resweep/systems/language/system.py, so that data is prepared again, and store the new "
        "digest here"
    )
