"""Predictive coding: configurations, prepared images and learners without a store."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resweep.systems.predictive_coding.learner import PredictiveCodingLearner
from resweep.systems.predictive_coding.network import Decoder
from resweep.systems.predictive_coding.sections import Model
from tests.support.small_runs import SmallRuns

RUNS = SmallRuns(
    "predictive_coding",
    {
        "model.num_blocks": 2,
        "model.hidden_size": 16,
        "model.num_heads": 2,
        "model.mlp_ratio": 2,
        "inference.steps": 6,
        "training.batch_size": 24,
        "training.max_steps": 20,
        "training.learning_rate": 3e-3,
        "training.log_steps": 4,
        "training.eval_steps": 10,
        "training.eval_sequences": 100,
        "training.seed": 3,
    },
)
SYSTEM, configure, prepare = RUNS.system, RUNS.configure, RUNS.prepare


def make_learner(folder: Path, **changes: Any) -> PredictiveCodingLearner:
    """Return a learner at step 0 with its weights drawn."""
    learner = RUNS.make_learner(folder, **changes)
    assert isinstance(learner, PredictiveCodingLearner)
    return learner


def make_decoder(**fields: Any) -> Decoder:
    """Return a decoder of images of 8 x 8 in float64, with weights drawn."""
    sizes = {"hidden_size": 8, "num_heads": 2, "mlp_ratio": 2.0} | fields
    decoder = Decoder(Model(height=8, width=8, channels=1, **sizes), 4)
    decoder.initialize(torch.Generator().manual_seed(1))
    return decoder.double()


def some_patches(count: int) -> Tensor:
    """Return random images as patches of 4 x 4, in float64."""
    generator = torch.Generator().manual_seed(2)
    return torch.rand(count, 4, 16, generator=generator, dtype=torch.float64)
