"""The experiment-management guide: its files, its commands and its folder saved_models."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from resweep import yaml12
from tests.conftest import ROOT, Checkout
from tests.support.experiments import small_config, small_sweep, write_corpus
from tests.support.home import Home

pytestmark = pytest.mark.xdist_group("experiment-management")

SCRIPTS = "straightening_dynamics/train/training_scripts"
CONFIGS = "straightening_dynamics/train/configs"
TRAIN = f"bash {SCRIPTS}/train_with_config.sh"
SWEEP = f"bash {SCRIPTS}/run_sweep.sh"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The folder of the guide, with text; each test is a step of the guide."""
    made = Checkout.new(tmp_path_factory.mktemp("experiments") / "checkout")
    place = Home.of(made, "experiment-management")
    write_corpus(place)
    place.write("small.yaml", small_config())
    place.write("small_sweep.yaml", small_sweep())
    return place


def rows(home: Home) -> dict[str, dict[str, str]]:
    """The table of runs, by run."""
    with (home.path / "saved_models/runs.csv").open() as file:
        return {row["run_id"]: row for row in csv.DictReader(file)}


def test_the_documented_files_are_as_printed(home: Home) -> None:
    config = yaml12.load_mapping(home.path / CONFIGS / "train_config.yaml")
    assert config["data"]["dataset_size"] == "10M" and config["training"]["batch_size"] == 32
    sweep = yaml12.load_mapping(home.path / CONFIGS / "sweep_config.yaml")
    assert (sweep["strategy"], sweep["num_runs"]) == ("grid", 3)


def test_one_training_makes_the_documented_folder(home: Home) -> None:
    said = home.shell(f"{TRAIN} small.yaml")
    assert "8 sequences of 16 tokens" in said and "2 at once" in said and "4 forwards" in said
    assert "training data/10M/train.txt; validation data/10M/valid.txt" in said
    assert "training.note" in said
    (run,) = [folder for folder in home.path.glob("saved_models/*/") if folder.name[0] != "."]
    config = yaml12.load_mapping(run / "config.yaml")
    assert config["initialization"]["init_type"] == "gaussian"
    for name in ("checkpoint_2", "checkpoint_4", "final_checkpoint"):
        gradients = torch.load(run / name / "gradients.pt", weights_only=True)
        assert gradients["transformer.h.0.mlp.c_fc.weight"].shape == (16, 64)
        assert json.loads((run / name / "config.json").read_text())["model_type"] == "gpt2"
        assert (run / name / "model.safetensors").is_file()
    (row,) = rows(home).values()
    assert (row["run_id"], row["run_name"], row["total_steps"]) == (run.name, "small", "4")
    assert (row["model.name"], row["training.note"]) == ("gpt2", "mine")
    assert home.shell(f"{TRAIN} small.yaml").count("finished at step 4")
    assert len(home.records()) == 1


def test_a_sweep_trains_each_configuration_under_one_name(home: Home) -> None:
    said = home.shell(f"{SWEEP} small.yaml small_sweep.yaml -- --cores 1")
    table = rows(home)
    assert len(table) == 2, said[-2000:]  # one of them is the training before
    (name,) = {row["sweep_name"] for row in table.values()}
    assert name.startswith("init-sweep-")
    assert {row["initialization.init_std"] for row in table.values()} == {"0.01", "0.02"}
    assert list(home.path.glob("results/init-sweep-*/report.html"))
    for run in table:
        assert (home.path / f"saved_models/{run}/checkpoint_2/gradients.pt").is_file()


def test_a_checkpoint_is_started_from_by_its_path(home: Home) -> None:
    before = rows(home)
    run = next(iter(before))
    home.write("continued.yaml", small_config(checkpoint=f"saved_models/{run}/checkpoint_2"))
    assert f"the weights of saved_models/{run}/checkpoint_2" in home.shell(
        f"{TRAIN} continued.yaml run.name=continued"
    )
    (new,) = set(rows(home)) - set(before)
    weights = json.loads((home.path / f"saved_models/{run}/checkpoint_2/digests.json").read_text())
    config = yaml12.load_mapping(home.path / f"saved_models/{new}/config.yaml")
    assert config["run"]["weights"] == weights["model.safetensors"]


