"""JSON files of our own: any change is found, and said with file, what and fix."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from resweep.errors import DamagedFile
from resweep.json_files import CHECKSUM, read_json, set_aside, to_json, write_json

CONTENT = {"step": 40, "metrics": {"val/loss": 3.0625}, "host": None, "names": ["a", "b"]}


class State(TypedDict):
    step: int
    metrics: dict[str, float]
    host: str | None
    names: list[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "record.json"
    write_json(path, CONTENT)
    return path


def test_content_comes_back_as_it_was_written(file):
    assert read_json(file, "delete it", TypeAdapter(State)) == CONTENT


def test_every_changed_digit_of_a_number_is_found(file):
    text = file.read_text()
    for place in (place for place, char in enumerate(text) if char.isdigit()):
        file.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
        with pytest.raises(DamagedFile):
            read_json(file, "delete it")


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"5", b"[]", b"null", b"\0" * 40, b"\xff\xfe{}", b'{"step": NaN}']
)
def test_damage_names_file_and_fix(file, damage):
    file.write_bytes(damage)
    shape = TypeAdapter(State)
    with pytest.raises(DamagedFile) as caught:
        read_json(file, "delete it", shape)
    assert (caught.value.path, caught.value.fix) == (file, "delete it")
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_older_file_without_checksum_has_its_type_checked(file):
    file.write_text(json.dumps(CONTENT))
    assert read_json(file, "delete it", TypeAdapter(State)) == CONTENT
    file.write_text(json.dumps({**CONTENT, "metrics": None}))
    with pytest.raises(DamagedFile, match="metrics"):
        read_json(file, "delete it", TypeAdapter(State))


def test_order_and_spaces_do_not_matter(file):
    content = json.loads(to_json(CONTENT))
    file.write_text(json.dumps(dict(sorted(content.items())), separators=(",", ":")))
    assert read_json(file, "delete it") == CONTENT
    assert CHECKSUM in content


def test_what_is_set_aside_keeps_its_bytes(file, caplog):
    before = file.read_bytes()
    aside = set_aside(file, "is not JSON")
    assert not file.exists()
    assert aside.read_bytes() == before
    assert "is not JSON" in caplog.text
