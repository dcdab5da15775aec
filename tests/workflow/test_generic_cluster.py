"""Another cluster: PBS, of which three stand-ins run jobs in the background of this machine."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Checkout

PLUGIN = importlib.util.find_spec("snakemake_executor_plugin_cluster_generic")
needs_plugin = pytest.mark.skipif(
    PLUGIN is None, reason="snakemake-executor-plugin-cluster-generic is not installed"
)
# Each job leaves its options, its script and a mark at its end.
QSUB = """\
#!/bin/sh
mkdir -p ../pbs && cd ../pbs
echo "$@" >> options
id=$(wc -l < options).server
cat > $id.sh
(PBS_JOBID=$id setsid sh $id.sh > $id.log 2>&1; touch $id.end) > /dev/null 2>&1 &
echo $id
"""
QSTAT = """\
#!/bin/sh
[ ! -e ../pbs/$1.end ] || { echo "qstat: Unknown Job Id $1" >&2; exit 153; }
"""


@pytest.fixture
def cluster(checkout: Checkout) -> Iterator[Checkout]:
    """The empty checkout, and commands of PBS."""
    for name, script in {"qsub": QSUB, "qstat": QSTAT, "qdel": "#!/bin/sh\n"}.items():
        path = checkout.path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
    yield checkout


def pbs(made: Checkout, *words: str) -> str:
    """Run a command where PBS is; returns its output."""
    env = made.env
    assert PLUGIN is None or PLUGIN.origin is not None
    plugin = [] if PLUGIN is None else [str(Path(str(PLUGIN.origin)).parents[1])]
    env["PATH"] = os.pathsep.join([str(made.path / "bin"), env["PATH"]])
    env["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], *plugin])
    ended = subprocess.run(
        [sys.executable, *words], cwd=made.path, env=env, text=True, capture_output=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@needs_plugin
def test_plan(cluster: Checkout) -> None:
    output = pbs(cluster, "-m", "snakemake", "-n", "--profile", "profiles/generic")
    assert re.search(r"^train_sweep +1$", output, re.M)


@needs_plugin
def test_a_study_is_built_by_jobs(cluster: Checkout) -> None:
    cluster.write_study(resources={"gpus": 0, "mem_mb": 700, "runtime": 61, "partition": "short"})
    pbs(
        cluster,
        *("-m", "snakemake", "ranked_sweep", "--profile", "profiles/generic"),
        *("--seconds-between-status-checks", "1", "--max-status-checks-per-second", "10"),
    )
    jobs = cluster.path.parent / "pbs"
    (options,) = (jobs / "options").read_text().splitlines()
    assert "-N train_sweep" in options and "-q short" in options
    assert re.search(r"-l select=1:ncpus=\d+:mem=\d+mb -l walltime=\d\d:01:00", options)
    assert (cluster.path / ".snakemake/exit_codes/1.server").read_text() == "0\n"
    assert set(cluster.trainings().values()) == {1} and len(cluster.trainings()) == 2
    assert (cluster.path / "results/tiny/sweep/scores.csv").is_file()


def test_status_of_a_job(cluster: Checkout) -> None:
    look = ("profiles/generic/cluster.py", "status", "pbs")
    assert pbs(cluster, *look, "1.server") == "running\n"
    codes = cluster.path / ".snakemake/exit_codes"
    codes.mkdir(parents=True)
    for code, text in (("0", "success\n"), ("75", "failed\n")):
        (codes / "1.server").write_text(f"{code}\n")
        assert pbs(cluster, *look, "1.server") == text
    (cluster.path.parent / "pbs").mkdir()
    (cluster.path.parent / "pbs/2.server.end").touch()
    script = cluster.path / "profiles/generic/cluster.py"
    script.write_text(script.read_text().replace("LATENCY = 30", "LATENCY = 0"))
    assert pbs(cluster, *look, "2.server") == "failed\n"  # killed: it has no exit code
