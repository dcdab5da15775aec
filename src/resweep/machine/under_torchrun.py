"""A training by hand that somebody else's torchrun starts, as the command of a sweep file may say.

    torchrun --nproc-per-node=4 train.py ...
      rank 0        trains with training.processes = 4, and starts these itself (machine/launch.py)
      rank 1, 2, 3  end at once; torchrun waits for rank 0

So the same processes train it as in a study, with the same locks, signals and retries.
"""

from collections.abc import Mapping, MutableMapping

from resweep.errors import ConfigError, Problem
from resweep.machine.signals import end_with_parent

TORCHRUN = "torchrun"
ITS_ID = "TORCHELASTIC_RUN_ID"
ITS_NAMES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
    "ROLE_NAME",
    "ROLE_RANK",
    "ROLE_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)


def is_helper(environment: Mapping[str, str]) -> bool:
    """Whether torchrun started this process beside a rank 0."""
    return ITS_ID in environment and environment["RANK"] != "0"


def torchrun_processes(environment: Mapping[str, str]) -> int | None:
    """Return how many processes torchrun started; None if it started none.

    Raises:
        ConfigError: They are on several machines.
    """
    if ITS_ID not in environment:
        return None
    processes = int(environment["WORLD_SIZE"])
    if int(environment["LOCAL_WORLD_SIZE"]) != processes:
        hint = "starts processes on several machines; set training.nodes in a study instead"
        raise ConfigError(Problem(TORCHRUN, "--nnodes", None, f"{hint} (docs/distributed.md)"))
    return processes


def become_launcher(environment: MutableMapping[str, str]) -> None:
    """Leave torchrun's group, to start processes as if nobody had started this one."""
    if ITS_ID not in environment:
        return
    end_with_parent()  # torchrun cannot signal its processes when it is killed
    for name in [*environment]:
        if name in ITS_NAMES or name.startswith("TORCHELASTIC_"):
            del environment[name]
