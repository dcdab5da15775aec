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
from tests.support.problems import assert_problem, problem_of, problems_of

CONFIG = ROOT / "config"


def test_every_key_of_a_study_is_kept_or_replaced():
    assert {*KEPT, "name", "description", "phases"} == StudyFile.model_fields.keys()


def scores_of(folder: Path, score: dict[str, Any]) -> tuple[PhaseScore, PhaseScore]:
    """Return how a study ranks its sweep, and how a sweep on the base of this study does."""
    study = yaml12.load_mapping(CONFIG / "studies/quickstart.yaml")
    base = folder / "base.yaml"
    base.write_text(yaml12.dump(study | ({"score": score} if score else {})))
    made = create(folder, CONFIG / "sweep/lr-warmup.yaml", base)
    return load_study(base, CONFIG).phase(PHASE).score, made.phase().score


def create(folder: Path, sweep: Path, base: Path, changes: dict[str, Any] | None = None):
    """The sweep of a file."""
    return create_sweep(
        sweep,
        base,
        CONFIG,
        Layout(folder / "results"),
        changes=changes or {},
        tracking={},
        score={},
        own=(),
        round_size=None,
        trials=None,
    )


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


def test_what_the_command_line_sets_is_trained(tmp_path: Path) -> None:
    file, base = tmp_path / "mine.yaml", CONFIG / "studies/quickstart.yaml"
    swept = "learning_rate: {values: [1e-3, 2e-3]}, max_steps: {value: 2000}, tau: {value: 3}"
    file.write_text(f"method: grid\nparameters: {{{swept}}}")
    made = create(tmp_path, file, base, {"training.max_steps": 6, "tau": 4, "n_layer": 2})
    config = made.phase().config
    assert (config["training"]["max_steps"], config["tau"]) == (6, 4)
    assert (config["model"]["n_layer"], config["training"]["seed"]) == (2, 1)
    problem = problem_of(create, tmp_path, file, base, {"learning_rate": 0.5})
    assert_problem(problem, "training.learning_rate", None, "swept", file="mine.yaml")


def test_all_that_is_wrong_on_the_command_line_is_reported(tmp_path: Path) -> None:
    wrong = {"z": 1, "z.y": 2, "a..b": 3, "max_steps": "x", "n_layr": 4}
    base = CONFIG / "studies/quickstart.yaml"
    found = problems_of(create, tmp_path, CONFIG / "sweep/lr-warmup.yaml", base, wrong)
    keys = ["z.y", "a..b", "max_steps", "n_layr"]
    assert sorted(problem.key for problem in found) == sorted(f"--set {key}" for key in keys)
    assert {problem.file for problem in found} == {"command line"}
