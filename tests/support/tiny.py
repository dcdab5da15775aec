"""A model, data and runs small enough for a test."""

from pathlib import Path
from typing import Any

import numpy as np

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.data.store import Prepared
from resweep.store.identity import resolve
from resweep.systems.registry import find_system

LANGUAGE = find_system("language").schema
BASE = {
    "model.n_layer": 2,
    "model.n_head": 2,
    "model.n_embd": 16,
    "model.context_length": 16,
    "training.max_steps": 12,
    "training.batch_size": 6,
    "training.learning_rate": 1e-2,
    "training.pct_warmup": 0.25,
    "training.log_steps": 4,
    "training.eval_steps": 6,
    "training.eval_sequences": 8,
    "training.seed": 3,
}


def prepare(folder: Path, tokens: int = 4000) -> Prepared:
    """Tokens of a noisy cycle, in files as the data store writes them; the same everywhere."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"train": tokens, "val": tokens // 4, "test": tokens // 8}
    for start, (name, count) in enumerate(counts.items()):
        position = np.arange(count, dtype=np.int64) + 1000 * start
        noise = (position * position * 2654435761 >> 7) % 5
        ((position * 7 + noise) % 64 + 32).astype("<u2").tofile(folder / f"{name}.bin")
    about: dict[str, Any] = {"digest": "made up", "vocab_size": 257, "tokens": counts}
    return Prepared(folder, about["digest"], about)


def configure(data: Prepared, **changes: Any) -> dict[str, Any]:
    """A resolved configuration; `changes` are flat, with `__` for dots. None: not as in BASE."""
    flat = BASE | {name.replace("__", "."): value for name, value in changes.items()}
    flat = {name: value for name, value in flat.items() if value is not None or name not in BASE}
    full, problems = compose.validate(Composed(nest(flat), {}), "tiny", LANGUAGE)
    assert not problems, problems
    return resolve(full, data)
