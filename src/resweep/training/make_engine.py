"""The choice of engine."""

import logging

import torch

from resweep.config.training_section import Training
from resweep.training.engine import Ddp, Engine, OneProcess
from resweep.training.objective import Objective
from resweep.training.optimizer import Group
from resweep.training.processes import Processes

log = logging.getLogger(__name__)


def make_engine(
    objective: Objective,
    groups: list[Group],
    training: Training,
    device: torch.device,
    processes: Processes,
) -> Engine:
    """Return the engine that `training.distributed` names."""
    if training.cuda_graphs and device.type != "cuda" and processes.rank == 0:
        log.warning("training.cuda_graphs has no effect on a CPU")
    kind = training.distributed
    if kind == "none" or (kind == "ddp" and not processes.together):
        return OneProcess(objective, groups, training, device, processes)
    if kind == "ddp":
        return Ddp(objective, groups, training, device, processes)
    from resweep.training.zero import Zero  # deepspeed takes seconds to import

    return Zero(objective, groups, training, device, processes)
