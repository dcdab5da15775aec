"""What is known about weights that runs start from."""

import json
from pathlib import Path

import pytest

from resweep.canonical import file_digest
from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.store.parent import find_parent
from resweep.systems.registry import find_system

SYSTEM = find_system("language")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text('{"n_embd": 16}')
    (folder / "model.safetensors").write_bytes(b"numbers")
    return folder


def config(weights: Path) -> dict:
    return {"run": {"checkpoint": str(weights)}, "model": {"kind": "gpt"}}


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"folder": 5}', "{"])
def test_a_damaged_note_is_made_again_from_the_weights(damage, weights, tmp_path):
    layout = Layout(tmp_path / "results")
    made = find_parent(SYSTEM, config(weights), layout)
    assert made.digest == file_digest(weights / "model.safetensors")
    (note,) = (layout.root / "weights").iterdir()
    before = note.read_text()
    note.write_text(damage)
    assert find_parent(SYSTEM, config(weights), layout) == made
    assert note.read_text() == before
    note.write_text(damage)
    (weights / "model.safetensors").unlink()
    with pytest.raises(StoreError, match=r"run\.checkpoint"):
        find_parent(SYSTEM, config(weights), layout)


def test_a_changed_digest_is_not_believed(weights, tmp_path):
    layout = Layout(tmp_path / "results")
    made = find_parent(SYSTEM, config(weights), layout)
    (note,) = (layout.root / "weights").iterdir()
    content = json.loads(note.read_text())
    note.write_text(json.dumps(content | {"digest": "0" * 64}))
    assert find_parent(SYSTEM, config(weights), layout) == made


def test_notes_that_are_right_are_not_written_again(weights, tmp_path):
    layout = Layout(tmp_path / "results")
    named = {"run": {"checkpoint": None}, "model": {"kind": "hf", "name_or_path": str(weights)}}

    def notes() -> dict[str, int]:
        return {file.name: file.stat().st_ino for file in (layout.root / "weights").iterdir()}

    made = find_parent(SYSTEM, named, layout)
    before = notes()
    assert find_parent(SYSTEM, named, layout) == made
    assert notes() == before


@pytest.mark.parametrize("text", ["", "[1]"])
def test_a_configuration_that_is_none_is_named(text, weights, tmp_path):
    (weights / "config.json").write_text(text)
    with pytest.raises(StoreError, match=r"config\.json"):
        find_parent(SYSTEM, config(weights), Layout(tmp_path))
