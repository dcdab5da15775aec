"""Naming results: by study, by a sweep's id as anyone writes it, by a sweep's name."""

from pathlib import Path

import pytest

from resweep import yaml12
from resweep.errors import ConfigError
from resweep.paths import Layout
from resweep.study.find_results import study_of_results


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "results")
    sweeps = {"1a983680": "lr", "00000001": "twice", "00000002": "twice", "00000003": "My-lr-3"}
    for sweep, name in sweeps.items():
        file = made.sweep(sweep).study
        file.parent.mkdir(parents=True)
        file.write_text(yaml12.dump({"name": f"{name}-{sweep}"}))
    made.study("mine").path.mkdir()
    return made


@pytest.mark.parametrize(
    ("given", "study"),
    [
        ("mine", "mine"),
        ("1a983680", "lr-1a983680"),
        ("me/project/1a983680", "lr-1a983680"),
        ("project/1a983680", "lr-1a983680"),
        ("lr-1a983680", "lr-1a983680"),
        ("lr", "lr-1a983680"),
        ("twice-00000002", "twice-00000002"),
        ("00000002", "twice-00000002"),
        ("nobodys", "nobodys"),  # which has no results, as its reader will say
        ("My lr: 3", "My-lr-3-00000003"),
        ("a/b", None),
        ("../mine", None),
        ("me/project/ffffffff", None),
        ("", None),
    ],
)
def test_any_name_is_found(given: str, study: str | None, layout: Layout) -> None:
    if study is None:
        with pytest.raises(ConfigError) as raised:
            study_of_results(given, layout)
        assert [problem.value for problem in raised.value.problems] == [given]
    else:
        assert study_of_results(given, layout) == study


def test_files_and_folders_are_found(layout: Layout) -> None:
    sweep = layout.sweep("1a983680")
    assert study_of_results(str(sweep.study), layout) == "lr-1a983680"
    assert study_of_results(f"{sweep.path}/", layout) == "lr-1a983680"
    assert study_of_results(f"{layout.study('mine').path}/", layout) == "mine"


def test_a_name_of_several_is_refused(layout: Layout) -> None:
    with pytest.raises(ConfigError) as raised:
        study_of_results("twice", layout)
    (problem,) = raised.value.problems
    assert problem.value == "twice" and "twice-00000001" in problem.hint
