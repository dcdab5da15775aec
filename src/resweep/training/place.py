"""Where a learner computes, with whom, and how much fits there."""

from dataclasses import dataclass

import torch

from resweep.training.micro_batch_limit import MicroBatchLimit
from resweep.training.processes import ALONE, Processes


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a learner computes; nothing of it changes what is trained.

    Attributes:
        device: Where to compute.
        processes: Those that train together; each has a learner.
        most_rows: Examples per forward and process that are known to fit; None: unknown.
        limit: Where one of several processes records that they do not fit.
    """

    device: torch.device
    processes: Processes = ALONE
    most_rows: int | None = None
    limit: MicroBatchLimit | None = None
