"""Sweeps with trials whose values do not fit each other, and the data of those that do."""

from pathlib import Path

import pytest

from resweep import yaml12
from resweep.paths import Layout
from resweep.study import files
from resweep.study.kinds import sweep as sweep_kind
from resweep.study.load import load_study
from resweep.study.study import Study
from tests.support.problems import problem_of

VOCABULARY = {"value": 300}


def load(folder: Path, method: str, **parameters: object) -> Study:
    """A study of one sweep over path-star graphs, which have 50 paths of 5 vertices by default."""
    study = {
        "name": "mine",
        "system": "pathstar",
        "base": {},
        "set": {"max_steps": 4},
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": str(folder / "sweep.yaml")}],
    }
    sweep = {"method": method, "run_cap": 4, "parameters": parameters}
    for name, content in (("study", study), ("sweep", sweep)):
        (folder / f"{name}.yaml").write_text(yaml12.dump(content))
    return load_study(folder / "study.yaml", folder)


def test_data_is_prepared_for_trials_that_can_be_trained(tmp_path):
    spokes = {"values": [10, 50, 500]}
    study = load(tmp_path, "grid", graph_d=spokes, graph_vocab_size=VOCABULARY)
    assert [data["graph_d"] for data in study.data_settings()] == [10, 50]
    phase = study.phase("sweep")
    (stage,) = phase.stages
    waits = [
        files.training_inputs(Layout(tmp_path), phase, stage, [trial]) for trial in phase.trials
    ]
    assert [len(paths) for paths in waits] == [1, 1, 0]
    (warning,) = study.warnings
    assert "1 of 3 trials" in warning and "vocab_size must be >= d * (l-1) + 1" in warning


def test_a_search_that_draws_graphs_prepares_them_round_by_round(tmp_path):
    spokes = {"min": 5, "max": 20}
    study = load(tmp_path, "bayes", graph_d=spokes, graph_vocab_size={"value": 100})
    assert study.data_settings() == []


@pytest.mark.parametrize("method", ["grid", "bayes"])
def test_constants_that_fit_in_no_trial_are_an_error(method, tmp_path):
    rates = {"values": [1e-3, 1e-2]}
    given = {"learning_rate": rates, "graph_vocab_size": {"value": 100}}
    problem = problem_of(load, tmp_path, method, **given)
    assert problem.file == str(tmp_path / "sweep.yaml")
    assert "vocab_size must be >= d * (l-1) + 1" in problem.hint and "201" in problem.hint


def test_constants_that_fit_swept_values_are_none(tmp_path):
    study = load(tmp_path, "grid", n_head={"values": [5, 10]}, n_embd={"value": 40})
    assert study.warnings == () and len(study.phase("sweep").trials) == 2


@pytest.mark.parametrize(("most", "checked"), [(10, "none of 4 trials"), (2, "the first 2 trials")])
def test_a_sweep_without_a_trial_that_can_be_trained_says_so(most, checked, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_kind, "MOST_CHECKED", most)
    large = {"values": [500, 501, 502, 503]}
    study = load(tmp_path, "grid", graph_d=large, graph_vocab_size=VOCABULARY)
    (warning,) = study.warnings
    assert checked in warning
    assert study.data_settings() == []
