"""study.yaml in the results, damaged: a line that names it."""

from pathlib import Path

import pytest

from resweep.errors import DamagedFile
from resweep.study.described import read_described

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
