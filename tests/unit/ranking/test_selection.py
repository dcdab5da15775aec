"""Rankings that are read back, damaged: a line that names the file, and nothing is deleted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from resweep.errors import DamagedFile
from resweep.ranking.old_bests import find_old_bests
from resweep.ranking.selection import read_scores
from tests.support.study import make_study

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda b: b[: len(b) // 3],
    "cut off at the end": lambda b: b[:-3],
    "empty": lambda b: b"",
    "zeros": lambda b: bytes(len(b)) + b"\n",
    "not UTF-8": lambda b: b"\xff\xfe" + b,
    "another table": lambda b: b"a,b\n1,2\n",
    "a row too short": lambda b: b + b"5,aaa\n",
    "a row too long": lambda b: b + b"," * 99 + b"\n",
    "a rank that is text": lambda b: b.replace(b"\n1,", b"\nfirst,", 1),
}


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("made")).phase("made", "sweep").scores


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_ranking_is_named(damage, scores, tmp_path):
    file = tmp_path / "scores.csv"
    file.write_bytes(damage(scores.read_bytes()))
    assert file.read_bytes() != scores.read_bytes()
    with pytest.raises(DamagedFile) as caught:
        read_scores(file)
    assert caught.value.path == file and "\n" not in str(caught.value)


def test_an_audit_names_a_damaged_ranking_too(scores, tmp_path):
    layout = make_study(tmp_path)
    file = layout.phase("made", "sweep").scores
    file.write_text("a,b\n1,2\n")
    with pytest.raises(DamagedFile) as caught:
        find_old_bests("made", file, layout)
    assert caught.value.path == file
