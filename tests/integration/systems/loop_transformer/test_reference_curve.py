"""A stored loss curve: numbers must not change while the recipe's version stays the same."""

from pathlib import Path

import pytest
import torch

from resweep.systems.loop_transformer.system import RECIPE
from tests.support.loop_transformer import configure, make_learner, prepare

TOLERANCE = 5e-3  # other CPUs and libraries round otherwise; a changed recipe moves far more
SETTINGS = {
    "training__gradient_accumulation_steps": 2,
    "training__warmup_steps": 8,
    "training__learning_rate": 3e-3,
}
STEPS = 40
SHOWN = ("accuracy", "lm_loss", "q_halt_loss")
TRAIN = {8: 1.7586, 16: 1.49896, 24: 1.37378, 32: 1.3207, 40: 1.28325}
TEST = {
    0: (0.21875, 1.91155, 0.00672),
    20: (0.41563, 1.46707, 0.00534),
    40: (0.5, 1.31042, 0.00402),
}
FIRST_ROW = [1, 1, 4, 1, 1, 2, 1, 2, 4, 3, 1, 1, 1, 1, 2, 4, 1, 1]
DATA_DIGEST = "2064957e47017529a46ac5c2bbdf7b8404adb491187efb561f58a768bfc68e53"


def test_the_curve_of_the_recipe_is_as_it_was(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    learner, objective = make_learner(tmp_path, **SETTINGS)
    assert objective.rows_at(0)[1, :18].tolist() == FIRST_ROW
    train, test = {}, {}
    for step in range(STEPS + 1):
        if step in TEST:
            found = learner.evaluate()
            test[step] = tuple(round(found[name], 5) for name in SHOWN)
        if step < STEPS:
            learner.train_step()
        if step + 1 in TRAIN:
            train[step + 1] = round(learner.interval_metrics()["train/loss"], 5)
    assert train == pytest.approx(TRAIN, abs=TOLERANCE) and [*test.values()] == [
        pytest.approx(line, abs=TOLERANCE) for line in TEST.values()
    ], (
        "equal configurations give other numbers than before: if this change is meant, raise "
        "RECIPE in resweep/systems/loop_transformer/system.py, so that stored runs are not taken "
        f"for new ones, and store the new curve here: train {train}, test {test}"
    )
    assert RECIPE == "loop_transformer/1", "RECIPE was raised: store its curve, and its version"


def test_the_puzzles_of_the_reference_are_as_they_were(tmp_path: Path) -> None:
    assert prepare(configure(), tmp_path).digest == DATA_DIGEST, (
        "equal settings give other puzzles than before: if this change is meant, raise data_format "
        "in resweep/systems/loop_transformer/system.py, so that they are drawn again, and store "
        "the new digest here"
    )
