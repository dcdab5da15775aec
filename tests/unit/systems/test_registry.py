"""Systems are found by their folders, and what is wrong with one is said."""

from pathlib import Path

import pytest

import resweep.systems
from resweep.systems import registry
from tests.support.problems import assert_problem, problem_of

GOOD = """
from resweep.config.metric import Logged, Metric

class SYSTEM:
    name, metric = "%s", "loss"
    metrics = (Metric(name="loss", logged=Logged.LINE),)
    find_metric = staticmethod(lambda name: name == "loss" or None)
"""


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Add the module of a system; returns its file."""
    monkeypatch.setattr(registry, "_FOLDER", tmp_path)
    monkeypatch.setattr(resweep.systems, "__path__", [str(tmp_path)])

    def add(name: str, content: str) -> str:
        file = tmp_path / name / "system.py"
        file.parent.mkdir()
        file.write_text(content)
        return str(file)

    return add


def test_a_folder_with_a_module_is_a_system(add):
    add("made_1", GOOD % "made_1")
    assert registry.system_names() == ["made_1"]
    assert registry.find_system("made_1").name == "made_1"
    assert problem_of(registry.find_system, "nobodys").value == "nobodys"


@pytest.mark.parametrize(
    ("name", "content", "key", "word"),
    [
        ("made_2", "import nothing_of_this_name", "system", "nothing_of_this_name"),
        ("made_3", "VALUE = 1", "system", "SYSTEM"),
        ("made_4", "def", "system", "SyntaxError"),
        ("made_5", GOOD % "other", "SYSTEM.name", "made_5"),
        (
            "made_6",
            (GOOD % "made_6").replace('"loss"\n', '"accuracy"\n', 1),
            "SYSTEM.metric",
            "metrics",
        ),
    ],
)
def test_what_is_wrong_with_a_system_is_said_with_its_file(add, name, content, key, word):
    file = add(name, content)
    problem = problem_of(registry.find_system, name)
    assert_problem(problem, key, problem.value, word, file=file)
