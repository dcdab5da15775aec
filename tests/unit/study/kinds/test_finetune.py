"""A fine-tuning, as a study file has it."""

import json
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.paths import Layout
from resweep.study.load import load_study
from resweep.systems.registry import system_of
from tests.support.problems import assert_problem, problem_of, problems_of

TUNE = {"name": "tune", "kind": "finetune", "of": "sweep", "base": {"data": "other"}}
RATES = {"method": "grid", "parameters": {"learning_rate": {"values": [1e-4, 1e-3]}}}
BAYES = {
    "method": "bayes",
    "run_cap": 4,
    "metric": {"name": "val/loss", "goal": "minimize"},
    "parameters": {"learning_rate": {"min": 1e-4, "max": 1e-2}},
}
SWEEP = {
    "method": "grid",
    "parameters": {"n_layer": {"values": [1, 2]}, "beta2": {"values": [0.9, 0.99]}},
}


def load(
    folder: Path,
    *phases: dict[str, Any],
    data: dict[str, Any] | None = None,
    sweep: dict[str, Any] = SWEEP,
    **study: Any,
):
    """Load a study of a sweep on one text, and fine-tunings on another."""
    first = {"name": "sweep", "kind": "sweep", "sweep": "space"}
    written = {"name": "mine", "base": {"data": "first"}, "set": {"max_steps": 5}}
    (folder / "text.txt").write_text("some text\n" * 100)
    other = {"source": "text", "paths": [str(folder / "text.txt")]}
    files = {
        "sweep/space": sweep,
        "sweep/rates": RATES,
        "sweep/bayes": BAYES,
        "data/first": {"source": "python-docs", "val_fraction": 0.2} | (data or {}),
        "data/other": other,
        "studies/mine": written | {"phases": [first, *phases]} | study,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(yaml12.dump(content))
    return load_study(folder / "studies/mine.yaml", folder)


def load_of(system: str, folder: Path, changes: dict[str, Any]):
    """Load a study of a system's defaults, and a fine-tuning with some changes."""
    (folder / "studies").mkdir(exist_ok=True)
    (folder / "sweep").mkdir(exist_ok=True)
    grid = {"method": "grid", "parameters": {"seed": {"values": [1, 2]}}}
    (folder / "sweep/seeds.yaml").write_text(yaml12.dump(grid))
    phases = [
        {"name": "sweep", "kind": "sweep", "sweep": "seeds"},
        {"name": "tune", "kind": "finetune", "of": "sweep", "set": changes},
    ]
    content = {"name": "mine", "system": system, "base": {}, "phases": phases}
    content["set"] = {"max_steps": 5, **({"size": 4} if system == "loop_transformer" else {})}
    (folder / "studies/mine.yaml").write_text(yaml12.dump(content))
    return load_study(folder / "studies/mine.yaml", folder)


def test_it_has_a_slot_for_each_run_point_and_seed(tmp_path):
    plain = load(tmp_path, TUNE).phase("tune")
    assert plain.trials == ["01"]
    swept = load(tmp_path, {**TUNE, "top": 3, "sweep": "rates", "seeds": [1, 2]}).phase("tune")
    assert swept.trials == [f"{slot:02d}" for slot in range(1, 13)]
    assert not any(map(swept.is_known, swept.stages))
    searched = load(tmp_path, {**TUNE, "sweep": "bayes", "round_size": 2}).phase("tune")
    assert searched.trials == ["r01-01", "r01-02", "r02-01", "r02-02"]


def test_it_changes_the_data_and_measures_the_first_one(tmp_path):
    phase = load(tmp_path, TUNE).phase("tune")
    data = phase.config["data"]
    assert (data["source"], data["val_fraction"]) == ("text", 0.1)  # the whole module is replaced
    assert data["first_data"] == {"source": "python-docs", "val_fraction": 0.2}
    assert system_of(phase.config).logs("first_data/loss", phase.config)
    assert phase.data_settings() == [data]
    not_measured = load(tmp_path, {**TUNE, "forgetting": False}).phase("tune")
    assert not_measured.config["data"]["first_data"] == {}


def test_the_same_data_is_not_measured_twice(tmp_path):
    phase = load(tmp_path, {**TUNE, "base": {}}).phase("tune")
    assert phase.config["data"]["first_data"] == {}


def test_what_only_fine_tunings_log_does_not_rank_a_sweep(tmp_path):
    problem = problem_of(load, tmp_path, TUNE, score={"metric": "first_data/loss"})
    assert problem.value == "first_data/loss" and "is not logged" in problem.hint


def test_tokens_are_those_of_the_weights(tmp_path):
    study = load(tmp_path, TUNE, data={"tokens": "bpe", "bpe_vocab_size": 300})
    data, layout = study.phase("tune").config["data"], Layout()
    assert data["tokens"] == "tokenizer"
    assert Path(data["tokenizer"]).parent == layout.data("some").parent
    assert study.warnings == ()
    # Prepared by the job that chooses the runs: its tokenizer is made on the way.
    assert [one["tokens"] for one in study.data_settings()] == ["bpe"]


def test_tokens_that_the_weights_do_not_know_are_named(tmp_path):
    tokens = {"data.tokens": "bpe", "data.bpe_vocab_size": 300}
    problem = problem_of(load, tmp_path, {**TUNE, "set": tokens})
    assert_problem(problem, "phases.1.data.tokens", "bpe", "bytes")
    own = {**TUNE, "set": tokens}
    study = load(tmp_path, own, data={"tokens": "bpe", "bpe_vocab_size": 400})
    (warning,) = study.warnings
    assert "data.tokens = bpe is not used" in warning
    assert study.phase("tune").config["data"]["tokens"] == "tokenizer"


def test_adapters_need_no_other_model_module(tmp_path):
    lora = {"model.kind": "hf", "model.lora_rank": 4}
    phase = load(tmp_path, {**TUNE, "set": lora}, set={"max_steps": 5, "n_layer": 2}).phase("tune")
    assert (phase.config["model"]["kind"], phase.config["model"]["lora_rank"]) == ("hf", 4)


def test_packs_expect_the_largest_model_that_it_may_start_from(tmp_path):
    phase = load(tmp_path, TUNE).phase("tune")
    assert {"model.n_layer": 2} in [dict(one) for one in phase.possible()]


def test_its_sources_keep_as_many_weights_as_it_takes(tmp_path):
    study = load(tmp_path, {**TUNE, "top": 3})
    assert study.phase("sweep").selects == 3


def test_its_plan_is_json_and_names_what_it_sets(tmp_path):
    phase = load(tmp_path, {**TUNE, "set": {"dropout": 0.1}, "sweep": "rates"}).phase("tune")
    fill = phase.fills(Layout(tmp_path / "results"))[0]
    plan = json.loads(fill.plan)
    assert {"model.dropout", "training.learning_rate", "data.paths"} <= {*plan["given"]}
    assert plan["points"] == [{"training.learning_rate": rate} for rate in (1e-4, 1e-3)]
    assert plan["config"]["data"]["first_data"] == {}
    assert [path.name for path in fill.outputs["trials"]] == ["01.yaml", "02.yaml"]


@pytest.mark.parametrize(
    ("changes", "key", "hint"),
    [
        ({"of": "sweeep"}, "of", "did you mean sweep?"),
        ({"of": []}, "of", "should name"),
        ({"top": 5}, "top", "at most 4"),
        ({"seeds": [1, 1]}, "seeds", "twice"),
        ({"trials": 3}, "trials", "name one: sweep"),
        ({"early_terminate": "off"}, "early_terminate", "name one: sweep"),
        ({"sweep": "bayes", "top": 2}, "top", "method: random"),
        ({"sweep": "bayes", "seeds": [1, 2]}, "seeds", "method: random"),
        ({"sweep": "rate"}, "sweep", "did you mean rates?"),
        ({"set": {"run.checkpoint": "models/x"}}, "set.run.checkpoint", "remove it"),
        ({"set": {"model.lora_rank": 4}}, "", "kind: hf"),
        ({"base": {"data": "nowhere"}}, "base.data", "nowhere"),
    ],
)
def test_mistakes_are_named(changes, key, hint, tmp_path):
    problem = problem_of(load, tmp_path, TUNE | changes)
    assert key in problem.key and hint in f"{problem.value} {problem.hint}"


def test_a_source_without_weights_is_refused(tmp_path):
    problem = problem_of(load, tmp_path, TUNE, keep="none", publish={"models": "none"})
    assert "keeps no weights" in problem.hint


def test_a_shape_that_no_weights_have_is_refused_before_any_job(tmp_path):
    shape = {"n_embd": 64, "context_length": 4096}
    found = problems_of(load, tmp_path, {**TUNE, "set": shape})
    assert len(found) == 2
    assert_problem(found, "phases.1.model.n_embd", 64)
    assert_problem(found, "phases.1.model.context_length", 4096)


@pytest.mark.parametrize(
    ("system", "changes"),
    [
        ("pathstar", {"model.n_layer": 7, "model.n_embd": 64, "model.bias": False}),
        ("predictive_coding", {"model.num_blocks": 3, "model.mlp_ratio": 2.0}),
        ("predictive_coding", {"model.hidden_size": 64, "data.patch_size": 2}),
        ("loop_transformer", {"arch.hidden_size": 64, "arch.learned_positions": False}),
        ("loop_transformer", {"data.size": 6, "arch.num_layers": 2, "arch.expansion": 8.0}),
    ],
)
def test_each_system_names_what_gives_its_weights_other_shapes(system, changes, tmp_path):
    same = {"learning_rate": 1e-5}
    assert load_of(system, tmp_path, same).phase("tune").trials == ["01"]
    found = problems_of(load_of, system, tmp_path, changes | same)
    assert {one.key: one.value for one in found} == {
        f"phases.1.{path}": value for path, value in changes.items()
    }


def test_an_expansion_of_the_same_width_is_no_other_shape(tmp_path):
    study = load_of("loop_transformer", tmp_path, {"expansion": 4.001})
    assert study.phase("tune").trials == ["01"]


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        (
            {"model.kind": "hf", "model.config.model_type": "llama"},
            "model.config.model_type",
            "llama",
        ),
        ({"run.resume": True}, "set.run.resume", True),
    ],
)
def test_another_architecture_and_continuing_are_refused(tmp_path, changes, key, value):
    problem = problem_of(load, tmp_path, {**TUNE, "set": changes})
    assert_problem(problem, f"phases.1.{key}", value)


def test_a_shape_that_some_weights_have_is_allowed(tmp_path):
    phase = load(tmp_path, {**TUNE, "set": {"n_layer": 2, "context_length": 8}}).phase("tune")
    assert (phase.config["model"]["n_layer"], phase.config["model"]["context_length"]) == (2, 8)
