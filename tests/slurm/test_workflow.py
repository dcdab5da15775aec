"""The workflow through `--profile profiles/slurm`, on a real SLURM of four pretended nodes."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster

from resweep import yaml12
from tests.conftest import Checkout

DEADLINE = 240.0  # seconds for what usually takes twenty


class SlurmStudy:
    """The tiny study on a cluster: a call of Snakemake, and what the jobs say of themselves."""

    def __init__(self, checkout: Checkout, cluster: Cluster):
        self.checkout = checkout
        self.env = {**checkout.env, **cluster.env}

    def train_for(self, steps: int, pack: int | str = "auto", **settings: Any) -> None:
        """Make the study trials of so many steps."""
        self.checkout.write_study(
            set={
                **{"model.n_layer": 2, "model.n_embd": 32, "model.n_head": 2},
                **{"training.max_steps": steps, "training.save_steps": 100},
                **{"training.log_steps": 1, "training.eval_steps": 1000},
                "training.eval_sequences": 16,
                **settings,
            },
            phases=[{"name": "sweep", "kind": "sweep", "sweep": "rates"}],
            resources={"gpus": 1, "runtime": 30, "pack": pack},
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Call Snakemake as the README does; jobs are looked at sooner, for a test's sake."""
        return subprocess.Popen(
            [
                *("snakemake", "--profile", "profiles/slurm"),
                *("--slurm-init-seconds-before-status-checks", "2"),
                *arguments,
            ],
            cwd=self.checkout.path,
            env=self.env,
            text=True,
            stdout=(self.checkout.path / "snakemake.log").open("w"),
            stderr=subprocess.STDOUT,
        )

    def output(self) -> str:
        """What Snakemake said so far."""
        return (self.checkout.path / "snakemake.log").read_text()

    def slurm(self, *command: str) -> str:
        """Call a client of SLURM; returns what it says."""
        done = subprocess.run(command, env=self.env, check=True, capture_output=True, text=True)
        return done.stdout

    def wait(self, process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
        """Wait until something is so, while Snakemake runs."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert process.poll() is None and time.monotonic() < deadline, self.output()[-4000:]
            time.sleep(0.02)

    def finish(self, process: subprocess.Popen[str]) -> None:
        """Wait for the end, which must be a good one."""
        assert process.wait(DEADLINE) == 0, self.output()[-4000:]

    def run(self) -> Path | None:
        """Folder of the only run that was begun."""
        return next((self.checkout.path / "results/runs").glob("*"), None)

    def state(self) -> dict[str, object]:
        """The only run's record."""
        run = self.run()
        return dict(json.loads((run / "record.json").read_text())) if run else {}

    def steps(self) -> int:
        """Steps that the only run's metrics tell of."""
        run = self.run()
        try:
            return len((run / "metrics.jsonl").read_text().splitlines()) if run else 0
        except FileNotFoundError:
            return 0


@pytest.fixture
def study(checkout: Checkout, cluster: Cluster) -> SlurmStudy:
    return SlurmStudy(checkout, cluster)


@pytest.fixture
def long_study(study: SlurmStudy) -> SlurmStudy:
    """One trial of about half a minute."""
    study.checkout.write_sweep(learning_rate=[1e-3])
    study.train_for(1500)
    return study


def test_trainings_run_on_gpu_nodes_and_links_ask_for_none(
    study: SlurmStudy, built_once: Checkout
) -> None:
    options = "--exclude=cpu1 --comment='two  words; touch here'"
    study.checkout.write_study(resources={"slurm_extra": options})
    given = "it's `touch here`$(touch here) $HOME {x}"
    config = ("--config", f'set={{given: "{given}"}}')
    study.finish(study.start(*config))
    records = sorted(study.checkout.path.glob("results/runs/*/record.json"))
    attempts = [json.loads(path.read_text())["attempts"] for path in records]
    assert len(attempts) == 4
    for (attempt,) in attempts:
        assert attempt["host"] in ("gpu1", "gpu2")
        job = study.slurm("scontrol", "show", "job", attempt["job"])
        assert "Comment=two  words; touch here" in job and "ExcNodeList=cpu1" in job
    for path in records:
        assert yaml12.load_mapping(path.with_name("config.yaml"))["given"] == given
    assert not (study.checkout.path / "here").exists()
    for slot in ("01", "02"):  # the same numbers as on this machine without SLURM
        here = study.checkout.record("tiny", "rerun", slot)
        assert here["weights"] == built_once.record("tiny", "rerun", slot)["weights"]

    forced = study.checkout.run(
        *("snakemake", "--profile", "profiles/slurm", "--dry-run", "--forcerun", "train_sweep"),
        *config,
        env=study.env,
    ).stdout
    assert "train_sweep" in forced and "gres=gpu" not in forced


def test_a_cancelled_job_saves_and_its_retry_resumes(long_study: SlurmStudy) -> None:
    process = long_study.start()
    long_study.wait(process, lambda: long_study.steps() > 150)
    run = long_study.run()
    assert run is not None
    long_study.slurm("scancel", json.loads((run / "lease.json").read_text())["job"])
    long_study.finish(process)
    first, second = long_study.state()["attempts"]  # type: ignore[misc]
    assert first["end"] == "interrupted" and second["end"] == "completed"
    assert first["to_step"] == second["from_step"] > 0


@pytest.mark.long
def test_a_job_at_its_time_limit_saves_and_its_retry_resumes(long_study: SlurmStudy) -> None:
    # Long enough: SLURM looks at limits every half minute.
    long_study.train_for(5000)
    process = long_study.start()
    long_study.wait(process, lambda: long_study.steps() > 5)
    run = long_study.run()
    assert run is not None
    job = json.loads((run / "lease.json").read_text())["job"]
    # Limits are whole minutes: this one is moved to now.
    long_study.slurm("scontrol", "update", f"JobId={job}", "EndTime=now+1")
    long_study.finish(process)
    first, second = long_study.state()["attempts"]  # type: ignore[misc]
    assert first["end"] == "interrupted" and second["end"] == "completed"
    assert first["to_step"] == second["from_step"] > 0
