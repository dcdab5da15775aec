"""Weights that studies start from are looked for when the studies are read."""

from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.canonical import file_digest
from resweep.jobs.initial_weights import check_initial_weights
from resweep.paths import Layout
from resweep.store.parent import find_parent
from resweep.study.load import load_study
from resweep.systems.registry import find_system
from tests.support import problems
from tests.support.problems import assert_problem

RUN = "0123456789ab"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "model.safetensors").write_bytes(b"numbers")
    return folder


def check(
    folder: Path, changes: dict[str, Any], swept: dict[str, Any] | None = None, method: str = "grid"
) -> None:
    """Check a study of one sweep; the results are in the same folder."""
    sweep = {"method": method, "run_cap": 8, "parameters": swept or {"beta1": {"values": [0.8]}}}
    study = {
        "name": "mine",
        "base": {"data": {"source": "python-docs"}, "training": {"max_steps": 9}},
        "set": changes,
        "phases": [
            {"name": "sweep", "kind": "sweep", "sweep": str(folder / "sweep.yaml")},
            {"name": "rerun", "kind": "rerun", "of": "sweep"},
        ],
    }
    (folder / "sweep.yaml").write_text(yaml12.dump(sweep))
    (folder / "mine.yaml").write_text(yaml12.dump(study))
    loaded = load_study(folder / "mine.yaml", folder)
    check_initial_weights([loaded], Layout(folder / "results"))


def problem_of(*arguments: Any, **options: Any) -> Any:
    return problems.problem_of(check, *arguments, **options)


@pytest.mark.parametrize(
    "name",
    ["nowhere", "~/nowhere", RUN, f"{RUN}/100", "x" * 300, "x" * 5000, f"{RUN}/../x"],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize("key", ["run.checkpoint", "model.name_or_path"])
def test_missing_weights_are_named(key: str, name: str, tmp_path: Path) -> None:
    name = name if key == "run.checkpoint" else f"./{name}"
    kind = {} if key == "run.checkpoint" else {"model.kind": "hf"}
    assert_problem(problem_of(tmp_path, {key: name, **kind}), key, name, file="mine.yaml")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    found = problem_of(tmp_path, {"run.checkpoint": str(tmp_path)})
    assert_problem(found, "run.checkpoint", str(tmp_path), "model.safetensors")


def test_steps_that_a_run_has_are_listed(tmp_path: Path) -> None:
    (tmp_path / "results/runs" / RUN / "checkpoint_50").mkdir(parents=True)
    found = problem_of(tmp_path, {"run.checkpoint": f"{RUN}/60"})
    assert_problem(found, "run.checkpoint", f"{RUN}/60", RUN)


@pytest.mark.parametrize("method", ["grid", "bayes"])
def test_every_swept_name_is_looked_for(method: str, weights: Path, tmp_path: Path) -> None:
    names = {"values": [None, str(weights), "one", "two"]}
    found = problems.problems_of(
        check, tmp_path, {}, {"run.checkpoint": names, "scheduler": {"values": ["wsd"]}}, method
    )
    assert [problem.value for problem in found] == ["one", "two"]


def test_a_name_that_all_trials_replace_is_not_looked_for(weights: Path, tmp_path: Path) -> None:
    swept = {
        "run.checkpoint": {"values": [str(weights), None]},
        "scheduler": {"values": ["wsd", "linear"]},
    }
    check(tmp_path, {"run.checkpoint": "nowhere"}, swept)


def test_what_is_there_was_there_or_will_be_made_is_accepted(weights: Path, tmp_path: Path) -> None:
    check(tmp_path, {"run.checkpoint": str(weights)})
    check(tmp_path, {"model.kind": "hf", "model.name_or_path": "openai-community/gpt2"})
    made = tmp_path / "results/mine/sweep/models/best"
    check(tmp_path, {"run.checkpoint": str(made)})
    known = {"run": {"checkpoint": str(weights)}, "model": {"kind": "gpt"}}
    find_parent(find_system(), known, Layout(tmp_path / "results"))
    (weights / "model.safetensors").unlink()
    check(tmp_path, {"run.checkpoint": str(weights)})


def test_a_digest_has_to_be_that_of_the_weights(weights: Path, tmp_path: Path) -> None:
    digest = file_digest(weights / "model.safetensors")
    check(tmp_path, {"run.checkpoint": str(weights), "run.weights": digest})
    other = {"run.checkpoint": str(weights), "run.weights": "0" * 64}
    assert_problem(problem_of(tmp_path, other), "run.weights", "0" * 64, digest)
    alone = problem_of(tmp_path, {"run.weights": digest})
    assert_problem(alone, "run.weights", digest, "run.checkpoint")
