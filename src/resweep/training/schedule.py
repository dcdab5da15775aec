"""Learning-rate schedules over the horizon of a run: pure functions of the step."""

import math
from collections.abc import Iterator

from resweep.config.training_section import Training

SAID = 0.1  # of a length: what rounding may change without a word


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


def explain_schedule(
    *,
    warmup_steps: int | None,
    pct_warmup: float | None,
    max_steps: int | None,
    scheduler: str,
    decay_fraction: float,
) -> Iterator[tuple[str, str]]:
    """Yield what is not taken as written, as `(field, sentence)`; the arguments are fields.

    Rounding to whole steps is worth a word where it changes a length by more than a tenth. Nothing
    is known of a run whose length is in epochs.
    """
    if max_steps is None:
        return
    warmup = resolve_warmup(warmup_steps, pct_warmup, max_steps)
    if warmup_steps is not None and warmup_steps > max_steps:
        yield (
            "warmup_steps",
            f"training.warmup_steps = {warmup_steps} is more than max_steps = {max_steps}: the "
            f"warmup is {warmup} steps, and still reaches the peak",
        )
    share = (pct_warmup or 0.0) * max_steps
    if warmup_steps is None and _differs(share, warmup):
        yield (
            "pct_warmup",
            f"training.pct_warmup = {pct_warmup:g} of max_steps = {max_steps} is {share:g} steps, "
            f"rounded to {warmup}",
        )
    if scheduler == "wsd":
        wanted = decay_fraction * max_steps
        decay = resolve_decay(decay_fraction, warmup, max_steps)
        if _differs(wanted, decay):
            yield (
                "decay_fraction",
                f"training.decay_fraction = {decay_fraction:g} of max_steps = {max_steps} is "
                f"{wanted:g} steps, and the decay {decay}",
            )


def _differs(wanted: float, steps: int) -> bool:
    return abs(wanted - steps) > SAID * wanted


def resolve_decay(share: float, warmup: int, max_steps: int) -> int:
    """Return the decay of wsd in steps, rounded: at least one, at most what the warmup leaves."""
    return max(1, min(max(1, max_steps - warmup), round(share * max_steps)))


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
    decay = resolve_decay(training.decay_fraction, warmup, max_steps)
    into = step - (max_steps - decay)
    return peak if into < 0 else peak * (1 - (1 - floor) * into / decay)
