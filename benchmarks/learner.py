"""Learners of the language model, and the plan that the loop trains them by."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.configuration import LANGUAGE
from resweep.config.early_stopping_section import EarlyStopping
from resweep.data.store import Prepared
from resweep.store.identity import resolve
from resweep.training.gradient_learner import GradientLearner
from resweep.training.loop import LoopPlan
from resweep.training.monitors import Monitors, StopRules
from resweep.training.place import Place


def as_data(folder: Path, vocab_size: int, counts: Mapping[str, int]) -> Prepared:
    """Return a folder of token files as prepared data.

    Args:
        folder: Holds `{split}.bin` for each split.
        vocab_size: Number of different tokens there can be.
        counts: Tokens per split.
    """
    about = {"digest": "made up", "vocab_size": vocab_size, "tokens": dict(counts)}
    return Prepared(folder, "made up", about)


def build_learner(
    config: Mapping[str, Any], data: Prepared, device: torch.device
) -> GradientLearner:
    """Return a learner at step 0.

    Args:
        config: Sections; fields that they leave out have their defaults.
        data: Its tokens.
        device: Where to train.
    """
    resolved = resolve(config, data)
    learner = LANGUAGE.learner(resolved, data, Place(device=device))
    assert isinstance(learner, GradientLearner)
    return learner


def loop_plan(learner: GradientLearner, until: int) -> LoopPlan:
    """Return how the loop trains a learner up to a step."""
    return LoopPlan(
        training=learner.training,
        until=until,
        device=learner.device,
        unit=LANGUAGE.unit,
        metric=LANGUAGE.metric,
        training_loss=LANGUAGE.training_loss,
    )


def no_monitors() -> Monitors:
    """Return monitors of which none is on."""
    return Monitors(
        StopRules(
            settings=EarlyStopping(),
            training_loss=LANGUAGE.training_loss,
            metric=LANGUAGE.metric,
            goal="minimize",
        )
    )
