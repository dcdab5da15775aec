"""What is built again after a change: the new, the deleted, and nothing else."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Checkout


def jobs(output: str) -> dict[str, int]:
    """Read Snakemake's table of job counts."""
    table = output[output.index("Job stats:") :]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


def planned(checkout: Checkout) -> dict[str, int]:
    """Jobs of a dry run; none when there is nothing to be done."""
    output = checkout.snakemake("--dry-run").stdout
    return {} if "Nothing to be done" in output else jobs(output)


def trained_by(checkout: Checkout, *arguments: str) -> set[str]:
    """Runs that one call trains."""
    before = checkout.trainings()
    checkout.snakemake(*arguments)
    after = checkout.trainings()
    return {run for run, count in after.items() if count != before.get(run)}


def run_of(checkout: Checkout, phase: str, trial: str) -> str:
    return str(checkout.record("tiny", phase, trial)["run_id"])


def trials(checkout: Checkout, phase: str = "sweep") -> list[str]:
    folder = checkout.path / "results/tiny" / phase / "records"
    return sorted(path.stem for path in folder.iterdir())


def test_second_call_has_nothing_to_do(built: Checkout) -> None:
    assert planned(built) == {}
    assert trained_by(built) == set()


def test_adding_a_losing_value_trains_that_trial_only(built: Checkout) -> None:
    before = set(trials(built))
    built.write_sweep(learning_rate=[1e-5, 1e-3, 1e-6])
    assert planned(built)["train_sweep"] == 1
    trained = trained_by(built)
    new = set(trials(built)) - before
    assert trained == {run_of(built, "sweep", trial) for trial in new} and len(new) == 1
    assert planned(built) == {}

    built.write_sweep(learning_rate=[1e-5, 1e-3])
    assert trained_by(built) == set()
    scored = (built.path / "results/tiny/sweep/scores.csv").read_text()
    assert new.pop() not in scored
    assert planned(built) == {}


def test_a_new_winner_trains_one_rerun_configuration(built: Checkout) -> None:
    built.write_sweep(learning_rate=[1e-5, 1e-3, 1e-2])
    trained = trained_by(built)
    reruns = {run_of(built, "rerun", slot) for slot in ("01", "02")}
    assert reruns < trained and len(trained) == 3


def test_new_score_weights_train_nothing(built: Checkout) -> None:
    scores = built.path / "results/tiny/sweep/scores.csv"
    before = scores.read_text()
    built.write_study(score={"early_steps": 10, "slope_weight": 0.5, "final_weight": 2.0})
    assert trained_by(built) == set()
    assert scores.read_text() != before


def test_touching_everything_trains_nothing(built: Checkout) -> None:
    for path in built.path.rglob("*"):
        if not path.is_symlink() and ".snakemake" not in path.parts:
            os.utime(path)
    assert trained_by(built) == set()


def test_a_clone_with_new_dates_trains_nothing(built: Checkout, tmp_path: Path) -> None:
    clone = tmp_path / "elsewhere"
    subprocess.run(["cp", "-r", "--no-preserve=timestamps", built.path, clone], check=True)
    shutil.rmtree(clone / ".snakemake")
    assert trained_by(Checkout(clone)) == set()


def test_a_deleted_run_is_trained_again_and_only_it(built: Checkout) -> None:
    run = run_of(built, "rerun", "02")
    weights = built.path / "results/runs" / run / "final_checkpoint/model.safetensors"
    before = weights.read_bytes()
    shutil.rmtree(built.path / "results/runs" / run)
    assert trained_by(built) == {run}
    assert weights.read_bytes() == before
    assert planned(built) == {}


def test_a_forgotten_run_is_trained_again_and_only_it(built: Checkout) -> None:
    run = run_of(built, "sweep", trials(built)[0])
    built.run("python", "workflow/scripts/forget.py", "runs", run)
    assert list(built.path.glob(f"results/trash/*/{run}/record.json"))
    assert trained_by(built) == {run}


def test_forced_jobs_are_served_by_the_store(built: Checkout) -> None:
    assert trained_by(built, "--forceall") == set()


def test_equal_trials_are_trained_once(checkout: Checkout) -> None:
    parameters = {"learning_rate": {"values": [1e-3, 1e-3]}, "weight_decay": {"value": 0.1}}
    sweep = {"method": "random", "run_cap": 2, "parameters": parameters}
    checkout.write("config/sweep/rates.yaml", sweep)
    checkout.run("snakemake", "--cores", "2", "results/tiny/sweep/scores.csv")
    assert len(trials(checkout)) == 2
    assert set(checkout.trainings().values()) == {1} and len(checkout.trainings()) == 1


