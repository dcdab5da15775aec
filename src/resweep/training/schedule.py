"""Learning-rate schedules over the horizon of a run: pure functions of the step."""

import math

from resweep.config.training_section import Training


def resolve_warmup(steps: int | None, share: float | None, max_steps: int) -> int:
    """Return the warmup in steps, at most the horizon; fractions are rounded.

    Args:
        steps: `training.warmup_steps`, which takes precedence.
        share: `training.pct_warmup`.
        max_steps: The horizon.
    """
    if steps is not None:
        return min(steps, max_steps)
    return round((share or 0.0) * max_steps)


def learning_rate(step: int, training: Training, max_steps: int) -> float:
    """Return the learning rate of optimizer step `step` (from 0) in a run of `max_steps`.

    Linear warmup reaches the peak at its last step. After it, with p the completed fraction of the
    rest and r = min_lr_ratio: constant 1, linear 1 - (1 - r) p, cosine r + (1 - r) (1 + cos pi p)
    / 2, wsd (warmup-stable-decay, Hu et al. 2024, section 4) 1 until the last `decay_fraction` of
    the run, then linear to r.
    """
    peak = training.learning_rate
    warmup = resolve_warmup(training.warmup_steps, training.pct_warmup, max_steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    rest = max(1, max_steps - warmup)
    done = (step - warmup) / rest
    floor = training.min_lr_ratio
    if training.scheduler == "constant":
        return peak
    if training.scheduler == "linear":
        return peak * (1 - (1 - floor) * done)
    if training.scheduler == "cosine":
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))
    decay = max(1, min(rest, round(training.decay_fraction * max_steps)))
    into = step - (max_steps - decay)
    return peak if into < 0 else peak * (1 - (1 - floor) * into / decay)
