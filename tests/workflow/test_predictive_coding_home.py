"""The guide to sweeps of predictive coding: its commands as written, and its workflows."""

import csv
import json
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from wandb.sdk.launch.sweeps.utils import load_sweep_config

from resweep import yaml12
from resweep.errors import ConfigError
from resweep.jobs.train_by_hand import plan_by_hand
from resweep.study.kinds.sweep_phase import SweepPhase
from resweep.study.load import load_study
from resweep.study.study import Study
from tests.conftest import NOTHING, ROOT, Checkout
from tests.support import wandb_runs
from tests.support.home import Home
from tests.support.sweep_points import RealAgent
from tests.support.wandb_command import DEFAULT_COMMAND

pytestmark = pytest.mark.xdist_group("predictive-coding-home")

SWEEP = "python examples/run_sweep.py"
PLACE = '--project "pc-arch-search-sweeps" --entity "neural-machines"'
DEBUG = "python examples/debug_transformer_wandb.py"
METRICS = {"best_val_mse", "best_train_mse", "final_train_mse", "best_probe_accuracy"}
TINY = {
    "hidden_size": 8,
    "num_heads": 2,
    "inference.steps": 2,
    "batch_size": 50,
    "max_steps": 4,
    "log_steps": 2,
    "eval_steps": 4,
    "eval_sequences": 50,
}
CREATE = f"--create-only --wandb disabled --set {' '.join(f'{k}={v}' for k, v in TINY.items())}"
OF_SWEEPS = {
    "hidden_size",
    "batch_size",
    "learning_rate",
    "num_blocks",
}  # cannot be set beside them
QUIET = {"WANDB_MODE": "disabled"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The folder of the guide, without results."""
    return Home.of(Checkout.new(tmp_path / "checkout"), "predictive-coding")


def shrink(home: Home, study: str, **changes: Any) -> None:
    """Give a shipped study tiny settings."""
    file = f"config/studies/{study}.yaml"
    content = yaml12.load_mapping(home.path / file)
    swept = yaml12.load_mapping(home.path / f"config/sweep/{study}.yaml")["parameters"]
    tiny = {name: value for name, value in (TINY | changes).items() if name not in swept}
    quiet = {"tracking": {"wandb": "disabled"}, "publish": NOTHING}
    home.write(file, content | {"set": tiny} | quiet)


def change_sweep(home: Home, name: str, **changes: Any) -> None:
    file = f"config/sweep/{name}.yaml"
    home.write(file, yaml12.load_mapping(home.path / file) | changes)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as lines:
        return list(csv.DictReader(lines))


def trained_once(home: Home) -> int:
    """Number of runs in the store; fails where one was trained in more than one go."""
    states = [json.loads(file.read_text()) for file in home.records()]
    assert [len(state["segments"]) for state in states] == [1] * len(states)
    return len(states)


def shipped(name: str, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Load a study of the folder."""
    monkeypatch.chdir(ROOT / "examples/predictive-coding")
    return load_study(Path(f"config/studies/{name}.yaml"), Path("config"))


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_sweep_is_trained_ranked_kept_and_tracked(home: Home, again: bool) -> None:
    file = "config/studies/development.yaml"  # whose settings hold for sweeps of this folder
    home.write(file, yaml12.load_mapping(home.path / file) | {"publish": NOTHING})
    set_ = CREATE.partition("--set")[2]
    command = f"{SWEEP} --sweep-config sweep.yaml {PLACE} --count 10 --set {set_} -- --cores 2"
    home.shell(command)
    assert trained_once(home) == 10
    (study,) = home.path.glob("results/sweep-*/")
    ranked = rows(study / "sweep/scores.csv")
    means = [float(row["final_mean"]) for row in ranked]
    assert means == sorted(means) and len(set(means)) == 5  # depths, with two seeds each
    kept = {path.parent.name for path in study.glob("sweep/models/*/model.safetensors")}
    assert kept == {row["trial"] for row in ranked if row["rank"] == "1"}
    assert "best_val_mse" in (study / "report.html").read_text()
    columns = rows(study / "runs.csv")[0].keys()
    assert columns >= {*METRICS, "early_stop_reason"}
    runs = [one for one in wandb_runs.offline_runs(study) if not one.artifacts]
    assert len(runs) == 10
    for one in runs:
        assert one.summary.keys() >= METRICS | {"test_mse", "test_probe_accuracy"}
        assert one.summary["early_stop_reason"] == "none"
        assert (one.run.project, one.run.entity) == ("pc-arch-search-sweeps", "neural-machines")
    if again:
        assert "Nothing to be done" in home.shell(command)


def test_agents_share_a_sweep(home: Home) -> None:
    said = home.shell(f"{SWEEP} --sweep-config sweep.yaml {PLACE} {CREATE}")
    name = said.splitlines()[-1]
    assert re.fullmatch(r"[0-9a-f]{8}", name)
    project = PLACE.partition(" --entity")[0]  # an agent may leave the entity out
    agents = [f"{SWEEP} --sweep-id {name} {place} --count 2" for place in (PLACE, project)]
    both = [home.start("bash", "-c", f"exec {agent}") for agent in agents]
    said = "".join(one.communicate()[0] for one in both)
    assert said.count("this worker trained 2 trials") == 2
    assert trained_once(home) == 4


@pytest.mark.long
def test_an_agent_that_is_killed_leaves_its_point_to_the_next(home: Home) -> None:
    create = f"{SWEEP} --sweep-config config/sweep/development.yaml {CREATE} max_steps=400"
    name = home.shell(f"{create} save_steps=1").splitlines()[-1]
    agent = ("python", "examples/run_sweep.py", "--sweep-id", name, "--count", "1")
    killed = home.start(*agent)
    while not list(home.path.glob("results/runs/*/checkpoint_*")):
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (begun,) = home.path.glob("results/runs/*/")
    home.run(*agent)
    (state,) = [json.loads(file.read_text()) for file in home.records()]
    assert (state["run_id"], state["status"]) == (begun.name, "finished")
    assert state["segments"][-1]["from_step"] > 0


def test_one_training_of_a_named_configuration(home: Home) -> None:
    tiny = " ".join(f"--{name} {value}" for name, value in TINY.items())
    said = home.shell(f"{DEBUG} --config 6block --num_blocks 3 --seed 42 {tiny}", **QUIET)
    assert "finished at step 4" in said and all(name in said for name in METRICS)
    (file,) = home.path.glob("results/runs/*/config.yaml")
    config = yaml12.load_mapping(file)
    assert (config["model"]["num_blocks"], config["training"]["seed"]) == (3, 42)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("0block", 0), ("1block", 1), ("2block", 2), ("5block", 5), ("6block", 6), ("debug_tiny", 1)],
)
def test_named_configurations(name: str, blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "examples/predictive-coding")
    config = plan_by_hand(["--config", name], {}).trial.config
    assert config["model"]["num_blocks"] == blocks
    assert (config["training"]["max_steps"] == 20) == (name == "debug_tiny")


