"""A study made from a sweep file keeps what its base study says."""

from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.agents.sweep_study import KEPT, PHASE, create_sweep
from resweep.paths import Layout
from resweep.study.load import load_study
from resweep.study.metric import PhaseScore
from resweep.study.study_file import StudyFile
from tests.conftest import ROOT

CONFIG = ROOT / "config"


def test_every_key_of_a_study_is_kept_or_replaced():
    assert {*KEPT, "name", "description", "phases"} == StudyFile.model_fields.keys()


def scores_of(folder: Path, score: dict[str, Any]) -> tuple[PhaseScore, PhaseScore]:
    """Return how a study ranks its sweep, and how a sweep on the base of this study does."""
    study = yaml12.load_mapping(CONFIG / "studies/quickstart.yaml")
    base = folder / "base.yaml"
    base.write_text(yaml12.dump(study | ({"score": score} if score else {})))
    made = create_sweep(
        CONFIG / "sweep/lr-warmup.yaml",
        base,
        CONFIG,
        Layout(folder / "results"),
        changes={},
        tracking={},
        score={},
        own=(),
        round_size=None,
        trials=None,
    )
    return load_study(base, CONFIG).phase(PHASE).score, made.phase().score


@pytest.mark.parametrize(
    ("score", "by_final"),
    [
        ({}, True),
        ({"early_steps": 50}, True),
        ({"slope_weight": 0.25}, False),
        ({"slope_weight": 2, "normalize": "zscore"}, False),
        ({"final_weight": -1}, False),
    ],
)
def test_a_sweep_is_ranked_as_its_base_study_is(
    score: dict[str, Any], by_final: bool, tmp_path: Path
) -> None:
    of_study, of_sweep = scores_of(tmp_path, score)
    assert of_sweep == of_study and of_sweep.by_final == by_final
