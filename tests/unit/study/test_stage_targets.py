"""Stages by name, and what a wrong name is answered with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from resweep.paths import Layout
from resweep.study.load import load_study
from resweep.study.rule_names import study_rules
from resweep.study.stage_targets import single_files, stage_targets
from resweep.study.study import Study
from resweep.study.targets import targets
from resweep.study.unknown_target import unknown_target
from tests.conftest import ROOT

LAYOUT = Layout()


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Study]:
    monkeypatch.chdir(ROOT)
    return lambda name: load_study(Path(f"config/studies/{name}.yaml"))


def test_stages_of_one_study(shipped: Callable[[str], Study]) -> None:
    study = shipped("quickstart")
    found = stage_targets(LAYOUT, [study])
    assert set(found) == {
        "data",
        "artifacts",
        *(f"{verb}_{of}" for verb in ("trained", "ranked", "models") for of in ("sweep", "rerun")),
    }
    folder = LAYOUT.phase("quickstart", "sweep")
    records = [folder.record(trial) for trial in study.phase("sweep").trials]
    assert set(records) <= set(found["trained_sweep"].files())
    assert {folder.scores, folder.best_configs(2)} <= set(found["ranked_sweep"].files())
    assert {folder.models, folder.decisions} <= set(found["models_sweep"].files())
    assert {path.name for path in found["artifacts"].files()} == {
        "rerun-configs.json",
        "rerun-model.json",
        *(f"quickstart-{kind}.json" for kind in ("scores", "report", "code")),
    }
    assert {path.parent.name for path in found["data"].files()} == {"data"}


def test_stages_of_several_studies_are_shared(shipped: Callable[[str], Study]) -> None:
    studies = [shipped("quickstart"), shipped("adaptive")]
    found = stage_targets(LAYOUT, studies)
    for verb in ("trained", "ranked", "models"):
        each = [found[f"{verb}_{study.name}__rerun"].files() for study in studies]
        assert found[f"{verb}_rerun"].files() == [path for files in each for path in files]
    assert found["ranked_sweep"].files() == found["ranked_quickstart__sweep"].files()
    assert found["study_adaptive"].files() == targets(LAYOUT, studies[1])
    assert [path.parent.name for path in found["report"].files()] == ["quickstart", "adaptive"]
    assert "report_adaptive" not in found and "study" not in found  # a rule, and `all`


def test_names_are_among_those_that_a_study_takes(shipped: Callable[[str], Study]) -> None:
    studies = [shipped("quickstart"), shipped("adaptive")]
    assert stage_targets(LAYOUT, studies[:1]).keys() <= study_rules(studies[0], False).names
    found = {name for name in stage_targets(LAYOUT, studies) if "_adaptive" in name}
    assert found <= study_rules(studies[1], True).names


def test_single_files_are_known(shipped: Callable[[str], Study]) -> None:
    for name in ("quickstart", "pretrain-finetune"):
        study = shipped(name)
        for path in single_files(LAYOUT, study):
            assert unknown_target(str(path), [], LAYOUT, [study]) is None


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("ranked_swep", "ranked_sweep"),
        ("adaptive", "--config study=adaptive"),
        ("nothing", "resweep targets"),
        ("results/quickstrat/report.html", "results/quickstart?"),
        ("results/adaptive/report.html", "builds quickstart"),
        ("results/quickstart/swep/scores.csv", "results/quickstart/sweep?"),
        ("results/quickstart/sweep/score.csv", "results/quickstart/sweep/scores.csv?"),
        ("results/quickstart/report.htm", "results/quickstart/report.html?"),
        ("results/quickstart/rerun/records/5.json", "results/quickstart/rerun/records/5.json"),
        ("results/quickstart/artifacts/model.json", "rerun-model.json?"),
        ("results/quickstart/sweep", "is a folder"),
        ("results/quickstart/sweep/top0_best_configs.yaml", "top2_best_configs.yaml?"),
        ("results", "builds quickstart"),
    ],
)
def test_unknown_targets(target: str, named: str, shipped: Callable[[str], Study]) -> None:
    study = shipped("quickstart")
    names = list(stage_targets(LAYOUT, [study]))
    line = unknown_target(target, names, LAYOUT, [study])
    assert line is not None and named in line and "\n" not in line


def test_other_targets_are_left_to_snakemake(shipped: Callable[[str], Study]) -> None:
    study = shipped("quickstart")
    for target in ("results/quickstart/sweep/top7_best_configs.yaml", "README.md", "/x/y", "a/b"):
        assert unknown_target(target, [], LAYOUT, [study]) is None
