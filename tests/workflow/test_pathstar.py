"""PathStar's document: its commands as written, in examples/pathstar, and its workflows."""

import contextlib
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from tests.conftest import Checkout
from tests.support.home import Home
from tests.workflow.search_files import audited

pytestmark = pytest.mark.xdist_group("pathstar")

MINIMAL = "sweep_config_minimal.yaml"
TINY = {"n_layer": 1, "n_head": 2, "n_embd": 8, "max_steps": 4, "eval_interval": 2, "log_steps": 2}
SET = " ".join(["--set", *(f"{name}={value}" for name, value in TINY.items())])
OF_GRID = SET.replace(" n_layer=1", "")  # which sweeps that
MODEL = {"n_layer": 1, "n_head": 2, "n_embd": 16, "eval_interval": 50}
QUIET = {"WANDB_MODE": "disabled"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The folder of the document, without results."""
    return Home.of(Checkout.new(tmp_path / "checkout"), "pathstar")


def write_study(home: Home, name: str, **changes: Any) -> None:
    """Write a study of tiny trainings, and make it the one that is built."""
    study = {
        "name": name,
        "system": "pathstar",
        "base": {},
        "set": {"graph_d": 6, "graph_l": 3, **TINY},
        "tracking": {"wandb": "disabled"},
        "publish": {"configs": False, "models": "none"},
    }
    home.write(f"config/studies/{name}.yaml", study | changes)
    home.write("config/config.yaml", {"studies": [name]})


def table(home: Home, name: str) -> list[dict[str, str]]:
    with (home.path / "results" / name).open() as file:
        return list(csv.DictReader(file))


def phases(sweep: str) -> list[dict[str, Any]]:
    return [{"name": "sweep", "kind": "sweep", "sweep": sweep}]


def test_a_sweep_is_trained_ranked_and_reported(home: Home) -> None:
    said = home.shell(
        f"python3 run_sweep.py --sweep_config {MINIMAL} --project pathstar_sweep --count 10 "
        f"--wandb disabled {OF_GRID} graph_d=6 -- --cores 2"
    )
    assert "the sweep has only 4 trials" in said
    assert len(home.records()) == 4
    (scores,) = home.path.glob("results/*/sweep/scores.csv")
    assert {row["step"] for row in csv.DictReader(scores.open())} == {"4"}
    assert list(home.path.glob("results/*/report.html"))


def test_workers_join_a_sweep_by_its_id_and_resume_it(home: Home) -> None:
    home.write("open.yaml", open_sweep())
    name = home.shell(
        f"python3 run_sweep.py --sweep_config open.yaml --project pathstar_sweep --create_only "
        f"--wandb disabled {SET} 2>/dev/null"
    ).strip()
    assert re.fullmatch(r"[0-9a-f]{8}", name)
    worker = f"python3 run_sweep.py --sweep_id {name} --project pathstar_sweep --count 2"
    home.shell(f"CUDA_VISIBLE_DEVICES= {worker}")
    assert len(home.records()) == 2
    home.shell(f"CUDA_VISIBLE_DEVICES= {worker}")
    assert len(home.records()) == 4
    other = worker.replace("pathstar_sweep", "other")
    refused = home.run("bash", "-c", other, check=False)
    assert refused.returncode == 1 and "pathstar_sweep" in refused.stdout


def open_sweep() -> dict[str, Any]:
    """A random sweep that only the workers' counts limit."""
    return {
        "program": "train.py",
        "method": "random",
        "metric": {"name": "val/loss/overall", "goal": "minimize"},
        "parameters": {
            "graph_d": {"value": 6},
            "graph_l": {"value": 3},
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
        },
    }


def test_each_gpu_trains_its_count_and_has_a_log(home: Home) -> None:
    home.write("sweep.yaml", open_sweep())
    said = home.shell(
        f"./run_multi_gpu_sweep.sh sweep.yaml 25 pathstar_sweep --wandb disabled {SET}",
        RESWEEP_GPUS="0,1",
        CUDA_VISIBLE_DEVICES="0,1",
    )
    assert len(home.records()) == 50, said[-2000:]
    trained = []
    for gpu in (0, 1):
        log = (home.path / f"gpu_{gpu}_sweep.log").read_text()
        # Not those that the other one finished meanwhile, which are "in the store".
        trained.append(set(re.findall(r"(\w+)\.json: finished at step 4", log)))
    assert [*map(len, trained)] == [25, 25] and not trained[0] & trained[1]


def test_a_file_of_another_folder_and_a_count_that_is_none(home: Home) -> None:
    root = Checkout(home.path.parent.parent)
    root.write("elsewhere/sweep.yaml", without(open_sweep(), "program"))
    call = f"../examples/{home.path.name}/run_multi_gpu_sweep.sh sweep.yaml"
    for count, code in (("x", 2), ("0", 2), ("1", 0)):
        line = f"cd ../../elsewhere && {call} {count} p --wandb disabled {SET}"
        done = home.run("bash", "-c", line, env={"RESWEEP_GPUS": "0"}, check=False)
        assert done.returncode == code, done.stdout
        made = list(home.path.glob("results/sweeps/*/study.yaml"))
        assert (len(made), len(home.records())) == ((1, 1) if code == 0 else (0, 0))


def test_one_training_by_hand(home: Home) -> None:
    quick = "--max_steps=2 --device=cpu"
    said = home.shell(
        "python3 train.py --graph_d=100 --graph_l=7 --n_layer=4 --n_embd=128 "
        f"--learning_rate=5e-4 {quick}",
        **QUIET,
    )
    assert "val/accuracy/token_7" in said and "val/accuracy/token_8" not in said
    said = home.shell(f"python3 train.py {quick}", **QUIET)
    assert "finished at step 2" in said and "val/accuracy/token_5" in said


@pytest.mark.parametrize(
    "named",
    [{"program": "train.py"}, {"command": ["${env}", "python3", "train.py", "${args}"]}],
)
def test_a_sweep_file_says_by_its_program_what_is_trained(home: Home, named: Any) -> None:
    root = Checkout(home.path.parent.parent)
    root.write("examples/pathstar/sweep.yaml", {**without(open_sweep(), "program"), **named})
    name = root.run(
        *("python", "workflow/scripts/run_sweep.py", "--sweep-config"),
        *("examples/pathstar/sweep.yaml", "--create-only", "--wandb", "disabled"),
    ).stdout.splitlines()[-1]
    study = yaml12.load_mapping(root.path / f"results/sweeps/{name}/study.yaml")
    assert study["system"] == "pathstar"


def without(content: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != name}


def test_a_lone_sweep_file_needs_the_name_of_its_system(home: Home) -> None:
    root = Checkout(home.path.parent.parent)
    sweep = without(open_sweep(), "program")
    sweep["parameters"]["graph_d"] = {"values": [6, 8]}
    root.write("sweep.yaml", sweep)
    call = ("python", "workflow/scripts/run_sweep.py", "--sweep-config", "sweep.yaml")
    refused = root.run(*call, "--create-only", check=False)
    assert refused.returncode == 1
    (line,) = [line for line in refused.stdout.splitlines() if "graph_d" in line]
    assert "data.graph_d of pathstar" in line and "--system" in line
    root.run(*call, "--create-only", "--system", "pathstar", "--set", "max_steps=4")


def test_a_language_study_refuses_its_fields_by_hand(home: Home) -> None:
    root = Checkout(home.path.parent.parent)
    refused = root.run(
        "python", "workflow/scripts/train.py", "--graph_d=5", "--max_steps=1", check=False
    )
    assert refused.returncode == 1 and "data.graph_d of pathstar" in refused.stdout


def test_each_graph_is_drawn_once(home: Home) -> None:
    write_study(home, "grid", phases=phases("sweep"))
    grid = {"graph_d": {"values": [5, 6]}, "learning_rate": {"values": [1e-3, 1e-2]}}
    home.write("config/sweep/sweep.yaml", {"method": "grid", "parameters": grid})
    said = home.snakemake().stdout
    assert len(home.records()) == 4
    assert len(list(home.path.glob("results/data/*/data.json"))) == 2
    assert len(re.findall(r"^Job \d+: prepare_data_\w+: ", said, re.M)) == 2
    assert "prepare_data" not in home.snakemake().stdout


def test_the_graphs_of_a_round_are_there_before_its_trainings(home: Home) -> None:
    search = [{"name": "sweep", "kind": "sweep", "sweep": "sweep", "round_size": 2}]
    write_study(home, "search", phases=search)
    home.write(
        "config/sweep/sweep.yaml",
        {
            "method": "bayes",
            "run_cap": 6,
            "metric": {"name": "val/accuracy/token_l", "goal": "maximize"},
            "parameters": {
                "graph_d": {"min": 4, "max": 40},
                "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
            },
        },
    )
    home.snakemake()
    scores = table(home, "search/sweep/scores.csv")
    assert len(scores) == 6 and all(row["final"] for row in scores)
    spokes = {row["data.graph_d"] for row in table(home, "search/runs.csv")}
    assert len(spokes) > 2
    assert len(list(home.path.glob("results/data/*/data.json"))) == len(spokes)


def test_widths_that_heads_do_not_divide_are_counted(home: Home) -> None:
    write_study(home, "widths", phases=phases("sweep"), set={"graph_d": 6, "max_steps": 2})
    grid = {"n_layer": {"value": 1}, "n_head": {"values": [4, 12]}, "n_embd": {"values": [8, 12]}}
    home.write("config/sweep/sweep.yaml", {"method": "grid", "parameters": grid})
    counted = audited(home, "widths")["sweep"]
    assert (counted["trials"], counted["infeasible"], counted["to train"]) == (4, 1, 3)
    home.snakemake()
    states = [row["status"] for row in table(home, "widths/sweep/scores.csv")]
    assert sorted(states) == ["finished"] * 3 + ["infeasible"]


def test_a_vocabulary_that_is_too_small_is_found_when_the_study_is_read(home: Home) -> None:
    small = {"graph_d": 100, "graph_l": 5, "graph_vocab_size": 400, "max_steps": 2}
    write_study(home, "small", phases=phases("sweep"), set=small)
    rates = {"learning_rate": {"values": [1e-3]}}
    home.write("config/sweep/sweep.yaml", {"method": "grid", "parameters": rates})
    refused = home.snakemake("-n", check=False)
    assert refused.returncode
    (line,) = [line for line in refused.stdout.splitlines() if "vocab_size must be" in line]
    assert "vocab_size must be >= d * (l-1) + 1" in line and "small.yaml" in line


@pytest.mark.parametrize("name", ["scaling", "architecture", "learning-rate"])
def test_the_workflows_of_the_document_are_studies(home: Home, name: str) -> None:
    said = home.snakemake("-n", "--config", f"study={name}").stdout
    assert "train_sweep" in said


@pytest.mark.parametrize("count", [2, pytest.param(10, marks=pytest.mark.long)])
def test_kills_change_nothing(home: Home, tmp_path: Path, count: int) -> None:
    steps = {"graph_d": 20, "max_steps": 300, "dropout": 0.1, "save_steps": 20, **MODEL}
    write_study(home, "killed", phases=phases("sweep"), set=steps)
    rates = {"learning_rate": {"values": [1e-3, 3e-3]}}
    home.write("config/sweep/sweep.yaml", {"method": "grid", "parameters": rates})
    calm = Home.of(Checkout(home.path.parent.parent).copy(tmp_path / "calm"), "pathstar")
    calm.snakemake()
    moments = random.Random(5)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for _ in range(count):
        reached = furthest(home) + 20 * moments.randint(1, 4)
        process = subprocess.Popen(
            ("snakemake", "--cores", "1"), cwd=home.path, env=home.env, **quiet
        )
        while furthest(home) < reached and process.poll() is None:
            time.sleep(0.02)
        for pid in processes(home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        locks = home.path / ".snakemake/locks"
        shutil.rmtree(locks, ignore_errors=True)  # as `snakemake --unlock` does
    home.snakemake()
    for file in ("metrics.jsonl", "checkpoint_300/model.safetensors"):
        for one in calm.path.glob(f"results/runs/*/{file}"):
            other = home.path / one.relative_to(calm.path)
            assert other.read_bytes() == one.read_bytes(), other
    scores = "results/killed/sweep/scores.csv"
    assert (home.path / scores).read_text() == (calm.path / scores).read_text()


def furthest(home: Home) -> int:
    """The sum of the steps that the runs of a store have saved."""
    total = 0
    for run in home.path.glob("results/runs/*"):
        saved = [int(path.name.rpartition("_")[2]) for path in run.glob("checkpoint_*")]
        total += max(saved, default=0)
    return total


def processes(home: Home) -> list[int]:
    """Process ids of what runs in a folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if folder.samefile(home.path):
                found.append(int(folder.parent.name))
    return found


def test_two_processes_have_the_losses_of_one(home: Home) -> None:
    losses = []
    for name, more in {
        "one": "",
        "two": "--training.distributed=ddp --training.processes=2",
    }.items():
        home.shell(
            "python3 train.py --graph_d=20 --max_steps=20 --device=cpu --log_steps=5 "
            f"--results={name} {more}",
            **QUIET,
        )
        (file,) = home.path.glob(f"{name}/runs/*/metrics.jsonl")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        losses.append([line["train/loss/overall"] for line in lines if line["step"]])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
