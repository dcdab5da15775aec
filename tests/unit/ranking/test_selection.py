"""Rankings that are read back: damaged ones, and what is taken from sound ones."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from resweep import yaml12
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.errors import DamagedFile
from resweep.ranking.keep import keep_models
from resweep.ranking.old_bests import find_old_bests
from resweep.ranking.score_table import read_ranking, read_scores
from resweep.ranking.selection import (
    RerunPlan,
    best_configs_text,
    best_of_phases_text,
    plan_rerun,
)
from resweep.sweep import Parameter
from resweep.trials.trial import Trial
from tests.support.rankings import frame, write_frame
from tests.support.study import RATE, SWEEP, Made, make_study
from tests.support.tiny import LANGUAGE

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


# Near-copies

RATES = {"aaa": 1e-3, "bbb": 1.1e-3, "ccc": 1.5e-3, "ddd": 1e-2, "eee": 1e-2, "fff": 0.1}
WIDE = Parameter(RATE, "log_uniform_values", low=1e-5, high=1e-1)  # a decade is a quarter


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ranking in the order of the names: eee differs from ddd in a choice that a rerun sets."""
    sweep = [
        Made(name, {RATE: rate, "kind_of": name == "eee"}, 2 + n / 10)
        for n, (name, rate) in enumerate(RATES.items())
    ]
    return make_study(tmp_path_factory.mktemp("crowded"), sweep).phase("made", "sweep").scores


def plan_of(**more) -> RerunPlan:
    place = {"study": "made", "phase": "rerun", "config": {}, "seeds": [1], "overrides": {}}
    return place | {"space": [WIDE.content]} | more  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("distinct", "top", "chosen"),
    [
        (None, 3, ["aaa", "bbb", "ccc"]),
        (0.01, 3, ["aaa", "bbb", "ccc"]),
        (0.02, 3, ["aaa", "ccc", "ddd"]),
        (0.05, 3, ["aaa", "ddd", "eee"]),
        (0.25, 2, ["aaa", "ddd"]),
        (0.26, 9, ["aaa", "eee", "fff"]),
        (0.5, 9, ["aaa", "eee", "fff"]),
    ],
)
def test_configurations_are_taken_down_the_ranking_if_they_are_apart(
    distinct, top, chosen, crowded
):
    plan = plan_of() if distinct is None else plan_of(distinct=distinct)
    text = best_of_phases_text([crowded], top, plan)
    assert re.findall(r"^# sweep trial (\w+)", text, re.M) == chosen


def test_what_the_rerun_sets_tells_nothing_apart(crowded):
    plan = plan_of(distinct=0.05, overrides={"kind_of": False})
    text = best_of_phases_text([crowded], 9, plan)
    assert re.findall(r"^# sweep trial (\w+)", text, re.M) == ["aaa", "ddd", "fff"]


def rerun_of(rates: list[float], folder: Path, **more) -> list[Trial]:
    config, _ = compose.validate(Composed({"training": {"max_steps": 10}}, {}), "?", LANGUAGE)
    best = folder / "chosen_configs.yaml"
    best.write_text(yaml12.dump([{RATE: rate} for rate in rates]))
    return plan_rerun(best, ["01", "02", "03"], **plan_of(config=config, **more))


def test_slots_for_which_nothing_is_apart_say_so(tmp_path, caplog):
    planned = rerun_of([1e-3], tmp_path, distinct=0.25)
    assert [trial.empty is None for trial in planned] == [True, False, False]
    assert "1 configuration at least 0.25 apart" in str(planned[2].empty)
    assert not caplog.records


@pytest.mark.parametrize(
    ("rates", "warned"),
    [([1e-3, 1.1e-3, 1.2e-3], True), ([1e-3, 1.1e-3, 1.3e-3], False), ([1e-3], False)],
)
def test_a_rerun_of_near_copies_is_warned_of(rates, warned, tmp_path, caplog):
    rerun_of(rates, tmp_path)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
    if warned:
        assert "made/rerun: " in caplog.text and "distinct: 0.05" in caplog.text
    caplog.clear()
    rerun_of(rates, tmp_path, space=[])
    rerun_of(rates, tmp_path, distinct=0.001)
    assert not caplog.records


@pytest.mark.parametrize("content", [{"name": RATE}, {"name": RATE, "distribution": 1}, {"x": 1}])
def test_a_plan_with_another_space_is_refused(content):
    with pytest.raises(ValidationError):
        TypeAdapter(RerunPlan).validate_python(plan_of(space=[content]))
    assert TypeAdapter(RerunPlan).validate_python(plan_of())
