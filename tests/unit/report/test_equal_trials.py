"""Trials of a phase that are one training, and values that are not taken as written."""

from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.config.nesting import find
from resweep.report.equal_trials import EqualTrials, equal_trials_lines, find_equal_trials
from resweep.store.identity import identity_without_data, keeps_value
from resweep.study.load import load_study
from resweep.study.study import Study
from resweep.systems.registry import system_of


def study(folder: Path, swept: dict[str, list[Any]], **training: Any) -> Study:
    """A grid over a training of six steps."""
    section = {"max_steps": 6, "batch_size": 4} | training
    base = {"model": {"n_layer": 1, "n_embd": 16, "n_head": 2}, "data": {}, "training": section}
    phase = {"name": "sweep", "kind": "sweep", "sweep": str(folder / "sweep.yaml")}
    parameters = {name: {"values": values} for name, values in swept.items()}
    sweep = {"method": "grid", "parameters": parameters}
    (folder / "sweep.yaml").write_text(yaml12.dump(sweep))
    (folder / "mine.yaml").write_text(
        yaml12.dump({"name": "mine", "base": base, "phases": [phase]})
    )
    return load_study(folder / "mine.yaml", folder)


def groups(*arguments: Any, **training: Any) -> list[EqualTrials]:
    return find_equal_trials(study(*arguments, **training).phases[0])


@pytest.mark.parametrize(
    ("swept", "reason"),
    [
        ({"warmup_steps": [100, 150, 200]}, ("100, 150, 200", "warmup_steps = 6")),
        ({"pct_warmup": [0.01, 0.02, 0.03]}, ("pct_warmup = 0.01", "warmup_steps = 0")),
        ({"max_gpu_batch_size": [1, 2, 4]}, ("max_gpu_batch_size", "no numbers")),
        ({"keep_last": [1, 2, 3]}, ("keep_last", "no numbers")),
        ({"run.name": ["a", "b", "c"]}, ("run.name", "no numbers")),
    ],
)
def test_trials_that_are_one_run_are_named_with_the_reason(swept, reason, tmp_path):
    made = study(tmp_path, swept)
    (group,) = find_equal_trials(made.phases[0])
    assert group.trials == tuple(made.phases[0].trials)
    (line,) = equal_trials_lines(made)
    assert all(word in line for word in ("mine/sweep", "3 trials are one training", *reason))
    assert group.trials[0] in line


def test_only_the_product_of_batch_and_accumulation_counts(tmp_path):
    swept = {"batch_size": [4, 8], "gradient_accumulation_steps": [1, 2]}
    (group,) = groups(tmp_path, swept)
    assert len(group.trials) == 2
    assert "batch_size * training.gradient_accumulation_steps is 8" in group.why


def test_what_a_skipped_stage_would_add_is_no_difference(tmp_path):
    repeats, inputs = "arch.stages.1.repeat", "arch.stages.1.include_inputs"
    values = {repeats: [0, 1], inputs: [True, False], "arch.stages.2.sources": [["z_L", "z_M"]]}
    sweep = {"method": "grid", "parameters": {n: {"values": v} for n, v in values.items()}}
    content = {
        "name": "mine",
        "system": "loop_transformer",
        "base": {"training": {"max_steps": 5}},
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": str(tmp_path / "sweep.yaml")}],
    }
    (tmp_path / "sweep.yaml").write_text(yaml12.dump(sweep))
    (tmp_path / "mine.yaml").write_text(yaml12.dump(content))
    (phase,) = load_study(tmp_path / "mine.yaml", tmp_path).phases
    (group,) = find_equal_trials(phase)
    assert [phase.assignments[trial][repeats] for trial in group.trials] == [0, 0]
    assert group.why == f"{inputs} = True, False have the same effect"


def test_what_is_different_is_different(tmp_path):
    swept = {"warmup_steps": [0, 2, 6], "learning_rate": [1e-3, 2e-3]}
    assert groups(tmp_path, swept) == []
    epochs = {"max_steps": None, "num_epochs": 2}
    assert groups(tmp_path, {"warmup_steps": [100, 150]}, **epochs) == []
    assert groups(tmp_path, {"patch": [1, 2], "learning_rate": [1e-3, 2e-3]}) == []
    assert groups(tmp_path, {"data.val_fraction": [0.1, 0.2]}) == []


def test_infeasible_trials_are_left_out(tmp_path):
    (group,) = groups(tmp_path, {"n_head": [2, 3], "warmup_steps": [100, 150]})
    assert len(group.trials) == 2


@pytest.mark.parametrize(
    ("swept", "training", "words"),
    [
        ({"warmup_steps": [3, 100]}, {}, ("warmup_steps = 100", "max_steps = 6", "is 6 steps")),
        ({"seed": [1, 2]}, {"warmup_steps": 7}, ("warmup_steps = 7", "is 6 steps")),
        ({"pct_warmup": [0.1, 0.5]}, {}, ("pct_warmup = 0.1", "is 0.6 steps", "rounded to 1")),
        ({"max_steps": [6, 20]}, {"pct_warmup": 0.1}, ("max_steps = 6", "is 0.6 steps")),
        (
            {"decay_fraction": [0.5, 0.1]},
            {"scheduler": "wsd"},
            ("decay_fraction = 0.1", "0.6 steps", "decay 1"),
        ),
        (
            {"warmup_steps": [0, 4]},
            {"scheduler": "wsd", "decay_fraction": 0.5},
            ("decay_fraction = 0.5", "3 steps", "decay 2"),
        ),
    ],
)
def test_what_is_clipped_or_rounded_is_said(swept, training, words, tmp_path):
    (line,) = study(tmp_path, swept, **training).warnings
    assert all(word in line for word in ("mine/sweep", *words))


def test_what_is_taken_as_written_is_not_mentioned(tmp_path):
    made = study(tmp_path, {"pct_warmup": [0.5, 0.0, 0.51]})
    assert made.warnings == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [({}, False), ({"pct_warmup": 0.1}, True), ({"max_steps": 600, "decay_fraction": 1e-3}, False)],
)
def test_of_a_rerun_only_what_its_best_cannot_change_is_said(settings, said, tmp_path):
    made = study(tmp_path, {"pct_warmup": [0.5, 1.0]}, scheduler="wsd", pct_warmup=0.1)
    file = tmp_path / "mine.yaml"
    content = yaml12.load_mapping(file)
    content["phases"] += [{"name": "rerun", "kind": "rerun", "of": "sweep", "set": settings}]
    file.write_text(yaml12.dump(content))
    lines = set(load_study(file, tmp_path).warnings) - set(made.warnings)
    assert bool(lines) is said
    assert all("mine/rerun" in line for line in lines)


def test_fields_that_tell_runs_apart_are_in_the_identity_as_they_are(tmp_path):
    config = study(tmp_path, {"seed": [1]}).phases[0].config
    system, known = system_of(config), identity_without_data(config)
    schema = system.schema
    kept = {path for path in schema.paths if keeps_value(path, schema)}
    paths = sorted(kept - set(system.unused(config)))
    assert {"training.learning_rate", "model.n_layer"} <= set(paths)
    assert [find(known, path) for path in paths] == [find(config, path) for path in paths]
    assert keeps_value("foo", schema) and keeps_value("training.foo", schema)
    assert not keeps_value("training.warmup_steps", schema)
