"""The size of a model, without building it or loading torch: schedulers ask before a job runs."""

from collections.abc import Mapping
from typing import Any


def count_parameters(config: Mapping[str, Any], vocab_size: int) -> int:
    """Parameters of the model that a `model` section describes, without building it."""
    width, layers = config["n_embd"], config["n_layer"]
    matrices = 12 * width * width
    vectors = (2 + (9 + 2 if config["bias"] else 0)) * width
    last_norm = width * (2 if config["bias"] else 1)
    return (
        (vocab_size + config["context_length"]) * width + layers * (matrices + vectors) + last_norm
    )
