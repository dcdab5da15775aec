"""What the command of a sweep file sets in the configuration of its phase."""

from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.config.nesting import find
from resweep.errors import ConfigError
from resweep.study.load import load_study
from resweep.study.study import Study

BASE = {"model": {}, "data": {}, "training": {"max_steps": 200, "eval_steps": 20}}
WORDS = ["learning_rate=2e-3", "+n_layer=2", "--bias=True"]


def load(folder: Path, *words: str, launcher: list[str] | None = None, **changes: Any) -> Study:
    sweep = {
        "method": "grid",
        "parameters": {"learning_rate": {"values": [1e-3, 2e-3]}, "n_head": {"value": 2}},
        "command": [*(launcher or ["python"]), "train.py", *words, "${args}"],
    }
    phase = changes.pop("phase", {})
    study = {
        "name": "mine",
        "base": changes.pop("base", BASE),
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": str(folder / "s.yaml"), **phase}],
        **changes,
    }
    (folder / "s.yaml").write_text(yaml12.dump(sweep))
    (folder / "mine.yaml").write_text(yaml12.dump(study))
    return load_study(folder / "mine.yaml", folder)


def value(study: Study, path: str) -> Any:
    phase = study.phases[0]
    return find(phase.config, path)


def test_parameters_are_above_the_command_and_the_study_below_it(tmp_path: Path) -> None:
    study = load(tmp_path, "n_head=8", "n_layer=3", "--bias=True", set={"n_layer": 5})
    assert [value(study, f"model.{name}") for name in ("n_head", "n_layer", "bias")] == [2, 3, True]


def test_the_phase_and_the_command_line_are_above_the_command(tmp_path: Path) -> None:
    study = load(tmp_path, "n_layer=3", "max_steps=7", phase={"set": {"n_layer": 4}})
    assert (value(study, "model.n_layer"), value(study, "training.max_steps")) == (4, 7)
    above = load_study(tmp_path / "mine.yaml", tmp_path, {"training.max_steps": 9})
    assert value(above, "training.max_steps") == 9


def test_what_is_swept_may_be_in_the_command_too(tmp_path: Path) -> None:
    swept = load(tmp_path, "learning_rate=5e-4").phases[0]
    alone = load(tmp_path).phases[0]
    assert swept.trials == alone.trials
    trial = swept.trials[0]
    assert swept.trial_config(trial) == alone.trial_config(trial)


def test_later_phases_build_on_it(tmp_path: Path) -> None:
    load(tmp_path, "n_layer=3")
    content = yaml12.load_mapping(tmp_path / "mine.yaml")
    content["phases"].append({"name": "again", "kind": "rerun", "of": "sweep", "seeds": [1, 2]})
    (tmp_path / "mine.yaml").write_text(yaml12.dump(content))
    again = load_study(tmp_path / "mine.yaml", tmp_path).phases[1]
    assert find(again.config, "model.n_layer") == 3


def test_values_have_the_types_of_their_fields(tmp_path: Path) -> None:
    study = load(tmp_path, "run.name=007", "weight_decay=1", "--no-bias")
    found = [value(study, path) for path in ("run.name", "training.weight_decay", "model.bias")]
    assert found == ["007", 1.0, False]


def test_a_section_is_given_the_name_of_its_module(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/small.yaml").write_text("n_layer: 7\nn_embd: 64\n")
    base = {**BASE, "model": {"bias": False}}  # which it replaces
    study = load(tmp_path, "n_layer=1", "model=small", set={"n_embd": 32}, base=base)
    found = [value(study, f"model.{name}") for name in ("n_layer", "n_embd", "bias")]
    assert found == [1, 64, True]
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "model=smal")
    (problem,) = refused.value.problems
    assert (problem.key, problem.value) == ("command.model", "smal")
    assert problem.file.endswith("s.yaml") and "small?" in problem.hint


def test_config_names_the_modules_of_all_sections(tmp_path: Path) -> None:
    for section, content in (("model", "n_layer: 7\n"), ("training", "max_steps: 9\n")):
        (tmp_path / section).mkdir()
        (tmp_path / section / "large.yaml").write_text(content)
    (tmp_path / "model/small.yaml").write_text("n_layer: 1\n")
    base = {"model": {}, "data": {}, "training": {"max_steps": 200}}
    for words, layers in ((["--config=large"], 7), (["model=small", "--config=large"], 1)):
        study = load(tmp_path, *words, base=base)
        found = value(study, "model.n_layer"), value(study, "training.max_steps")
        assert found == (layers, 9)
        assert not any("config" in line for line in study.warnings)


def test_a_list_is_below_the_entries_that_are_swept(tmp_path: Path) -> None:
    stages = [{"target": "a", "include_inputs": True, "repeat": 5}, {"target": "b", "sources": "a"}]
    sweep = {
        "method": "grid",
        "parameters": {"arch.stages.1.repeat": {"values": [2, 3]}},
        "command": ["train.py", f"arch.stages={stages}", "${args}"],
    }
    study = {
        "name": "mine",
        "system": "loop_transformer",
        "base": {"training": {"max_steps": 5}},
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": str(tmp_path / "s.yaml")}],
    }
    (tmp_path / "s.yaml").write_text(yaml12.dump(sweep))
    (tmp_path / "mine.yaml").write_text(yaml12.dump(study))
    phase = load_study(tmp_path / "mine.yaml", tmp_path).phases[0]
    found = [find(phase.trial_config(trial), "arch.stages") for trial in phase.trials]
    assert [[stage["repeat"] for stage in stages] for stages in found] == [[5, 2], [5, 3]]
    assert found[0][1]["target"] == "b"


def test_what_nothing_reads_is_named_once(tmp_path: Path) -> None:
    study = load(tmp_path, "evaluators=[]", "puzzle_emb_lr=1e-4", "--do_fit")
    (warning,) = (line for line in study.warnings if "evaluators" in line)
    assert "puzzle_emb_lr" in warning and "do_fit" in warning
    assert value(study, "puzzle_emb_lr") == 1e-4  # as it would be for an agent


def test_names_of_two_meanings_set_nothing_and_are_named(tmp_path: Path) -> None:
    study = load(tmp_path, "--config=base.yaml")
    assert any("config" in line and "own:" in line for line in study.warnings)
    assert value(study, "model.config") == value(load(tmp_path), "model.config")
    assert value(load(tmp_path, "--config=b.yaml", own=["config"]), "own.config") == "b.yaml"


def test_what_is_wrong_is_in_the_sweep_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "learning_rat=1", "--n_layer", "--grad_clip=-1.0")
    found = {problem.key.removeprefix("command."): problem for problem in refused.value.problems}
    assert all(problem.file.endswith("s.yaml") for problem in found.values())
    assert "needs a value" in found["n_layer"].hint


@pytest.mark.parametrize(("set", "distributed"), [({}, "ddp"), ({"distributed": "zero2"}, "zero2")])
def test_torchrun_says_how_many_processes_train(
    set: dict[str, Any], distributed: str, tmp_path: Path
) -> None:
    launcher = ["${env}", "torchrun", "--nproc-per-node=4"]
    study = load(tmp_path, launcher=launcher, set=set)
    found = value(study, "training.processes"), value(study, "training.distributed")
    assert found == (4, distributed)
    fewer = load(tmp_path, launcher=launcher, phase={"set": {"training.processes": 1}})
    assert value(fewer, "training.processes") == 1
    alone = load(tmp_path, launcher=["torchrun", "--nproc-per-node=1"])
    assert value(alone, "training.distributed") == "none"
