"""A rerun that continues the runs of the best trials."""

import json
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.paths import Layout
from resweep.ranking.selection import plan_rerun
from resweep.study.load import load_study
from tests.support.outcomes import outcome
from tests.support.problems import problem_of

SWEEP = {"method": "grid", "parameters": {"learning_rate": {"values": [1e-3, 2e-3]}}}
LONGER = {
    **{"name": "longer", "kind": "rerun", "of": "sweep", "resume": True},
    "set": {"max_steps": 9},
}


def load(folder: Path, longer: dict[str, Any], **study: Any):
    """Load a study of a sweep of five steps, and a rerun."""
    sweep = {"name": "sweep", "kind": "sweep", "sweep": "rates"}
    content = {"name": "mine", "base": {}, "set": {"max_steps": 5}, "phases": [sweep, longer]}
    for name, text in {"sweep/rates": SWEEP, "studies/mine": content | study}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(yaml12.dump(text))
    return load_study(folder / "studies/mine.yaml", folder)


def test_its_job_reads_the_ranking_and_its_source_keeps_the_weights(tmp_path):
    study = load(tmp_path, {**LONGER, "top": 2})
    phase, layout = study.phase("longer"), Layout(tmp_path / "results")
    (fill,) = phase.fills(layout)
    assert fill.inputs["scores"] == [layout.phase("mine", "sweep").scores]
    assert json.loads(fill.plan)["resume"] is True
    assert study.phase("sweep").selects == 2
    assert len(phase.trials) == 2


@pytest.mark.parametrize(
    ("changes", "study", "key", "hint"),
    [
        ({"seeds": [1, 2]}, {}, "seeds", "its own seed"),
        ({"set": {"max_steps": 9, "seed": 5}}, {}, "set.training.seed", "its own seed"),
        ({"set": {}}, {}, "set.training.max_steps", "more than 5"),
        ({"set": {"max_steps": 9, "log_steps": 3}}, {}, "set.training.log_steps", "should be 10"),
        ({"set": {"max_steps": 9, "n_layer": 2}}, {}, "model.n_layer", "should be 4"),
        ({}, {"keep": "none", "publish": {"models": "none"}}, "resume", "keep: best"),
        ({"distinct": 0.1}, {}, "resume", "keep: all"),
    ],
)
def test_what_cannot_be_continued_is_refused(changes, study, key, hint, tmp_path):
    problem = problem_of(load, tmp_path, LONGER | changes, **study)
    assert problem.key == f"phases.1.{key}" and hint in problem.hint


def test_a_list_has_no_runs(tmp_path):
    best = tmp_path / "best.yaml"
    best.write_text("- {learning_rate: 0.1}\n")
    assert "name a phase" in problem_of(load, tmp_path, LONGER | {"of": str(best)}).hint


def test_its_trials_take_over_checkpoint_and_seed(tmp_path):
    phase = load(tmp_path, LONGER).phase("longer")
    best = tmp_path / "best.yaml"
    best.write_text("- {learning_rate: 0.002}\n")
    source = outcome("a", 1.0, point={"training.learning_rate": 0.002})
    source.trial.config["training"]["seed"] = 7
    (trial,) = plan_rerun(best, ["01"], resumed=[source], **phase.plan())
    assert trial.assignments == {
        "training.learning_rate": 0.002,
        "training.seed": 7,
        "run.checkpoint": "runa/40",
        "run.resume": True,
    }
    assert trial.config["training"]["max_steps"] == 9


def test_the_settings_of_the_run_itself_are_the_run(tmp_path):
    phase = load(tmp_path, LONGER).phase("longer")
    best = tmp_path / "best.yaml"
    best.write_text("- {learning_rate: 0.002}\n")
    (alone,) = plan_rerun(best, ["01"], **{**phase.plan(), "resume": False})
    source = outcome("a", 1.0)
    source.trial.config.clear()
    source.trial.config.update(alone.config)
    (trial,) = plan_rerun(best, ["01"], resumed=[source], **phase.plan())
    assert trial.config == alone.config
