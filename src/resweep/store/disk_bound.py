"""How much of the disk a training takes at most: its checkpoints and its metrics in the run store.

    while it trains    what its policy keeps, the two newest, and the one that is being written
    once it has ended  what its policy keeps, and its last one, until its phase is ranked

Checkpoints in between are saved every `save_steps`, else once a minute; all but those of the policy
are deleted when newer ones are there (`resweep.store.retention`).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from resweep.config.training_section import Training
from resweep.store.retention import Policy
from resweep.systems.values import Bounds
from resweep.training.metrics import Intervals

NEWEST = 3  # two that are whole, and one that is being written
TIMING_BYTES, LOG_BYTES = 256, 128  # of a line of timing.jsonl, and of train.log
RUN_BYTES = 32 * 1024  # config.yaml, record.json, records, locks


@dataclass(frozen=True)
class DiskBound:
    """Bytes that a training takes at most.

    Attributes:
        training: While it trains, and until its phase is ranked.
        weights: Of its checkpoints once it has ended.
        metrics: Of its metrics and other small files, which always stay.
    """

    training: int
    weights: int
    metrics: int


def find_disk_bound(
    training: Training,
    bounds: Bounds,
    begin: int,
    until: int,
    policies: Iterable[Policy] = (),
) -> DiskBound:
    """Return what a training takes at most.

    Args:
        training: Its section.
        bounds: Of its system.
        begin, until: The steps that it trains.
        policies: Of other trials of the same run.
    """
    wanted = {Policy.of(training), *policies}
    kept = sum(_kept_at_most(policy, begin, until) for policy in wanted)
    steps = until - begin
    lines = len(Intervals(training.log_steps, training.eval_steps, until).steps(until))
    metrics = lines * bounds.line_bytes
    checkpoint = bounds.checkpoint_bytes + bounds.gradient_bytes + metrics
    small = metrics + lines * (TIMING_BYTES + LOG_BYTES) + RUN_BYTES
    return DiskBound(
        training=min(kept + NEWEST, steps) * checkpoint + small,
        weights=min(kept + 1, steps) * checkpoint,
        metrics=small,
    )


def _kept_at_most(policy: Policy, begin: int, until: int) -> int:
    """Return how many checkpoints of a training a policy keeps besides its last one."""
    kept = policy.best or 0
    if policy.last is not None:
        return kept + policy.last - 1
    if policy.every is not None:
        # Where a monitor ends it just before a multiple, each of those before stays.
        kept += math.ceil(until / policy.every) - 1 - begin // policy.every
    return kept
