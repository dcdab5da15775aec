"""What Snakemake's executor `cluster-generic` calls: sends a job to PBS or SGE, and looks at it.

    python profiles/generic/cluster.py submit pbs JOBSCRIPT     prints the job's id
    python profiles/generic/cluster.py status pbs ID            running, success or failed

A job writes its exit code into a file. One that is gone without it was killed: it has failed, and
is sent again. Edit `options` for what your cluster wants, or add a cluster to `CLUSTERS`.
"""

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CODES = Path(".snakemake/exit_codes")  # {id}
LATENCY = 30  # seconds until a file that a node wrote is seen here
# SIGUSR1 is for the training, which saves: the shells around it ignore it.
JOB = """\
trap '' USR1
cd {folder}
sh {script}
code=$?
echo $code > {codes}/${id}
exit $code
"""


@dataclass(frozen=True)
class Cluster:
    """How a cluster is called.

    Attributes:
        submit: Sends the job script that it gets on standard input, and prints an id.
        options: Its options for what a job asks for.
        look: Prints something about the job of an id.
        gone: What it says of one that neither waits nor runs.
        id: The variable that has the id in a job.
    """

    submit: tuple[str, ...]
    options: Callable[[dict[str, Any]], list[str]]
    look: tuple[str, ...]
    gone: str
    id: str


def pbs_options(asked: dict[str, Any]) -> list[str]:
    """Return the options of OpenPBS; at its time limit a job gets SIGTERM."""
    chunk = f"select=1:ncpus={asked['cpus']}:mem={asked['mem_mb']}mb"
    if asked["gpus"]:
        chunk += f":ngpus={asked['gpus']}"
    queue = ["-q", asked["partition"]] if asked["partition"] else []
    return ["-l", chunk, "-l", f"walltime={clock(asked['minutes'])}", *queue]


def sge_options(asked: dict[str, Any]) -> list[str]:
    """Return the options of SGE; two minutes before its time limit a job gets SIGUSR1."""
    minutes = asked["minutes"]
    memory = -(-asked["mem_mb"] // asked["cpus"])  # of each core
    limits = f"h_rt={clock(minutes)},s_rt={clock(max(1, minutes - 2))},h_vmem={memory}M"
    if asked["gpus"]:
        limits += f",gpu={asked['gpus']}"
    queue = ["-q", asked["partition"]] if asked["partition"] else []
    return ["-pe", "smp", str(asked["cpus"]), "-l", limits, *queue]


CLUSTERS = {
    "pbs": Cluster(
        submit=("qsub", "-V", "-j", "oe"),
        options=pbs_options,
        look=("qstat",),
        gone=r"Unknown Job Id|Job has finished",
        id="PBS_JOBID",
    ),
    "sge": Cluster(
        submit=("qsub", "-terse", "-V", "-j", "y", "-S", "/bin/sh"),
        options=sge_options,
        look=("qstat", "-j"),
        gone="do not exist",
        id="JOB_ID",
    ),
}


def clock(minutes: int) -> str:
    """Return a time as hours, minutes and seconds."""
    return f"{minutes // 60:02}:{minutes % 60:02}:00"


def asked_by(job: dict[str, Any]) -> dict[str, Any]:
    """Return what a job asks for, from Snakemake's description; slurm_extra is for sbatch alone."""
    given = job["resources"]
    if given.get("nodes"):
        sys.exit("error: training.nodes above 1 needs SLURM, whose srun starts the other nodes")
    # gpu:2, or with a model, which clusters name in different ways: gpu:a100:2
    _, *model, gpus = (given.get("gres") or "gpu:0").split(":")
    if model:
        sys.exit(f"error: resources.gpu_model = {model[0]}: edit profiles/generic/cluster.py")
    return {
        "cpus": given.get("cpus_per_task", job["threads"]),
        "mem_mb": given["mem_mb"],
        "minutes": given["runtime"],
        "gpus": int(gpus),
        "partition": given.get("slurm_partition"),
    }


def submit(cluster: Cluster, script: str) -> None:
    """Send a job, and print its id."""
    with Path(script).open() as lines:
        job = json.loads([next(lines) for _ in range(2)][1].partition("=")[2])
    CODES.mkdir(parents=True, exist_ok=True)
    logs = Path("logs/cluster")
    logs.mkdir(parents=True, exist_ok=True)
    text = JOB.format(
        folder=shlex.quote(str(Path.cwd())), script=shlex.quote(script), codes=CODES, id=cluster.id
    )
    words = [*cluster.submit, "-N", job.get("rule", "group")[:15], "-o", str(logs.absolute())]
    words += cluster.options(asked_by(job))
    sent = subprocess.run(words, input=text, text=True, stdout=subprocess.PIPE, check=False)
    if sent.returncode:
        sys.exit(f"error: {shlex.join(words)} ended with {sent.returncode}")
    print(sent.stdout.strip())


def status(cluster: Cluster, job: str) -> None:
    """Print what became of a job; one of which the cluster cannot say anything now still runs."""
    code = CODES / job
    if not code.exists():
        words = [*cluster.look, job]
        seen = subprocess.run(words, capture_output=True, text=True, check=False)
        if not re.search(cluster.gone, seen.stdout + seen.stderr):
            print("running")
            return
    end = time.monotonic() + LATENCY
    while not code.exists() and time.monotonic() < end:
        time.sleep(1)
    print("success" if code.exists() and code.read_text().strip() == "0" else "failed")


if __name__ == "__main__":
    what, name, given = sys.argv[1:]
    {"submit": submit, "status": status}[what](CLUSTERS[name], given)
