"""The experiment-management guide's jobs on a real SLURM, submitted as it says."""

import csv
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster

from tests.conftest import Checkout
from tests.support.experiments import small_config, small_sweep, write_corpus
from tests.support.home import Home

SCRIPTS = "straightening_dynamics/train/training_scripts"
DEADLINE = 240.0  # seconds for what usually takes ten
GOING = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")


class Jobs:
    """The folder of the guide, and a cluster that takes its jobs."""

    def __init__(self, home: Home, cluster: Cluster):
        self.home = home
        self.env = {**home.env, **cluster.env}

    def submit(self, *words: str, folder: Path | None = None) -> str:
        """Submit a job by the words after sbatch; returns its id."""
        done = subprocess.run(
            ["sbatch", *words],
            cwd=folder or self.home.path,
            env=self.env,
            check=True,
            text=True,
            capture_output=True,
        )
        return done.stdout.split()[-1]

    def finish(self, job: str, folder: Path | None = None) -> None:
        """Wait for the end of a job, which must be a good one."""
        self.wait(lambda: self.state(job) not in GOING)
        log = (folder or self.home.path) / f"slurm-{job}.out"
        assert self.state(job) == "COMPLETED", log.read_text()[-4000:]

    def slurm(self, *command: str) -> str:
        """Call a client of SLURM; returns what it says."""
        done = subprocess.run(command, env=self.env, check=True, capture_output=True, text=True)
        return done.stdout

    def state(self, job: str) -> str:
        """What SLURM says of a job, in a word."""
        said = self.slurm("scontrol", "show", "job", job)
        return said.partition("JobState=")[2].split()[0]

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def table(self) -> list[dict[str, str]]:
        """The table of runs."""
        with (self.home.path / "saved_models/runs.csv").open() as file:
            return list(csv.DictReader(file))


@pytest.fixture
def jobs(tmp_path: Path, cluster: Cluster) -> Jobs:
    home = Home.of(Checkout.new(tmp_path / "checkout"), "experiment-management")
    write_corpus(home)
    home.write("small.yaml", small_config())
    home.write("small_sweep.yaml", small_sweep())
    return Jobs(home, cluster)


def test_a_training_is_submitted_as_written_and_from_elsewhere(jobs: Jobs, tmp_path: Path) -> None:
    jobs.finish(jobs.submit(f"{SCRIPTS}/train_with_config.sh", "small.yaml"))
    (row,) = jobs.table()
    assert (jobs.home.path / f"saved_models/{row['run_id']}/checkpoint_4/gradients.pt").is_file()
    elsewhere = tmp_path / "other place"
    elsewhere.mkdir()
    (jobs.home.path / "small.yaml").rename(elsewhere / "small.yaml")
    script = str(jobs.home.path / SCRIPTS / "train_with_config.sh")
    job = jobs.submit(script, "small.yaml", "training.seed=43", folder=elsewhere)
    jobs.finish(job, elsewhere)
    assert {row["training.seed"] for row in jobs.table()} == {"42", "43"}


@pytest.mark.long
def test_a_sweep_is_submitted_as_written(jobs: Jobs) -> None:
    jobs.finish(jobs.submit(f"{SCRIPTS}/run_sweep.sh", "small.yaml", "small_sweep.yaml"))
    assert len(jobs.table()) == 2 and len({row["sweep_name"] for row in jobs.table()}) == 1


@pytest.mark.long
@pytest.mark.parametrize("script", ["train_with_config", "run_sweep"])
def test_a_job_before_its_time_limit_saves_and_the_next_one_continues(
    jobs: Jobs, script: str
) -> None:
    files = ["small.yaml"] + (["small_sweep.yaml"] if script == "run_sweep" else [])
    words = [f"{SCRIPTS}/{script}.sh", *files, "training.max_steps=2000", "training.log_steps=1"]
    job = jobs.submit(*words, "training.save_steps=1000000")

    def steps() -> int:
        files = jobs.home.path.glob("saved_models/*/metrics.jsonl")
        return max((len(file.read_text().splitlines()) for file in files), default=0)

    jobs.wait(lambda: steps() > 20)
    jobs.slurm("scancel", "--signal=USR1", "--batch", job)
    jobs.wait(lambda: jobs.state(job) not in GOING)
    jobs.finish(jobs.submit(*words, "training.save_steps=1000000"))
    attempts = [json.loads(file.read_text())["attempts"] for file in jobs.home.records()]
    ends = [[one["end"] for one in each] for each in attempts]
    assert all(each[-1] == "completed" for each in ends)
    assert any(each == ["interrupted", "completed"] for each in ends)
