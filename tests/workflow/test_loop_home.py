"""The loop transformer's document: its commands and sweep files, in examples/loop-transformer."""

import csv
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.config.nesting import find
from resweep.jobs.train_by_hand import plan_by_hand
from resweep.study.kinds.sweep_phase import SweepPhase
from resweep.study.load import load_study
from tests.conftest import ROOT, Checkout
from tests.support import wandb_runs
from tests.support.home import Home
from tests.support.sweep_points import RealAgent

pytestmark = pytest.mark.xdist_group("loop_home")

FILES = ("sweep_stages", "sweep_stages_random", "sweep_stages_bayes")
ORIGINALS = ROOT.parent / "shared/data/sweep_yamls"
ORIGINAL = "maxwell-gao+VirtualRecursiveNetwork__config__wandb__{}.yaml"
TINY = {
    "size": 4,
    "train_puzzles": 40,
    "test_puzzles": 10,
    "hidden_size": 8,
    "num_heads": 2,
    "halt_max_steps": 2,
    "batch_size": 8,
    "log_steps": 2,
}
SHORT = {**TINY, "max_steps": 4, "eval_steps": 1, "processes": 1}
UNREAD = ("data_paths", "evaluators", "puzzle_emb_lr", "puzzle_emb_weight_decay")
LITERALS = (
    "arch=loop_transformer-3stage data_paths=[data/sudoku-extreme-1k-aug-1000] evaluators=[] "
    "epochs=50000 eval_interval=5000 lr=1e-4 puzzle_emb_lr=1e-4 weight_decay=1.0 "
    "puzzle_emb_weight_decay=1.0 grad_clip_norm=-1.0 ema=True"
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The folder of the document, without results."""
    return Home.of(Checkout.new(tmp_path / "checkout"), "loop-transformer")


def words(values: dict[str, Any], prefix: str = "") -> str:
    return " ".join(f"{prefix}{name}={value}" for name, value in values.items())


def sweep(home: Home, file: str, *more: str) -> str:
    """Run a sweep file of the document with tiny trainings."""
    command = f"python run_sweep.py --config config/wandb/{file}.yaml {' '.join(more)}"
    return home.shell(command.replace(" -- ", f" --wandb disabled --set {words(SHORT)} -- "))


def test_a_random_sweep_is_trained_ranked_and_reported(home: Home) -> None:
    said = sweep(home, "sweep_stages_random", "--count 2 -- --cores 2")
    assert said.count("nothing in resweep reads") == 1
    (line,) = [line for line in said.splitlines() if "nothing in resweep reads" in line]
    assert all(name in line for name in UNREAD) and "epochs" not in line
    assert len(home.records()) == 2
    (scores,) = home.path.glob("results/*/sweep/scores.csv")
    ranked = list(csv.DictReader(scores.open()))
    assert len(ranked) == 2 and {"arch.stages.0.repeat"} <= ranked[0].keys()
    assert list(home.path.glob("results/*/report.html"))
    for record in home.records():
        config = yaml12.load_mapping(record.with_name("config.yaml"))
        stages, training = config["arch"]["stages"], config["training"]
        assert [stage["target"] for stage in stages] == ["z_L", "z_M", "z_H"]
        assert stages[2] == {**stages[2], "sources": ["z_M"], "include_inputs": False}
        assert (training["learning_rate"], training["weight_decay"]) == (1e-4, 1.0)
        assert (training["grad_clip"], training["ema"]) == (0.0, True)
        assert config["evaluators"] == []


def load(home: Home, file: Path, **changes: Any) -> SweepPhase:
    """Load a study of a sweep file, as run_sweep.py would make it."""
    study = yaml12.load_mapping(home.path / "config/studies/stages.yaml")
    study["phases"] = [{"name": "sweep", "kind": "sweep", "sweep": str(file), **changes}]
    home.write("config/studies/loaded.yaml", study)
    loaded = load_study(home.path / "config/studies/loaded.yaml", home.path / "config")
    (warning,) = [line for line in loaded.warnings if "nothing in resweep reads" in line]
    assert all(name in warning for name in UNREAD)
    (phase,) = loaded.phases
    assert isinstance(phase, SweepPhase)
    return phase


@pytest.mark.parametrize("file", FILES)
def test_the_sweep_files_of_the_document(file: str, home: Home) -> None:
    ours = home.path / f"config/wandb/{file}.yaml"
    trials = None if file == "sweep_stages" else 30
    phase = load(home, ours, trials=trials)
    assert len(phase.trials) == (trials or 4 * 2 * 4 * 2 * 4)
    assert (phase.metric, phase.goal) == ("exact_accuracy", "maximize")
    assert phase.rungs is not None and phase.rungs.bands == (1, 3)
    config = phase.config
    assert find(config, "training.processes") == 4
    assert find(config, "training.distributed") == "ddp"
    assert [find(config, f"arch.stages.{n}.repeat") for n in range(3)] == [3, 2, 1]
    steps, every = 50_000, find(config, "training.eval_steps")
    assert find(config, "training.num_epochs") == steps and steps / every == 10  # max_iter
    assert find(config, "data.train_puzzles") == find(config, "training.batch_size")
    if phase.search is None:  # an agent trains the same, so that one finds what the other has
        trial = phase.trials[-1]
        arguments = [f"--{name}={value}" for name, value in phase.assignments[trial].items()]
        four = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"}
        by_agent = plan_by_hand([*LITERALS.split(), *arguments], four, home.path / "config")
        assert by_agent.trial.config == phase.trial_config(trial)
    original = ORIGINALS / ORIGINAL.format(file)
    if not original.is_file():
        pytest.skip("no shared/data/sweep_yamls beside the project")
    assert yaml12.load_mapping(ours) == yaml12.load_mapping(original)
    same = load(home, original, trials=trials)
    assert (same.trials, same.config) == (phase.trials, phase.config)


def test_a_sweep_without_an_end_has_sixteen_trials(home: Home) -> None:
    said = sweep(home, "sweep_stages_bayes", "-- --version")  # of Snakemake, instead of a build
    assert "16 trials" in said and "--count" in said
    (study,) = home.path.glob("results/sweeps/*/study.yaml")
    assert yaml12.load_mapping(study)["phases"][0]["trials"] == 16


def test_the_wrapper_takes_every_spelling(home: Home) -> None:
    quick = words({**TINY, "epochs": 1, "eval_interval": 5})
    for repeat in ("--arch.stages.0.repeat=2", "arch.stages.0.repeat=2", "+arch.stages.0.repeat=2"):
        said = home.shell(
            f"python pretrain_sweep_wrapper.py {LITERALS} {quick} {repeat} device=cpu",
            WANDB_MODE="disabled",
        )
        assert "exact_accuracy" in said and "finished at step 5" in said
    (record,) = home.records()
    config = yaml12.load_mapping(record.with_name("config.yaml"))
    assert [stage["repeat"] for stage in config["arch"]["stages"]] == [2, 2, 1]


def run_agent(home: Home, processes: int, patch: pytest.MonkeyPatch) -> None:
    """Have W&B's own agent start the document's command; the first trial of the random sweep."""
    content = yaml12.load_mapping(home.path / "config/wandb/sweep_stages_random.yaml")
    command = [f"--nproc-per-node={processes}" if "nproc" in w else w for w in content["command"]]
    quick = {**TINY, "epochs": 2, "eval_interval": 5}
    command[-1:] = [*(f"{name}={value}" for name, value in quick.items()), "${args}"]
    patch.chdir(home.path)
    patch.setenv("PYTHONPATH", home.env["PYTHONPATH"])
    patch.setenv("WANDB_MODE", "offline")
    agent = RealAgent(home.path / "agent", patch)
    patch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    point = {f"arch.stages.{n}.repeat": n + 1 for n in range(3)}
    point |= {f"arch.stages.{n}.include_inputs": n == 0 for n in range(2)}
    assert agent.start(home.path / "pretrain.py", command, point).wait(300) == 0
    (record,) = home.records()
    state = json.loads(record.read_text())
    assert [part["processes"] for part in state["segments"]] == [processes]
    (sent,) = wandb_runs.offline_runs(home.path / "results/by-hand")
    assert (sent.run.run_id, sent.run.sweep_id) == ("run1", "sweep1")
    assert "exact_accuracy" in sent.history[-1]  # the name that the sweep optimizes
    alone = {**quick, **point, "results": "alone", "device": "cpu"}
    home.shell(f"python pretrain_sweep_wrapper.py {LITERALS} {words(alone)}", WANDB_MODE="disabled")
    (other,) = home.path.glob("alone/runs/*/metrics.jsonl")
    assert other.parent.name == record.parent.name  # one run, however many processes train it
    assert losses(record.with_name("metrics.jsonl")) == pytest.approx(losses(other), rel=1e-4)


def losses(metrics: Path) -> list[float]:
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [line["train/loss"] for line in lines if "train/loss" in line]


@pytest.mark.long
def test_wandbs_agent_starts_torchrun(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run_agent(home, 4, monkeypatch)


def write_toy(home: Home, **changes: Any) -> None:
    """Shorten the study `toy`, whose trainings are many in a job."""
    study = yaml12.load_mapping(home.path / "config/studies/toy.yaml")
    study["publish"] = {"configs": False, "models": "none"}
    phase = study["phases"][0]
    phase.update(changes)
    phase["set"] |= SHORT
    home.write("config/studies/toy.yaml", study)


def results(home: Home) -> dict[str, bytes]:
    """What a build of the study leaves that is determined."""
    files = [*home.path.glob("results/runs/*/metrics.jsonl")]
    files += home.path.glob("results/runs/*/checkpoint_*/model.safetensors")
    files += home.path.glob("results/toy/sweep/**/*.csv")
    return {str(file.relative_to(home.path)): file.read_bytes() for file in sorted(files)}


@pytest.mark.long
def test_the_grid_in_packs_is_the_same_twice(home: Home, tmp_path: Path) -> None:
    trials = 4 * 2 * 4 * 2 * 4
    write_toy(home)
    again = Home.of(Checkout(home.path.parent.parent).copy(tmp_path / "again"), "loop-transformer")
    for one in (home, again):
        said = one.run("snakemake", "--cores", "2", "--config", "study=toy").stdout
        assert "train_sweep_b1_p2" in said
        assert len(one.records()) == trials  # each a run of its own
    assert results(home) == results(again)
    table = list(csv.DictReader((home.path / "results/toy/sweep/scores.csv").open()))
    reached = Counter(row["step"] for row in table)
    second = trials // 3 + 1
    third = second // 3 + 1
    assert reached == {"1": trials - second, "3": second - third, "4": third}
    assert "Nothing to be done" in home.run("snakemake", "--config", "study=toy").stdout
