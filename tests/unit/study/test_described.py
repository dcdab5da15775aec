"""study.yaml in the results, damaged: a line that names it."""

from pathlib import Path

import pytest

from resweep.errors import DamagedFile
from resweep.study.described import read_described, write_described

SOUND = "phases: [{name: sweep, kind: sweep, keep: best}]\ntracking: {wandb: offline}\n"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(SOUND)
    assert read_described(file)["phases"] == [{"name": "sweep", "kind": "sweep", "keep": "best"}]


@pytest.mark.parametrize(
    "content",
    ["", "name: x\n", "[]\n", "phases: []\ntracking: {}\n", "phases: 5\n", "\0\0", SOUND[:20]],
)
def test_damage_is_named(content: str, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(content)
    with pytest.raises(DamagedFile) as caught:
        read_described(file)
    assert caught.value.path == file and "\n" not in str(caught.value)


def test_a_change_after_it_was_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    content = {"phases": [{"name": "sweep", "kind": "sweep", "top": 1.5}], "tracking": {}}
    write_described(file, content)
    assert read_described(file) == content
    file.write_text(file.read_text().replace("1.5", "2.5"))
    with pytest.raises(DamagedFile, match="checksum"):
        read_described(file)
