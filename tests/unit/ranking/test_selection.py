"""Rankings that are read back, damaged: a line that names the file, and nothing is deleted."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from resweep.errors import DamagedFile
from resweep.ranking.keep import keep_models
from resweep.ranking.old_bests import find_old_bests
from resweep.ranking.score_table import read_ranking, read_scores
from resweep.ranking.selection import best_configs_text
from tests.support.rankings import frame, write_frame
from tests.support.study import SWEEP, make_study

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


CHANGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "cut at the end of a row": lambda s: s.iloc[:-1],
    "another final value": lambda s: s.assign(final=s["final"] + 0.25),
    "another run": lambda s: s.assign(run_id="0" * 12),
    "another status": lambda s: s.assign(status="finished"),
    "another step": lambda s: s.assign(step=s["step"] + 1),
    "ranks swapped": lambda s: s.assign(rank=s["rank"].replace({1: 2, 2: 1})),
    "a score that rises": lambda s: s.assign(score=-s["score"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_ranking_that_is_not_of_its_records_decides_nothing(change, tmp_path):
    layout = make_study(tmp_path)
    folder = layout.phase("made", "sweep")
    before = read_ranking(folder.scores, len(SWEEP))
    models = {path.name for path in folder.models.iterdir()}
    write_frame(folder.scores, change(frame(before)))
    common = {"study": "made", "phase": "sweep", "scores_path": folder.scores, "layout": layout}
    with pytest.raises(DamagedFile):
        keep_models(**common, policy="none", top=1, models=folder.models, trials=len(SWEEP))
    with pytest.raises(DamagedFile):
        best_configs_text(folder.scores, 1, trials=len(SWEEP))
    assert {path.name for path in folder.models.iterdir()} == models


def test_an_audit_names_a_damaged_ranking_too(scores, tmp_path):
    layout = make_study(tmp_path)
    file = layout.phase("made", "sweep").scores
    file.write_text("a,b\n1,2\n")
    with pytest.raises(DamagedFile) as caught:
        find_old_bests("made", file, layout)
    assert caught.value.path == file
