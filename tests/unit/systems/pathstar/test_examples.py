"""The files of examples/pathstar: studies that load, and sweep files with what the guide sweeps."""

import pytest

from resweep.study.load import load_study
from resweep.sweep import load_sweep
from tests.conftest import ROOT

HOME = ROOT / "examples/pathstar"
SWEPT = {  # what the guide says that its full sweep file has
    *("graph_d", "graph_l", "graph_vocab_size", "graph_holdout_percentage", "num_pause_tokens"),
    *("n_layer", "n_head", "n_embd", "dropout", "bias"),
    *("learning_rate", "label_smoothing", "weight_decay", "beta1", "beta2", "grad_clip"),
    *("warmup_frac", "lr_decay_frac", "min_lr"),
}


@pytest.mark.parametrize("name", sorted(path.stem for path in HOME.glob("config/studies/*.yaml")))
def test_every_study_loads(name, monkeypatch):
    monkeypatch.chdir(HOME)
    study = load_study(HOME / f"config/studies/{name}.yaml", HOME / "config")
    assert (study.name, study.system, study.warnings) == (name, "pathstar", ())
    assert all(phase.trials for phase in study.phases)


def test_the_full_sweep_file_has_what_the_guide_lists():
    names = {parameter.name for parameter in load_sweep(HOME / "sweep_config.yaml").parameters}
    assert names >= SWEPT


def test_the_minimal_sweep_file_has_fewer_combinations():
    full, minimal = (
        load_sweep(HOME / f"{name}.yaml") for name in ("sweep_config", "sweep_config_minimal")
    )
    names = {parameter.name for parameter in minimal.parameters}
    assert names < {parameter.name for parameter in full.parameters}
    assert len(list(minimal.points())) == 4
