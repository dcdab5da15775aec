"""Learning-rate schedules over the horizon of a run: pure functions of the step."""

import math
from collections.abc import Mapping
from typing import Any


def warmup_steps(training: Mapping[str, Any], max_steps: int) -> int:
    """Resolve the warmup of a `training` section to steps (rounded to the nearest)."""
    if training["warmup_steps"] is not None:
        return min(int(training["warmup_steps"]), max_steps)
    return round((training["pct_warmup"] or 0.0) * max_steps)


def learning_rate(step: int, training: Mapping[str, Any], max_steps: int) -> float:
    """Return the learning rate of optimizer step `step` (from 0) in a run of `max_steps`.

    Linear warmup reaches the peak at its last step. After it, with p the share of the rest that is
    done and r = min_lr_ratio: constant 1, linear 1 - (1 - r) p, cosine r + (1 - r) (1 + cos pi p)
    / 2, wsd (warmup-stable-decay, Hu et al. 2024, section 4) 1 until the last `decay_fraction` of
    the run, then linear to r.
    """
    peak, warmup = training["learning_rate"], warmup_steps(training, max_steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    rest = max(1, max_steps - warmup)
    done = (step - warmup) / rest
    floor = training["min_lr_ratio"]
    kind = training["scheduler"]
    if kind == "constant":
        return peak
    if kind == "linear":
        return peak * (1 - (1 - floor) * done)
    if kind == "cosine":
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))
    decay = max(1, min(rest, round(training["decay_fraction"] * max_steps)))
    into = step - (max_steps - decay)
    return peak if into < 0 else peak * (1 - (1 - floor) * into / decay)
