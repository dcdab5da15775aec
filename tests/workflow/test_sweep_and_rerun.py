"""The sweep-and-rerun guide: its flow, in its order and on its file names."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from tests.conftest import ROOT, Checkout
from tests.support.home import Home

pytestmark = pytest.mark.xdist_group("sweep-and-rerun")

REAL = ROOT.parent / "shared/data/wandb_csv/runs_table_64runs.csv"
CONFIGS = "rerun/rerun_configs"
BEST = f"{CONFIGS}/top5_best_configs.yaml"
EXPORT = """\
run_name,learning_rate,warmup,Step,Train Loss
a,0.003,0.1,2,5.0
a,0.003,0.1,4,4.0
b,0.006,0.2,2,4.9
b,0.006,0.2,4,3.8
c,0.009,0.4,2,5.5
c,0.009,0.4,4,5.2
"""
SMALL = {
    "model/gpt-tiny": {"n_layer": 1, "n_embd": 16, "n_head": 2, "context_length": 16},
    "training/quick": {
        "batch_size": 4, "max_steps": 6, "log_steps": 2, "eval_steps": 3, "eval_sequences": 8,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The folder of the guide, with trainings of six steps; each test is a step of its flow."""
    made = Checkout.new(tmp_path_factory.mktemp("flow") / "checkout")
    for module, content in SMALL.items():
        made.write(f"config/{module}.yaml", content)
    place = Home.of(made, "sweep-and-rerun")
    study = yaml12.load_mapping(place.path / "config/studies/lr-warmup.yaml")
    off: dict[str, Any] = {"tracking": {"wandb": "disabled"}, "publish": {"models": "none"}}
    place.write("config/studies/lr-warmup.yaml", study | off)
    return place


def trained(home: Home) -> set[Path]:
    return {file.parent for file in home.records()}


def test_the_sweep_is_trained_with_its_monitor(home: Home) -> None:
    home.shell("python sweeps/sweep_pretrain_lr_warmup.py --cores 1")
    records = [json.loads(file.read_text()) for file in home.records()]
    assert len(records) == 16
    config = yaml12.load_mapping(home.records()[0].parent / "config.yaml")
    assert config["early_stopping"]["loss_patience"] == 4
    assert 2e-3 <= config["training"]["learning_rate"] <= 1e-2


def test_an_export_is_analysed(home: Home) -> None:
    file = home.path / "path/to/wandb_export.csv"
    file.parent.mkdir(parents=True)
    file.write_text(EXPORT)
    home.shell(
        "python analysis/sweep_analysis.py --wandb-csv path/to/wandb_export.csv "
        f"--output-yaml {BEST}"
    )
    assert yaml12.load(home.path / BEST) == [
        {"learning_rate": 0.006, "pct_warmup": 0.2},
        {"learning_rate": 0.003, "pct_warmup": 0.1},
        {"learning_rate": 0.009, "pct_warmup": 0.4},
    ]


@pytest.mark.skipif(not REAL.is_file(), reason="no shared/data/wandb_csv beside the project")
def test_a_real_export_lies_at_the_same_path(home: Home) -> None:
    place = home.path / "path/to/real/wandb_export.csv"
    place.parent.mkdir(parents=True)
    shutil.copy(REAL, place)
    home.shell(
        "python analysis/sweep_analysis.py --wandb-csv path/to/real/wandb_export.csv "
        "--output-yaml real/top5_best_configs.yaml"
    )
    output = home.shell(
        "python rerun/rerun_best_hyperparams.py --best-yaml real/top5_best_configs.yaml "
        "--create-only --set n_embd=24"
    )
    assert "entries 2, 3, 4 are the same training" in output
    configs = [yaml12.load_mapping(home.path / f"real/rank{n}_seed0.yaml") for n in range(1, 6)]
    assert [config["model"]["context_length"] for config in configs] == [512, 256, 256, 256, 256]


def test_so_is_what_was_trained_here(home: Home) -> None:
    shown = home.shell(
        "python analysis/sweep_analysis.py --study lr-warmup --top-k 2 --early-max-step 4 "
        "--output-yaml own.yaml --output-csv own.csv"
    )
    best = yaml12.load(home.path / "own.yaml")
    assert [sorted(entry) for entry in best] == [["learning_rate", "pct_warmup"]] * 2
    scores = (home.path / "results/lr-warmup/sweep/scores.csv").read_text().splitlines()[1]
    trial = scores.split(",")[1]
    row = (home.path / "own.csv").read_text().splitlines()[1]
    assert row.startswith(f"1,{trial},")
    assert trial in shown.split()


def test_the_best_are_trained_from_scratch_and_their_configurations_saved(home: Home) -> None:
    before = trained(home)
    home.shell(f"python rerun/rerun_best_hyperparams.py --best-yaml {BEST} -- --cores 1")
    saved = sorted((home.path / CONFIGS).glob("rank*.yaml"))
    assert [file.stem for file in saved] == ["rank1_seed0", "rank2_seed0", "rank3_seed0"]
    rates = [yaml12.load_mapping(file)["training"]["learning_rate"] for file in saved]
    assert rates == [0.006, 0.003, 0.009]
    new = trained(home) - before
    assert len(new) == 3
    again = home.shell(f"python rerun/rerun_best_hyperparams.py --best-yaml {BEST} -- --cores 1")
    assert "Nothing to be done" in again and trained(home) - before == new


def test_more_points_near_them_are_trained(home: Home) -> None:
    before = trained(home)
    home.shell(
        f"python sweeps/sweep_resample_focused.py --best-yaml {BEST} --n-points-per-best 1 "
        "-- --cores 1"
    )
    focused = yaml12.load(home.path / CONFIGS / "focused_configs.yaml")
    assert len(focused) == 3 == len(trained(home) - before)
    for entry, rate in zip(focused, (0.006, 0.003, 0.009), strict=True):
        assert rate / 2 <= entry["learning_rate"] <= 2 * rate
        assert 0.02 <= entry["pct_warmup"] <= 0.3


def test_the_configurations_are_published(home: Home) -> None:
    home.shell(
        f"python rerun/upload_rerun_configs.py --config-dir {CONFIGS} "
        "--artifact-name top5_rerun_configs_v1 --project my-wandb-project",
        WANDB_MODE="offline",
    )
    (stamp,) = home.path.glob("results/artifacts/top5_rerun_configs_v1.json")
    assert json.loads(stamp.read_text())["version"]
