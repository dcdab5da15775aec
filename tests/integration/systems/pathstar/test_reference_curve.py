"""A stored loss curve: numbers must not change while the recipe's version stays the same."""

import pytest
import torch

from resweep.systems.pathstar.system import RECIPE
from tests.support.pathstar import configure, make_learner, prepare

TOLERANCE = 2e-3  # other CPUs and libraries round otherwise; a changed recipe moves far more
SETTINGS = {
    "training__batch_size": 16,
    "training__gradient_accumulation_steps": 2,
    "training__pct_warmup": 0.2,
    "training__min_lr": 1e-4,
    "training__lr_decay_frac": 0.9,
    "training__label_smoothing": 0.05,
}
STEPS = 40
SHOWN = ("overall", "token_2", "token_l")
TRAIN = {8: 3.696, 16: 3.1375, 24: 2.64676, 32: 2.35962, 40: 2.31061}
VAL = {
    0: (3.86577, 3.86007, 3.93181),
    20: (3.44016, 4.2808, 4.20818),
    40: (3.31863, 4.29695, 3.78792),
}
FIRST_ROW = [46, 15, 38, 29, 13, 34, 15]
DATA_DIGEST = "fe2d8d8e1edaea3ee9f3442d370e98b14bcb7d64b335413297432fd0f5c79b0f"


def test_the_curve_of_the_recipe_is_as_it_was(tmp_path):
    torch.set_num_threads(1)
    learner, objective = make_learner(tmp_path, **SETTINGS)
    assert objective.rows_at(0)[0].tolist() == FIRST_ROW
    train, val = {}, {}
    for step in range(STEPS + 1):
        if step in VAL:
            found = learner.evaluate()
            val[step] = tuple(round(found[f"val/loss/{name}"], 5) for name in SHOWN)
        if step < STEPS:
            learner.train_step()
        if step + 1 in TRAIN:
            train[step + 1] = round(learner.interval_metrics()["train/loss/overall"], 5)
    assert train == pytest.approx(TRAIN, abs=TOLERANCE) and [*val.values()] == [
        pytest.approx(line, abs=TOLERANCE) for line in VAL.values()
    ], (
        "equal configurations give other numbers than before: if this change is meant, raise "
        "RECIPE in resweep/systems/pathstar/system.py, so that stored runs are not taken for new "
        f"ones, and store the new curve here: train {train}, val {val}"
    )
    assert RECIPE == "pathstar/1", "RECIPE was raised: store its curve here, and its version"


def test_the_graph_of_the_reference_is_as_it_was(tmp_path):
    assert prepare(configure(), tmp_path).digest == DATA_DIGEST, (
        "equal settings give another graph than before: if this change is meant, raise data_format "
        "in resweep/systems/pathstar/system.py, so that graphs are drawn again, and store the new "
        "digest here"
    )
