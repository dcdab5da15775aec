"""Which study a sweep file is run with."""

from pathlib import Path

import pytest

from resweep.agents.base_study import find_base_study
from resweep.errors import ConfigError

SWEEP = "method: grid\nparameters: {learning_rate: {values: [1, 2]}}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a study, and a home of another one below it."""
    for place, name in ((tmp_path, "own"), (tmp_path / "home", "other")):
        (place / "config/studies").mkdir(parents=True)
        (place / "config/config.yaml").write_text(f"studies: [{name}]\n")
        (place / f"config/studies/{name}.yaml").write_text(f"name: {name}\nphases: []\n")
    (tmp_path / "home/train.py").touch()
    (tmp_path / "lone.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def base(folder: Path, named: str, place: str = "", study: str | None = None) -> str:
    file = folder / place / "sweep.yaml"
    file.write_text(named + SWEEP)
    return find_base_study(file, study, Path("config")).stem


@pytest.mark.parametrize(
    "named",
    [
        "program: train.py\n",
        "command: [python3, train.py, '${args}']\n",
        "command: ['${env}', '${interpreter}', train.py, --flag]\n",
        "program: ./train.py\n",
    ],
)
def test_a_script_beside_the_file_names_its_study(folder: Path, named: str) -> None:
    assert base(folder, named, "home") == "other"


@pytest.mark.parametrize(
    "named",
    [
        "",
        "program: train.py\n",  # there is none here
        "program: lone.py\n",  # it has no config/ of its own but the one that is used anyway
        "command: [python3, -m, train]\n",
        "command: ['${program}']\n",
    ],
)
def test_without_one_it_is_the_study_of_the_project(folder: Path, named: str) -> None:
    assert base(folder, named) == "own"


def test_a_script_may_lie_deeper_than_the_file(folder: Path) -> None:
    (folder / "home/examples").mkdir()
    (folder / "home/examples/train.py").touch()
    assert base(folder, "program: examples/train.py\n", "home") == "other"
    assert base(folder, "program: home/examples/train.py\n") == "other"


def test_the_working_folders_study_is_that_of_the_given_configuration(folder: Path) -> None:
    (folder / "examples").mkdir()
    (folder / "examples/train.py").touch()
    (folder / "sweep.yaml").write_text("program: examples/train.py\n" + SWEEP)
    found = find_base_study(folder / "sweep.yaml", None, Path("home/config"))
    assert found.stem == "other"


def test_a_path_from_the_working_folder_is_found_too(folder: Path) -> None:
    assert base(folder, "program: home/train.py\n") == "other"


def test_the_program_goes_before_the_command(folder: Path) -> None:
    named = "program: lone.py\ncommand: [python, home/train.py]\n"
    assert base(folder, named) == "own"


def test_a_study_that_is_named_goes_before_both(folder: Path) -> None:
    assert base(folder, "program: train.py\n", "home", study="own") == "own"
    with pytest.raises(ConfigError, match="none"):
        base(folder, "program: train.py\n", "home", study="none")
