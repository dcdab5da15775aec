"""A real SLURM cluster of four pretended nodes on this machine, for the tests of the SLURM profile.

    python tests/slurm/cluster.py up        # under a second; needs root, slurm-wlm and munge
    python tests/slurm/cluster.py status
    python tests/slurm/cluster.py down

Nodes cpu1 and cpu2 form the default partition `cpu`; gpu1 and gpu2, with four pretended GPUs each,
form `gpu`. Everything the daemons write, their keys and sockets included, is in one folder; the
only trace outside it is the link /etc/slurm/slurm.conf, because the SLURM job step plugin of
Snakemake strips SLURM_CONF from the environment of a job. There is one such link, so there is one
cluster a machine at a time.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

# Only root can write to /run, so nobody else can plant files in it, and its short name keeps the
# sockets' paths within the 107 characters that Linux allows.
DEFAULT_DIR = Path("/run/resweep-slurm")
# Held by the process that owns the cluster: the link below, and so the cluster, is one a machine.
LOCK = Path("/run/resweep-slurm.lock")
SYSTEM_CONF = Path("/etc/slurm/slurm.conf")
# A file name of our own: /etc/slurm/slurm.conf can be told to be ours even where it dangles.
CONF_NAME = "resweep-slurm.conf"

NODES = ("cpu1", "cpu2", "gpu1", "gpu2")
GPUS_PER_NODE = 4
CLIENTS = ("sbatch", "srun", "scancel", "squeue", "sinfo", "scontrol")
DAEMONS = ("munged", "slurmctld", "slurmd")
# What the daemons start shows itself as `slurmctld: slurmscriptd` and `slurmstepd: [7.batch]`,
# without the arguments that tell whose it is.
HELPERS = ("slurmctld:", "slurmstepd:", "slurmstepd")
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))

TIMEOUT = 30.0  # seconds for each daemon to come up; less than one is usual, the rest is for load
LOG_LINES = 15  # of each log, in the message of a cluster that does not come up

SLURM_CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={dir}/munge.socket
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool/%n
SlurmctldLogFile={dir}/log/slurmctld.log
SlurmdLogFile={dir}/log/%n.log
SlurmctldPidFile={dir}/run/slurmctld.pid
SlurmdPidFile={dir}/run/%n.pid
MailProg=/bin/true

# Four made-up nodes on one machine: no cgroups, no pinning, sizes taken from this file.
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# Without it a job that asks for no memory takes a whole node.
DefMemPerCPU=500
# Memory above the request kills the job, as cgroups would do on a real cluster.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill

# Start jobs at once. Time limits stay coarse whatever is set here: they are whole minutes, and
# slurmctld looks at them every 30 seconds, which is fixed when it is compiled. A test that cannot
# wait sets the end of a running job: scontrol update JobId=N EndTime=now+1.
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
OverTimeLimit=0
# Seconds from SIGTERM to SIGKILL.
KillWait=10
# squeue must know a job for longer than Snakemake takes to ask about it.
MinJobAge=300

NodeName=DEFAULT CPUs=8 RealMemory=16000
{nodes}
PartitionName=cpu Nodes=cpu1,cpu2 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=gpu1,gpu2 MaxTime=INFINITE State=UP
"""


class ClusterError(RuntimeError):
    """The cluster cannot be brought up or taken down; the message says what to do."""