def test_the_documented_files_are_planned_and_audited(home: Home) -> None:
    said = home.shell(f"{SWEEP} data.dataset_path=data -- --cores 1 -n")
    assert "12 layers, 12 heads, width 768" in said and "256 sequences of 1024 tokens" in said
    (study,) = set(re.findall(r"study=(results/sweeps/\w+/study.yaml)", said))
    audited = home.run("python", "workflow/scripts/audit.py", study).stdout
    head, counts = (
        re.split(r"  +", line.strip())
        for line in audited.splitlines()
        if line.startswith(("phase", "sweep"))
    )
    assert dict(zip(head, counts, strict=True))["to train"] == "2"


def test_files_from_elsewhere_and_bad_ones(home: Home, tmp_path: Path) -> None:
    content = small_config()
    content["training"] |= {"corect_bias": True, "scheduler": "cosine"}
    (tmp_path / "bad.yaml").write_text(yaml12.dump(content))
    script = home.path / SCRIPTS / "train_with_config.sh"
    refused = home.run("bash", "-c", f"cd {tmp_path} && bash {script} bad.yaml", check=False)
    assert refused.returncode == 1
    (line,) = [line for line in refused.stdout.splitlines() if line.startswith("error: ")]
    assert "bad.yaml: training.corect_bias = True" in line and "training.correct_bias?" in line
    refused = home.run("bash", "-c", TRAIN, check=False)
    (line,) = [line for line in refused.stdout.splitlines() if line.startswith("error: ")]
    assert f"{CONFIGS}/train_config.yaml: data.dataset_path = " in line and "10M" in line


def test_the_promises_of_gitignore_hold_in_a_clone(home: Home, tmp_path: Path) -> None:
    def git(*words: str, folder: Path = tmp_path / "clone") -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)

    assert git("clone", "-q", str(ROOT), "clone", folder=tmp_path).returncode == 0
    there = tmp_path / "clone/examples/experiment-management"
    shutil.copy(home.path / ".gitignore", there)
    assert (there / "saved_models/.gitkeep").is_file() and not (there / "saved_models").is_symlink()
    assert (there / "results/runs").resolve() == (there / "saved_models").resolve()
    for run in rows(home):
        shutil.copytree(
            home.path / "saved_models" / run, there / "saved_models" / run, symlinks=True
        )
    ignored = (
        "checkpoint_2/model.safetensors", "checkpoint_2/gradients.pt", "final_checkpoint",
        "checkpoint_2/pytorch_model.bin", "weights.h5", "record.json", "train.log",
    )  # fmt: skip
    run = next(iter(rows(home)))
    for name in ignored:
        assert git("check-ignore", f"saved_models/{run}/{name}", folder=there).returncode == 0, name
    for name in (
        "saved_models/.gitkeep",
        f"saved_models/{run}/config.yaml",
        f"saved_models/{run}/.gitkeep",
    ):
        assert git("check-ignore", name, folder=there).returncode == 1, name
    git("add", "-A", folder=there)
    added = git("diff", "--cached", "--name-only", folder=there).stdout.splitlines()
    assert {Path(name).name for name in added} <= {"config.yaml", "metrics.jsonl", ".gitignore"}


VIEWS = [
    "",
    "--list_columns",
    "--filter_sweep init_sweep",
    '--filter "model.n_layer=1" "status=finished"',
    "--sort_by final_valid_loss",
    "--sort_by final_valid_loss --descending",
    "--show run_id run_name final_valid_loss final_valid_perplexity",
    "--hide timestamp",
    "--limit 10",
]


@pytest.mark.parametrize("flags", VIEWS)
def test_the_runs_can_be_viewed(home: Home, flags: str) -> None:
    said = home.shell(f"python straightening_dynamics/train/view_runs.py {flags}")
    assert "run_id" in said
    if "timestamp" in flags:
        assert "timestamp" not in said
    if "filter_sweep" in flags:
        named = [row["run_id"] for row in rows(home).values() if "init-sweep" in row["sweep_name"]]
        assert named and all(run in said for run in named)
        assert not set(rows(home)) - set(named) & set(said.split())


def test_metrics_are_added_as_the_guide_says(home: Home) -> None:
    run = next(iter(rows(home)))
    code = (
        "from straightening_dynamics.train.run_manager import RunManager; "
        f"RunManager().update_metrics('{run}', {{'my_custom_metric': 0.5, 'another_metric': 2}})"
    )
    home.shell(f'python -c "{code}"')
    view = "python straightening_dynamics/train/view_runs.py --show run_id my_custom_metric"
    assert run in home.shell(f'{view} --filter "my_custom_metric=0.5"')
