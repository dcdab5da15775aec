"""The pretended cluster behaves as the tests of the workflow assume, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cluster as cluster_module
import pytest
from cluster import CONF_NAME, NODES, SYSTEM_CONF, Cluster, ClusterError

TIMEOUT = 60.0  # seconds until a job's next word; it usually comes within one
CLUSTER_PY = Path(cluster_module.__file__)

# What a job runs: it tells the test over a socket where it is and which signals reach it. It ends
# with the connection, so that no test leaves a job behind, however it ends.
REPORTER = """
import json, os, signal, socket, sys

test = socket.create_connection(("127.0.0.1", int(sys.argv[1])))

def say(**words):
    test.sendall(json.dumps(words).encode() + b"\\n")

def say_signal(number, frame):
    say(signal=signal.Signals(number).name)

signal.signal(signal.SIGTERM, say_signal)
say(node=os.environ["SLURMD_NODENAME"], gpus=os.environ.get("CUDA_VISIBLE_DEVICES"))
test.recv(1)  # until the test closes its end
"""


class Job:
    """A submitted job that runs REPORTER, and the words that come from it.

    Args:
        cluster: The cluster to submit to; it must be up.
        folder: Where the job's script and log go.
        options: Options of sbatch.
        launcher: Put before the command in the batch script.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, options: list[str], launcher: str = ""
    ) -> None:
        self._env = os.environ | cluster.env
        reporter = folder / "reporter.py"
        reporter.write_text(REPORTER)
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(TIMEOUT)
            script = folder / "job.sh"
            port = server.getsockname()[1]
            # Two commands: a shell may replace itself by its last one, and would be no parent.
            script.write_text(
                f"#!/bin/bash\n{launcher} {sys.executable} {reporter} {port}\nexit $?\n"
            )
            log = folder / "job.log"
            self.id = self.run(
                "sbatch", "--parsable", "--mem=200", f"--output={log}", *options, str(script)
            ).strip()
            self._connection, _ = server.accept()
        self._connection.settimeout(TIMEOUT)
        self._words = self._connection.makefile()

    def run(self, *command: str) -> str:
        """Output of a SLURM client."""
        return subprocess.run(
            command, env=self._env, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def hear(self) -> dict[str, Any] | None:
        """The job's next words; None once its process is dead."""
        line = self._words.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        """End the job."""
        self._words.close()
        self._connection.close()


@pytest.fixture
def submit(cluster: Cluster, tmp_path: Path) -> Iterator[Any]:
    """Submits a job that lives no longer than the test."""
    jobs: list[Job] = []

    def submit_job(options: list[str], launcher: str = "") -> Job:
        jobs.append(Job(cluster, tmp_path, options, launcher))
        return jobs[-1]

    yield submit_job
    for job in jobs:
        job.close()


@pytest.fixture
def cluster_down(cluster: Cluster) -> Iterator[Cluster]:
    """The shared cluster, down during the test: a machine has room for one."""
    cluster.down()
    yield cluster
    cluster.up()


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CLUSTER_PY), *arguments], capture_output=True, text=True, check=False
    )


def test_gpu_job_sees_the_gpus_it_asked_for(submit: Any) -> None:
    here = submit(["--partition=gpu", "--gres=gpu:2"]).hear()

    assert here["node"] in ("gpu1", "gpu2")
    assert len(set(here["gpus"].split(","))) == 2


def test_cpu_job_sees_no_gpu(submit: Any) -> None:
    here = submit([]).hear()

    assert here["node"] in ("cpu1", "cpu2")
    assert here["gpus"] is None


def test_gpus_of_two_jobs_on_a_node_are_disjoint(submit: Any) -> None:
    options = ["--partition=gpu", "--nodelist=gpu1", "--gres=gpu:2"]
    first, second = submit(options).hear(), submit(options).hear()

    assert set(first["gpus"].split(",")).isdisjoint(second["gpus"].split(","))


# Measured with SLURM 22.05: which command sends SIGTERM to a python that a bash batch script runs
#
#     command                        direct child of the script   started by srun in the script
#     scancel JOB                    yes                          yes, SIGKILL after KillWait
#     scancel -s TERM JOB            no                           yes
#     scancel --full -s TERM JOB     yes                          no: srun is told, SIGKILL follows
#     time limit                     yes                          yes, SIGKILL after KillWait
#     sbatch --signal=USR1@SECONDS   no                           SIGUSR1, up to a minute early
#
# A direct child outlives its shell, which dies of the same SIGTERM. Here it then escapes SIGKILL:
# linuxproc loses processes whose parent is gone, where a cluster with cgroups would kill them.
@pytest.mark.parametrize("launcher", ["", "srun --ntasks=1"])
def test_scancel_sends_sigterm_to_the_child_of_the_script(submit: Any, launcher: str) -> None:
    job = submit([], launcher)
    job.hear()

    job.run("scancel", job.id)

    assert job.hear() == {"signal": "SIGTERM"}


