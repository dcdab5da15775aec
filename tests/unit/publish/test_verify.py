"""Published versions and stamps that are not what was published are named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from resweep.paths import Layout
from resweep.publish.artifacts import Content, Place, publish
from resweep.publish.verify import verify_artifacts


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with one published version."""
    layout = Layout(tmp_path / "results")
    folder = layout.study("made").path
    file = tmp_path / "01.yaml"
    file.write_text("learning_rate: 0.1\n")
    content = Content(name="made-configs", type="configs", files={"01.yaml": file}, metadata={})
    stamp = layout.study("made").artifact("made-configs")
    publish(content, Place("disabled", "made"), stamp, layout, "again")
    return folder


def named(study: Path) -> list[Path]:
    return [damage.path for damage in verify_artifacts(study)]


def test_what_was_published_is_sound(study: Path) -> None:
    assert named(study) == []


def changed_file(study: Path) -> Path:
    path = study / "artifacts/versions/made-configs/v0/01.yaml"
    path.write_text("learning_rate: 0.2\n")
    return path


def lost_file(study: Path) -> Path:
    path = study / "artifacts/versions/made-configs/v0/01.yaml"
    path.unlink()
    return path


def changed_version(study: Path) -> Path:
    path = study / "artifacts/versions/made-configs/v0.json"
    path.write_text(path.read_text().replace('"v0"', '"v1"'))
    return path


def lost_version(study: Path) -> Path:
    path = study / "artifacts/versions/made-configs/v0.json"
    path.unlink()
    return path


def changed_stamp(study: Path) -> Path:
    path = study / "artifacts/made-configs.json"
    path.write_text(path.read_text().replace("local", "published"))
    return path


@pytest.mark.parametrize(
    "tamper", [changed_file, lost_file, changed_version, lost_version, changed_stamp]
)
def test_each_change_is_named(study: Path, tamper: Callable[[Path], Path]) -> None:
    path = tamper(study)
    assert named(study) == [path]