@pytest.mark.parametrize(
    ("name", "trials"),
    [("development", 6), ("production", 100), ("bayes", 24), ("hyperparam_search", 350)],
)
def test_workflows_of_the_guide(name: str, trials: int, monkeypatch: pytest.MonkeyPatch) -> None:
    study = shipped(name, monkeypatch)
    phase = study.phase("sweep")
    assert isinstance(phase, SweepPhase) and len(phase.trials) == trials
    assert study.warnings == ()


def test_a_parameter_that_nothing_reads_is_named(home: Home) -> None:
    def load() -> Study:
        return load_study(home.path / "config/studies/development.yaml", home.path / "config")

    depth = {"num_blocks": {"values": [1, 2]}}
    new = {"new_parameter": {"values": ["option1", "option2"]}}
    change_sweep(home, "development", parameters=depth | new)
    unread, alike = load().warnings
    assert "reads new_parameter" in unread and "--own new_parameter" in unread
    assert "4 trials are only 2 different trainings" in alike
    for parameters, word in (
        (new, "--own new_parameter"),
        ({"num_blocs": depth["num_blocks"]}, "model.num_blocks"),
    ):
        change_sweep(home, "development", parameters=parameters)
        with pytest.raises(ConfigError) as caught:
            load()
        (problem,) = caught.value.problems
        assert word in str(problem)


@pytest.mark.long
def test_the_development_workflow(home: Home) -> None:
    shrink(home, "development")
    home.snakemake()
    assert trained_once(home) == 6
    ranked = rows(home.path / "results/development/sweep/scores.csv")
    assert Counter(row["model.num_blocks"] for row in ranked) == {"1": 2, "2": 2, "3": 2}


@pytest.mark.long
def test_run_cap_ends_a_random_sweep(home: Home) -> None:
    change_sweep(home, "production", run_cap=3)
    create = f"{SWEEP} --sweep-config config/sweep/production.yaml {CREATE}"
    name = home.shell(create).splitlines()[-1]
    said = home.shell(f"{SWEEP} --sweep-id {name} --count 10")
    assert trained_once(home) == 3 and "this worker trained 3 trials" in said


@pytest.mark.long
def test_a_bayesian_sweep_stops_the_worse_after_five_evaluations(home: Home) -> None:
    change_sweep(home, "bayes", run_cap=8)
    shrink(home, "bayes", max_steps=8, eval_steps=1)
    home.snakemake("--config", "study=bayes")
    steps = Counter(row["step"] for row in rows(home.path / "results/bayes/sweep/scores.csv"))
    assert steps == {"8": 3, "5": 5}  # int(8 / 3) + 1 continue


def test_wandbs_agent_runs_a_point(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = home.path / "sweep.yaml"
    assert load_sweep_config(str(sweep)) == yaml12.load(sweep)  # also by YAML 1.1
    wandb_runs.hide_account(monkeypatch, home.path / "account")
    monkeypatch.chdir(home.path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("PYTHONPATH", home.env["PYTHONPATH"])
    agent = RealAgent(home.path / "agent", monkeypatch)
    program = Path(yaml12.load_mapping(sweep)["program"])
    point = TINY | {"num_blocks": 1, "seed": 10, "intermediate_l1_coeff": 0.0001}
    assert agent.start(program, list(DEFAULT_COMMAND), point).wait(120) == 0
    (sent,) = wandb_runs.offline_runs(home.path / "results/by-hand")
    assert (sent.run.run_id, sent.run.sweep_id) == ("run1", "sweep1")
    assert sent.history[-1].keys() >= METRICS and "test_mse" in sent.summary
    assert (sent.config["num_blocks"], sent.config["training.seed"]) == (1, 10)


@pytest.mark.long
def test_the_whole_search_in_packs(home: Home) -> None:
    tiny = json.dumps(TINY).replace('"', "")
    said = home.shell(f"snakemake --cores 2 --config study=hyperparam_search 'set={tiny}'")
    assert len({*re.findall(r"^Job \d+: (train_sweep_p\d+): ", said, re.M)}) == 22
    assert trained_once(home) == 350
    ranked = rows(home.path / "results/hyperparam_search/sweep/scores.csv")
    assert {row["status"] for row in ranked} == {"finished"} and len(ranked) == 350