def test_job_that_ignores_sigterm_is_killed(submit: Any) -> None:
    job = submit([], "srun --ntasks=1")
    job.hear()

    job.run("scancel", job.id)

    assert job.hear() == {"signal": "SIGTERM"}
    assert job.hear() is None


def test_down_leaves_nothing_and_can_be_repeated(cluster: Cluster, submit: Any) -> None:
    job = submit([], "setsid")
    job.hear()
    daemons = set(cluster.processes())

    cluster.down()
    try:
        assert job.hear() is None
        assert cluster.processes() == []
        assert not any(is_running(pid) for pid in daemons)
        assert not os.path.lexists(SYSTEM_CONF)
        cluster.down()
    finally:
        cluster.up()
    assert cluster.node_states() == dict.fromkeys(NODES, "idle")


@pytest.mark.parametrize("folder_lost", [False, True])
def test_up_replaces_the_cluster_of_a_killed_process(
    cluster_down: Cluster, tmp_path: Path, folder_lost: bool
) -> None:
    left_over = Cluster(tmp_path / "other")
    program = textwrap.dedent(
        f"""
        import os, signal, sys
        sys.path.insert(0, {str(CLUSTER_PY.parent)!r})
        from cluster import Cluster
        Cluster({str(left_over.dir)!r}).up()
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert left_over.processes()
    if folder_lost:
        left_over.dir.rename(tmp_path / "moved")

    cluster_down.up()

    assert left_over.processes() == []
    assert SYSTEM_CONF.readlink() == cluster_down.conf


def test_cluster_in_use_is_not_replaced(cluster: Cluster, tmp_path: Path) -> None:
    before = cluster.processes()

    refused = run_cli("up", "--dir", str(tmp_path / "other"))

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"cluster.py: process {os.getpid()} uses the cluster:")
    assert cluster.processes() == before


def test_command_line_brings_a_cluster_up_and_down(cluster_down: Cluster, tmp_path: Path) -> None:
    folder = ["--dir", str(tmp_path / "other")]

    assert run_cli("up", *folder).stdout.splitlines() == [f"{node} idle" for node in NODES]
    assert run_cli("status", *folder).returncode == 0
    assert run_cli("down", *folder).returncode == 0
    assert run_cli("status", *folder).returncode == 1
    assert not os.path.lexists(SYSTEM_CONF)


def test_folder_with_other_files_is_refused(cluster_down: Cluster, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()

    with pytest.raises(ClusterError, match="holds other files"):
        Cluster(tmp_path).up()

    assert (tmp_path / "thesis.tex").exists()


def test_failed_start_shows_the_log_and_leaves_nothing(
    cluster_down: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_conf = cluster_module.SLURM_CONF + "NoSuchKey=1\n"
    monkeypatch.setattr(cluster_module, "SLURM_CONF", broken_conf)
    broken = Cluster(tmp_path / "other")

    with pytest.raises(ClusterError, match=r"(?s)slurmctld failed.*NoSuchKey"):
        broken.up()

    assert broken.processes() == []
    assert not os.path.lexists(SYSTEM_CONF)


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_configuration_of_another_slurm_is_refused(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    conf = tmp_path / "slurm.conf"
    if kind == "file":
        conf.touch()
    else:
        conf.symlink_to(tmp_path / "their.conf")
    if kind == "link":
        (tmp_path / "their.conf").touch()
    monkeypatch.setattr(cluster_module, "SYSTEM_CONF", conf)

    assert cluster.installed() == (
        f"{conf} is of another SLURM: run these tests on a machine without one"
    )


def test_own_dangling_link_is_not_taken_for_another_slurm(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "slurm.conf"
    conf.symlink_to(tmp_path / "gone" / CONF_NAME)
    monkeypatch.setattr(cluster_module, "SYSTEM_CONF", conf)

    assert cluster.installed() is None


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster_module, "SEARCH_PATH", str(tmp_path))

    assert "missing munged, slurmctld, slurmd" in str(Cluster.installed())


def is_running(pid: int) -> bool:
    """Whether the process is neither gone nor a zombie that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False
