"""A stored curve: numbers must not change while the recipe's version stays the same."""

import pytest
import torch

from resweep.systems.predictive_coding.system import RECIPE
from tests.support.predictive_coding import configure, make_learner, prepare

TOLERANCE = 2e-3  # relative; other CPUs and libraries round otherwise, a changed recipe moves more
SETTINGS = {
    "model__intermediate_l1_coeff": 0.002,
    "model__intermediate_l2_coeff": 0.003,
    "training__pct_warmup": 0.2,
    "training__max_steps": 24,
    "training__gradient_accumulation_steps": 2,
}
SHOWN = ("val_mse", "final_train_mse", "val_probe_accuracy")
ENERGY = {8: 54.23451, 16: 4.01091, 24: 2.64586}
EVALUATIONS = {
    0: (3.99606, 4.00075, 0.84),
    12: (0.17599, 0.17903, 0.88),
    24: (0.09922, 0.09922, 0.85),
}
FIRST_IMAGES = [1036, 520, 408, 1150, 260, 9, 361, 787]
DATA_DIGEST = "a69f42351a50632cd955c8c3b4c6873919365ab5ade92f178491788a84d7caf4"


def test_the_curve_of_the_recipe_is_as_it_was(tmp_path):
    torch.set_num_threads(1)
    learner = make_learner(tmp_path, **SETTINGS)
    assert learner._positions_at(0)[:8].tolist() == FIRST_IMAGES
    energy, evaluations = {}, {}
    for step in range(25):
        if step in (0, 12, 24):
            found = learner.evaluate()
            evaluations[step] = tuple(round(found[name], 5) for name in SHOWN)
        if step < 24:
            learner.train_step()
        if (step + 1) % 8 == 0 and step < 24:
            energy[step + 1] = round(learner.interval_metrics()["train_energy"], 5)
    close = [
        pytest.approx(line[:2], rel=TOLERANCE) == evaluations[step][:2]
        and abs(line[2] - evaluations[step][2]) < 0.03
        for step, line in EVALUATIONS.items()
    ]
    assert energy == pytest.approx(ENERGY, rel=TOLERANCE) and len(close) == 3 and all(close), (
        "equal configurations give other numbers than before: if this change is meant, raise "
        "RECIPE in resweep/systems/predictive_coding/system.py, so that stored runs are not taken "
        f"for new ones, and store the new curve here: energy {energy}, evaluations {evaluations}"
    )
    assert RECIPE == "predictive_coding/1", (
        "RECIPE was raised: store its curve here, and its version"
    )


def test_the_images_of_the_reference_are_as_they_were(tmp_path):
    assert prepare(configure(), tmp_path).digest == DATA_DIGEST, (
        "equal settings give other splits than before: if this change is meant, raise data_format "
        "in resweep/systems/predictive_coding/system.py, so that images are split again, and store "
        "the new digest here"
    )
