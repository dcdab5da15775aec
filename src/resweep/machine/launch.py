"""Start the processes of one training, and wait for the result.

    train.py  (this process: no torch, waits)
      torchrun  (of several nodes: srun, and a torchrun on each)
        train.py, rank 0      the whole training job, as if it were alone
        train.py, rank 1...   what rank 0 calls (resweep.training.mirror)

Rank 0 writes its process id and its answer into a folder made for the launch. Signals are sent from
here only to rank 0: it saves, and stops the others.
"""

import contextlib
import logging
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import SIGTERM

from resweep.config.training_section import Training
from resweep.errors import ConfigError, Problem, ResweepError
from resweep.files import write_atomically
from resweep.json_files import read_json, write_json
from resweep.machine.answer import ANSWER, Answer, trained
from resweep.machine.signals import end_with_parent
from resweep.plurals import counted

FOLDER = "RESWEEP_LAUNCH"  # tells the processes where the answer goes
POLL_SECONDS = 0.2
# Rank 0 saves within a scheduler's grace period; torchrun must not kill it before that, but must
# not wait forever for one that hangs because another died.
GRACE_SECONDS = 600
SIGNALS = "SIGTERM,SIGINT,SIGUSR1,SIGHUP,SIGQUIT"
SCRIPT = Path("workflow", "scripts", "train.py")


log = logging.getLogger(__name__)


class Crashed(ResweepError):
    """The processes of a training ended without an answer."""


def is_wanted(training: Training) -> bool:
    """Whether a training needs torchrun: several processes, or DeepSpeed in one."""
    return training.processes > 1 or training.distributed.startswith("zero")


def processes_of_a_node(training: Training) -> int:
    """Return how many of a training's processes are on each machine."""
    return training.processes // training.nodes


def under_torchrun(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun started this process, for a launch of ours."""
    return FOLDER in environment and "RANK" in environment


def command(
    training: Training,
    arguments: Sequence[str],
    environment: Mapping[str, str] = os.environ,
) -> list[str]:
    """Return the command that starts the processes, each with these arguments of train.py.

    Raises:
        ConfigError: Several nodes without a SLURM job.
    """
    nodes = training.nodes
    per_node = processes_of_a_node(training)
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={per_node}"]
    torchrun += [f"--signals-to-handle={SIGNALS}", f"--shutdown-timeout={GRACE_SECONDS}"]
    script = ["--", str(SCRIPT), *arguments]  # otherwise torchrun reads --log as its own option
    if nodes == 1:
        return [*torchrun, "--standalone", *script]
    if "SLURM_JOB_ID" not in environment:
        hint = "needs a SLURM job on these nodes: run snakemake --profile profiles/slurm"
        raise ConfigError(Problem("trial", "training.nodes", nodes, hint))
    # The first node is this one: srun counts from it, and so is rank 0 where its signals come from.
    rendezvous = [f"--nnodes={nodes}", f"--master-addr={socket.gethostname()}"]
    rendezvous += [f"--master-port={_free_port()}"]
    line = shlex.join([*torchrun, *rendezvous, *script])
    line = line.replace(" --nproc", ' --node-rank="$SLURM_NODEID" --nproc', 1)
    return [
        *("srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"),
        *("--kill-on-bad-exit=1", "--wait=0", "bash", "-c", f"exec {line}"),
    ]


def launch(
    training: Training,
    arguments: Sequence[str],
    interrupted: Callable[[], bool],
) -> bool:
    """Start the processes of a training, and wait for them.

    Args:
        training: The `training` section of its configuration.
        arguments: Those of train.py; files in them must exist on all nodes.
        interrupted: Whether to save and stop.

    Returns:
        Whether anything was trained, according to rank 0.

    Raises:
        Crashed: They ended without an answer.
        ResweepError: What rank 0 raised.
    """
    with tempfile.TemporaryDirectory(prefix="resweep-") as name:
        folder = Path(name)
        started = command(training, arguments)
        processes = counted(training.processes, "process", "processes")
        log.info("starting %s (%s)", processes, training.distributed)
        environment = {**os.environ, FOLDER: name}
        process = subprocess.Popen(
            started, env=environment, start_new_session=True, preexec_fn=end_with_parent
        )
        try:
            signalled = False
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
                if interrupted() and not signalled:
                    signalled = _signal(folder)
        finally:
            if process.poll() is None:  # an error here: nothing waits for them any more
                process.terminate()
                process.wait()
        return _read_answer(folder, process.returncode)


def _signal(folder: Path) -> bool:
    """Signal rank 0 to save and stop; returns whether it has started yet."""
    try:
        os.kill(int((folder / "pid").read_text()), SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True


def _read_answer(folder: Path, code: int) -> bool:
    try:
        answer: Answer = read_json(folder / "answer.json", "run the same command again", ANSWER)
    except FileNotFoundError:
        raise Crashed(f"the processes of the training exited with code {code}") from None
    return trained(answer)


class RankZero:
    """Rank 0's side: writes its process id, and its answer.

    Args:
        environment: Names the folder of the launch, if there is one.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ):
        self.folder = Path(environment[FOLDER]) if FOLDER in environment else None
        if self.folder is not None:
            write_atomically(self.folder / "pid", str(os.getpid()))

    def answer(self, answer: Answer) -> None:
        """Write the answer."""
        if self.folder is not None:
            write_json(self.folder / "answer.json", answer)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
