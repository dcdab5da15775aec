"""A rerun of the best of several phases, and of a list."""

from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.paths import Layout
from resweep.study.load import load_study
from resweep.sweep import Parameter
from tests.support.problems import problem_of

SWEEP = {"method": "grid", "parameters": {"learning_rate": {"values": [1e-3, 2e-3]}}}
OTHER = {"method": "grid", "parameters": {"beta2": {"values": [0.9, 0.99]}}}
RERUN = {"name": "rerun", "kind": "rerun", "of": ["one", "two"], "top": 3, "seeds": [1, 2]}


def load(folder: Path, rerun: dict[str, Any], other: dict[str, Any] = OTHER, **study: Any):
    """Load a study of two sweeps and a rerun."""
    sweeps = [{"name": name, "kind": "sweep", "sweep": name} for name in ("one", "two")]
    content = {"name": "mine", "base": {}, "set": {"max_steps": 5}, "phases": [*sweeps, rerun]}
    files = {"sweep/one": SWEEP, "sweep/two": other, "studies/mine": content | study}
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(yaml12.dump(text))
    return load_study(folder / "studies/mine.yaml", folder)


def test_its_job_reads_the_rankings_and_chooses(tmp_path):
    phase = load(tmp_path, RERUN).phase("rerun")
    layout = Layout(tmp_path / "results")
    (fill,) = phase.fills(layout)
    scores = [layout.phase("mine", name).scores for name in ("one", "two")]
    assert fill.inputs["scores"] == scores and phase.asks == {}
    assert fill.outputs["best"] == phase.best_lists(layout)
    assert len(fill.outputs["trials"]) == 6
    assert [dict(one) for one in phase.possible()][1:] == [
        *({}, {"training.learning_rate": 1e-3}, {"training.learning_rate": 2e-3}),
        *({}, {"training.beta2": 0.9}, {"training.beta2": 0.99}),
    ]


@pytest.mark.parametrize(
    ("changes", "study", "hint"),
    [
        ({"of": ["one", "one"]}, {}, "twice"),
        ({"of": ["one", "three"]}, {}, "one, two"),
        ({"top": 5}, {}, "at most 4"),
        ({}, {"score": {"normalize": "zscore", "slope_weight": 1.0}}, "standardised"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, study, hint, tmp_path):
    problem = problem_of(load, tmp_path, RERUN | changes, **study)
    assert problem.key.startswith("phases.2.") and hint in problem.hint


def test_phases_of_different_metrics_are_refused(tmp_path):
    other = OTHER | {"metric": {"name": "train/loss", "goal": "minimize"}}
    assert "different metrics" in problem_of(load, tmp_path, RERUN, other).hint
    load(tmp_path, RERUN, other, score={"metric": "val/loss"})


def test_distinct_configurations_are_chosen_by_its_job_also_from_one_phase(tmp_path):
    apart = RERUN | {"of": "one", "top": 2, "distinct": 0.3}
    phase = load(tmp_path, apart).phase("rerun")
    layout = Layout(tmp_path / "results")
    (fill,) = phase.fills(layout)
    assert fill.inputs["scores"] == [layout.phase("mine", "one").scores] and phase.asks == {}
    assert (
        fill.outputs["best"] == phase.best_lists(layout) == [layout.phase("mine", "rerun").chosen]
    )
    assert phase.plan()["distinct"] == phase.settings["distinct"] == 0.3
    (rate,) = phase.plan()["space"]
    assert Parameter(**rate) == Parameter(
        "training.learning_rate", "categorical", values=(1e-3, 2e-3)
    )


def test_a_plan_has_the_spaces_of_all_sources_where_they_say_something(tmp_path):
    several = load(tmp_path, RERUN).phase("rerun").plan()
    assert [one["name"] for one in several["space"]] == ["training.learning_rate", "training.beta2"]
    assert "distinct" not in several
    assert "space" not in load(tmp_path, RERUN | {"top": 1}).phase("rerun").plan()


@pytest.mark.parametrize("distinct", [0, 1, -0.1, 1.5, "far"])
def test_a_least_distance_is_a_fraction(distinct, tmp_path):
    problem = problem_of(load, tmp_path, RERUN | {"distinct": distinct})
    assert problem.key == "phases.2.distinct"


def test_without_a_search_space_there_is_no_distance(tmp_path):
    best = tmp_path / "best.yaml"
    best.write_text("- {learning_rate: 1e-3}\n- {learning_rate: 2e-3}\n")
    problem = problem_of(load, tmp_path, RERUN | {"of": str(best), "top": 2, "distinct": 0.1})
    assert problem.key == "phases.2.distinct" and str(best) in problem.hint
    again = {"name": "again", "kind": "rerun", "of": ["one", "rerun"], "distinct": 0.1}
    sweep = {"name": "one", "kind": "sweep", "sweep": "one"}
    phases = [sweep, RERUN | {"of": "one", "top": 1}, again]
    problem = problem_of(load, tmp_path, RERUN, phases=phases)
    assert problem.key == "phases.2.distinct" and "rerun has none" in problem.hint


@pytest.mark.parametrize(
    ("changes", "study", "named"),
    [
        ({}, {}, ("pos_encoding", "entries 1, 3 ")),
        ({"top": 2}, {}, ("pos_encoding", "")),
        ({}, {"own": ["pos_encoding"]}, ()),
    ],
)
def test_a_list_with_names_that_nothing_reads_is_warned_of(changes, study, named, tmp_path):
    listed = [
        {"learning_rate": rate, "pos_encoding": name}
        for rate, name in ((1e-3, "alibi"), (2e-3, "rope"), (1e-3, "rope"))
    ]
    file = tmp_path / "best.yaml"
    file.write_text(yaml12.dump(listed))
    rerun = {"name": "rerun", "kind": "rerun", "of": str(file)}
    warnings = load(tmp_path, rerun | changes, **study).warnings
    assert len(warnings) == bool(named) and all(name in warnings[0] for name in named)
    assert ("entries" in "".join(warnings)) == any("entries" in name for name in named)
