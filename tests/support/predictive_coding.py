"""Predictive coding: configurations, prepared images and learners without a store."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.data import store
from resweep.data.store import Prepared
from resweep.paths import Layout
from resweep.store.identity import resolve
from resweep.systems.predictive_coding.learner import PredictiveCodingLearner
from resweep.systems.predictive_coding.network import Decoder
from resweep.systems.predictive_coding.sections import Model
from resweep.systems.registry import find_system
from resweep.training.place import Place

SYSTEM = find_system("predictive_coding")
CPU = torch.device("cpu")
SMALL = {
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
}


def configure(**changes: Any) -> dict[str, Any]:
    """A complete configuration; `changes` are flat, with `__` for dots. None: not as in SMALL."""
    flat = SMALL | {name.replace("__", "."): value for name, value in changes.items()}
    given = nest({name: v for name, v in flat.items() if v is not None or name not in SMALL})
    full, problems = compose.validate(Composed(given, {}), "small", SYSTEM.schema)
    assert not problems, problems
    return full


def prepare(config: dict[str, Any], folder: Path) -> Prepared:
    """Prepare the images of a configuration."""
    return store.ensure(SYSTEM, config["data"], Layout(folder))


def make_learner(folder: Path, **changes: Any) -> PredictiveCodingLearner:
    """Return a learner at step 0 with its weights drawn."""
    config = configure(**changes)
    data = prepare(config, folder)
    learner = SYSTEM.learner(resolve(config, data), data, Place(device=CPU))
    assert isinstance(learner, PredictiveCodingLearner)
    learner.begin()
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