@pytest.mark.long
def test_two_studies_at_once_share_their_runs(checkout: Checkout) -> None:
    checkout.write_study("other")
    calls = [
        subprocess.Popen(
            ["snakemake", "--cores", "1", "--config", f"study={name}"],
            cwd=checkout.path,
            env=checkout.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("tiny", "other")
    ]
    outputs = [call.communicate()[0] for call in calls]
    assert [call.returncode for call in calls] == [0, 0], "\n".join(outputs)[-6000:]
    assert set(checkout.trainings().values()) == {1}
    assert checkout.record("tiny", "rerun", "01") == checkout.record("other", "rerun", "01")


@pytest.mark.long
def test_the_same_study_in_two_folders_is_equal_byte_for_byte(
    built_once: Checkout, checkout: Checkout
) -> None:
    checkout.snakemake()
    here, there = checkout.path / "results/runs", built_once.path / "results/runs"
    runs = sorted(path.name for path in here.iterdir())
    assert runs == sorted(path.name for path in there.iterdir()) and len(runs) == 4
    for run in runs:
        metrics = f"{run}/metrics.jsonl"
        assert (here / metrics).read_bytes() == (there / metrics).read_bytes()
        for weights in (here / run).glob("checkpoint_*/*.safetensors"):
            same = there / weights.relative_to(here)
            assert weights.read_bytes() == same.read_bytes()


@pytest.mark.long
def test_a_killed_snakemake_is_continued_by_the_documented_call(
    built_once: Checkout, checkout: Checkout
) -> None:
    call = subprocess.Popen(
        ["snakemake", "--cores", "1"],
        cwd=checkout.path,
        env=checkout.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    begun = checkout.path / "results/runs"
    while not list(begun.glob("*/metrics.jsonl")):
        assert call.poll() is None
        time.sleep(0.01)
    call.kill()
    call.wait()
    checkout.snakemake("--unlock")
    checkout.snakemake()
    assert set(checkout.trainings().values()) == {1}  # the orphan ended what it had begun
    for slot in ("01", "02"):
        expected = built_once.record("tiny", "rerun", slot)
        assert checkout.record("tiny", "rerun", slot)["weights"] == expected["weights"]


def test_divergence_is_a_result(checkout: Checkout) -> None:
    checkout.write_sweep(learning_rate=[1e12, 1e-3])
    checkout.snakemake()
    scores = (checkout.path / "results/tiny/sweep/scores.csv").read_text().splitlines()
    assert ",diverged," in scores[-1] and "not a finite number" in scores[-1]
    assert checkout.record("tiny", "rerun", "01")["status"] == "finished"


@pytest.mark.long
def test_a_best_model_that_was_pruned_is_reported_and_trains_nothing(checkout: Checkout) -> None:
    phases = [{"name": "sweep", "kind": "sweep", "sweep": "rates"}]
    changes = {"phases": phases, "publish": {"configs": False, "models": "best"}}
    checkout.write_study(**changes)
    checkout.snakemake()
    stamp = checkout.path / "results/tiny/artifacts/sweep-model.json"
    assert json.loads(stamp.read_text())["status"] == "local"
    weights = sorted(checkout.path.glob("results/runs/*/checkpoint_*"))

    checkout.write_study(**changes, score={"final_weight": -1.0})
    assert trained_by(checkout) == set()
    assert json.loads(stamp.read_text())["status"] == "pruned"
    decisions = (checkout.path / "results/tiny/sweep/decisions.csv").read_text()
    assert ",missing," in decisions and ",spare," in decisions
    assert sorted(checkout.path.glob("results/runs/*/checkpoint_*")) == weights


def test_keep_policies(checkout: Checkout) -> None:
    phases = [
        {"name": "sweep", "kind": "sweep", "sweep": "rates"},
        {"name": "none", "kind": "sweep", "sweep": "rates", "set": {"training.seed": 7}},
        {"name": "all", "kind": "sweep", "sweep": "rates", "set": {"training.seed": 8}},
    ]
    phases[1]["keep"], phases[2]["keep"] = "none", "all"
    checkout.write_study(phases=phases)
    checkout.snakemake()
    results = checkout.path / "results/tiny"
    kept = {
        name: len(list(results.glob(f"{name}/models/*/model.safetensors")))
        for name in ("sweep", "none", "all")
    }
    assert kept == {"sweep": 1, "none": 0, "all": 2}
    saved = {
        name: [
            checkout.record("tiny", name, t)["weights"] is not None for t in trials(checkout, name)
        ]
        for name in kept
    }
    assert saved == {"sweep": [True, True], "none": [False, False], "all": [True, True]}
    assert len(list(checkout.path.glob("results/runs/*/checkpoint_*"))) == 3
