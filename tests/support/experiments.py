"""Files of an experiment like the documented ones, of four steps."""

from pydoc_data import topics
from typing import Any

from tests.support.home import Home

TRAINING = {
    "batch_size": 4, "max_gpu_batch_size": 2, "gradient_accumulation_steps": 2, "seed": 42,
    "learning_rate": 6e-4, "correct_bias": True, "scheduler": "linear", "warmup_steps": 2,
    "max_steps": 4, "save_steps": 2, "eval_steps": 2, "eval_sequences": 4, "note": "mine",
}  # fmt: skip


def small_config(**run: Any) -> dict[str, Any]:
    """Settings of a training."""
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 16, "context_length": 16, "vocab_size": 300}
    return {
        "model": {"name": "gpt2", **sizes},
        "data": {"dataset_path": "data", "dataset_size": "10M", "bpe_vocab_size": 300},
        "training": dict(TRAINING),
        "run": {"name": "small", "init_type": "gaussian", "checkpoint": None, **run},
    }


def small_sweep() -> dict[str, Any]:
    """A sweep of two trainings, the first of which is that of `small_config`."""
    return {
        "sweep_name": "init_sweep",
        "parameters": {
            "initialization.init_std": {"values": [0.02, 0.01]},
            "run.init_type": {"values": ["gaussian"]},
        },
        "strategy": "grid",
        "num_runs": 3,
    }


def write_corpus(home: Home) -> None:
    """Write the text that they read."""
    documents = [text for _, text in sorted(topics.topics.items())]
    folder = home.path / "data/10M"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("\n\n".join(documents[:20]))
    (folder / "valid.txt").write_text("\n\n".join(documents[20:30]))