class Cluster:
    """One SLURM cluster of four pretended nodes, whose files are all in one folder.

    As a context manager it is up inside the block. A process that has called `up()` owns the
    cluster until its `down()` or its death: only then may another process replace it.

    Args:
        dir: Folder of the cluster, emptied by `up()`. It stays after `down()`, for its logs.
    """

    def __init__(self, dir: Path = DEFAULT_DIR) -> None:
        self.dir = Path(dir).resolve()
        self.conf = self.dir / CONF_NAME
        # Jobs carry the cluster's name in their environment: by it they are found after a crash,
        # even when the folder is gone.
        self.name = "resweep" + hashlib.sha256(bytes(self.dir)).hexdigest()[:8]
        self._lock: int | None = None

    @property
    def env(self) -> dict[str, str]:
        """Variables that `sbatch`, `squeue` and their like need beside the usual environment."""
        return {"SLURM_CONF": str(self.conf)}

    @staticmethod
    def installed() -> str | None:
        """Why SLURM cannot be brought up on this machine, in one line; None if it can."""
        missing = [name for name in DAEMONS + CLIENTS if not shutil.which(name, path=SEARCH_PATH)]
        if missing:
            return f"missing {', '.join(missing)}: apt-get install slurm-wlm munge"
        if os.geteuid() != 0:
            return "slurmd needs root: run these tests as root, in a container for example"
        if os.path.lexists(SYSTEM_CONF) and _linked_cluster() is None:
            return f"{SYSTEM_CONF} is of another SLURM: run these tests on a machine without one"
        return None

    def up(self) -> None:
        """Bring the cluster up and wait until all its nodes are idle.

        A cluster that a killed process left behind, in this folder or another, goes down first.

        Raises:
            ClusterError: SLURM is missing or foreign, another process owns the cluster, the folder
                holds something else, or a daemon failed (then with the ends of the logs).
        """
        if reason := self.installed():
            raise ClusterError(reason)
        if self.dir.exists() and not self.conf.exists() and any(self.dir.iterdir()):
            raise ClusterError(f"{self.dir} holds other files: name an empty folder with --dir")
        self._own()
        try:
            if left_over := _linked_cluster():
                left_over.down()
            self._kill()
            self._start(ctld_port=self._write_files())
        except BaseException as error:
            self.down()
            if isinstance(error, ClusterError):
                raise ClusterError(f"{error}{self._log_tails()}") from error
            raise

    def down(self) -> None:
        """Kill the cluster's daemons and jobs and remove its link; does nothing if there is none.

        Raises:
            ClusterError: a process survived SIGKILL.
        """
        self._kill()
        linked = _linked_cluster()
        if linked and linked.dir == self.dir:
            SYSTEM_CONF.unlink()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def node_states(self) -> dict[str, str]:
        """State of each node, `idle` for one that is free; empty if no cluster runs here."""
        if not self.processes():
            return {}
        answer = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%N %T"],
            env=os.environ | self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        return dict(line.split() for line in answer.stdout.splitlines())

    def processes(self) -> list[int]:
        """Process ids of the cluster's daemons and of all that runs in its jobs.

        They are found by what only they have, not by files with their ids, which can be lost or
        go stale: daemons name this folder on their command line, their helpers keep a file in it
        open, and whatever a job starts has the cluster's name in its environment.
        """
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if self._has_process(pid)]

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def _has_process(self, pid: int) -> bool:
        proc = Path("/proc") / str(pid)
        folder = f"{self.dir}/"
        try:
            arguments = (proc / "cmdline").read_text(errors="replace").split("\0")
            name = Path(arguments[0].split(" ")[0]).name
            if name in DAEMONS:
                return any(folder in argument for argument in arguments)
            if name in HELPERS:
                return any(name.startswith(folder) for name in _open_files(proc))
            environment = (proc / "environ").read_text(errors="replace").split("\0")
            return f"SLURM_CLUSTER_NAME={self.name}" in environment
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False  # it ended while we looked, or is not ours to look at

    def _kill(self) -> None:
        """Kill every process of the cluster: its state is thrown away, so none needs a farewell."""
        deadline = time.monotonic() + TIMEOUT
        # Again and again: a daemon may have started another process since we looked.
        while pids := self.processes():
            if time.monotonic() > deadline:
                raise ClusterError(f"processes {pids} of {self.dir} survive SIGKILL: see dmesg")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _own(self) -> None:
        """Become the cluster's owner; the kernel ends that when this process dies, however it dies.

        Raises:
            ClusterError: another process is its owner.
        """
        if self._lock is not None:
            return
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode()
            os.close(lock)
            raise ClusterError(f"process {owner} uses the cluster: wait for it to end") from None
        os.truncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        self._lock = lock

    def _write_files(self) -> int:
        """Fill the folder with configuration, key and devices; returns slurmctld's port."""
        shutil.rmtree(self.dir, ignore_errors=True)
        for name in ("log", "run", "state", *(f"spool/{node}" for node in NODES)):
            (self.dir / name).mkdir(parents=True)
        key = self.dir / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        # SLURM takes nothing but character devices for GPUs; /dev/null is one, and links will do.
        for index in range(GPUS_PER_NODE):
            (self.dir / f"gpu{index}").symlink_to(os.devnull)
        gpu_nodes = [node for node in NODES if node.startswith("gpu")]
        (self.dir / "gres.conf").write_text(
            f"NodeName={','.join(gpu_nodes)} Name=gpu File={self.dir}/gpu[0-{GPUS_PER_NODE - 1}]\n"
        )
        ctld_port, *node_ports = _free_ports(1 + len(NODES))
        nodes = [
            f"NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port}"
            + (f" Gres=gpu:{GPUS_PER_NODE}" if node in gpu_nodes else "")
            for node, port in zip(NODES, node_ports, strict=True)
        ]
        conf = SLURM_CONF.format(
            name=self.name,
            host=socket.gethostname().split(".")[0],
            ctld_port=ctld_port,
            dir=self.dir,
            nodes="\n".join(nodes),
        )
        self.conf.write_text(conf)
        SYSTEM_CONF.symlink_to(self.conf)
        return ctld_port

    def _start(self, ctld_port: int) -> None:
        """Start the daemons in order, each when the one before answers."""
        self._run(
            "munged",
            "--force",  # takes a folder that only root can enter: root alone uses this cluster
            f"--socket={self.dir}/munge.socket",
            f"--key-file={self.dir}/munge.key",
            f"--seed-file={self.dir}/munge.seed",
            f"--pid-file={self.dir}/run/munged.pid",
            f"--log-file={self.dir}/log/munged.log",
        )
        self._run("slurmctld", "-f", str(self.conf))
        _wait_until(lambda: _is_listening(ctld_port), f"slurmctld answers on port {ctld_port}")
        for node in NODES:
            self._run("slurmd", "-N", node, "-f", str(self.conf))
        all_idle = dict.fromkeys(NODES, "idle")
        _wait_until(lambda: self.node_states() == all_idle, f"{', '.join(NODES)} are idle")

    def _run(self, program: str, *arguments: str) -> None:
        """Run a daemon's start command, which returns once the daemon is in the background."""
        path = shutil.which(program, path=SEARCH_PATH)
        # To a file: the end of a pipe would be waited for as long as the daemon lives.
        with (self.dir / "log" / "start.log").open("a") as log:
            code = subprocess.run(
                [str(path), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            ).returncode
        if code != 0:
            raise ClusterError(f"{program} failed with exit code {code}: see {self.dir}/log")

    def _log_tails(self) -> str:
        tails = ""
        for log in sorted((self.dir / "log").glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            tails += "".join(f"\n{log.name}: {line}" for line in lines)
        return tails


def _linked_cluster() -> Cluster | None:
    """The cluster that /etc/slurm/slurm.conf links to, dangling or not; None if it is not ours."""
    if SYSTEM_CONF.is_symlink() and (target := SYSTEM_CONF.readlink()).name == CONF_NAME:
        return Cluster(target.parent)
    return None


def _open_files(proc: Path) -> Iterator[str]:
    for link in (proc / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed while we looked
            yield str(link.readlink())


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now.

    They are below the range from which the kernel gives ports to outgoing connections, so that
    none of these, SLURM's own included, takes one before its daemon does.
    """
    ports: list[int] = []
    for port in random.sample(range(20_000, 30_000), 1_000):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise ClusterError("no free ports between 20000 and 30000: end some of the programs on them")


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {TIMEOUT:.0f} s in vain until {what}: see the logs")
        time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description="A SLURM cluster of four nodes on this machine.")
    parser.add_argument("action", choices=["up", "down", "status"])
    parser.add_argument("--dir", type=Path, default=DEFAULT_DIR, help="folder of the cluster")
    args = parser.parse_args()
    cluster = Cluster(args.dir)
    try:
        if args.action == "up":
            cluster.up()
        elif args.action == "down":
            cluster.down()
    except ClusterError as error:
        print(f"cluster.py: {error}", file=sys.stderr)
        return 1
    if args.action == "down":
        return 0
    states = cluster.node_states()
    if not states:
        print(f"cluster.py: no cluster in {cluster.dir}: start one with up", file=sys.stderr)
        return 1
    for node, state in states.items():
        print(node, state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
