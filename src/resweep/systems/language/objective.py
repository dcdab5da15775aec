"""Next-token prediction: batches of token sequences, cross-entropy, perplexity."""

import json
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resweep.config.training_section import Training
from resweep.systems.language.batches import TrainBatches, eval_batches
from resweep.systems.language.build import build_model
from resweep.systems.language.folder import CONFIG
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.language_model import LanguageModel
from resweep.systems.language.model_section import Model
from resweep.systems.language.token_data import FIRST_DATA, TokenData
from resweep.training.objective import Objective
from resweep.training.seeds import derive_seed


class LanguageObjective(Objective):
    """A causal language model over prepared tokens; a row is a sequence, (tokens + 1,) of int64.

    Args:
        model, training, initialization: Sections of a resolved configuration.
        data: Its data.
        parent: Folder of the initial weights, if any.
    """

    model: LanguageModel
    loss_name = "train/loss"

    def __init__(
        self,
        model: Model,
        training: Training,
        initialization: Initialization,
        data: TokenData,
        parent: Path | None,
    ):
        self.end_of_text = data.end_of_text
        self.initialization = initialization
        # Opened once: the folder may be prepared again from other text during training.
        self.splits = {name: data.split(name) for name in data.tokens}
        if FIRST_DATA in self.splits:
            self.eval_splits = ("val", FIRST_DATA)
        self.tokenizer = {file.name: file.read_bytes() for file in data.tokenizer_files()}
        self.context_length = model.context_length
        self.eval_sequences = training.eval_sequences
        self.seed = training.seed
        sequences = training.batch_size * training.gradient_accumulation_steps
        self.batches = TrainBatches(self.splits["train"], self.context_length, sequences, self.seed)
        self._reading = threading.Lock()
        self.parent = parent
        self.model = build_model(model, parent)
        self.shapes = self.model.shapes
        self.sample_keys = self.model.sample_keys
        self.step_units = sequences * self.context_length
        self.step_flops = self.model.flops_per_token() * self.step_units

    def initialize(self) -> None:
        """Initialize all weights from `initialization.weight_seed`, or the training's seed."""
        given = self.initialization.weight_seed
        seed = derive_seed(self.seed if given is None else given, "initialization")
        self.model.initialize(self.initialization, torch.Generator().manual_seed(seed))

    def lr_scales(self) -> dict[str, float]:
        """Return muP's learning-rate multipliers."""
        return self.model.lr_scales(self.initialization)

    def recompute_blocks(self, on: bool) -> None:
        """Turn activation checkpointing on or off."""
        self.model.checkpoint_blocks(on)

    def rows_at(self, step: int) -> np.ndarray:
        """Return the sequences of an optimizer step."""
        with self._reading:
            return self.batches.at(step)

    def loss(self, rows: Tensor) -> Tensor:
        """Return the mean cross-entropy, in nats per token."""
        return self.model.loss(rows)

    def measure(self, rows: Tensor) -> Tensor:
        """Return the sum of the cross-entropy, in nats."""
        return self.model.loss(rows, "sum")

    def eval_batches(self, split: str, most_rows: int) -> Sequence[np.ndarray]:
        """Return consecutive sequences from the start of a split."""
        return eval_batches(self.splits[split], self.context_length, most_rows, self.eval_sequences)

    def summarize(self, split: str, sums: Tensor, rows: int) -> dict[str, float]:
        """Return `val/loss` (nats per token) and `val/perplexity`; of other splits the loss."""
        mean = sums.item() / (rows * self.context_length)
        if split != "val":
            return {f"{split}/loss": mean}
        return {"val/loss": mean, "val/perplexity": math.exp(min(mean, 700.0))}

    def interval_metrics(self, step: int) -> dict[str, float]:
        """Return the number of training tokens so far."""
        return {"tokens": step * self.step_units}

    def write(self, weights: Mapping[str, Tensor], folder: Path) -> None:
        """Write a folder that transformers can load, with the tokenizer if the data has one."""
        self.model.write(weights, folder)
        add_tokenizer(self.tokenizer, self.end_of_text, folder)

    def read(self, folder: Path) -> dict[str, Tensor]:
        """Return the parameters of a checkpoint."""
        return self.model.read(folder)

    def read_parent(self) -> dict[str, Tensor] | None:
        """Return the parameters of `run.checkpoint`."""
        return None if self.parent is None else self.model.read_parent(self.parent)


def add_tokenizer(files: Mapping[str, bytes], end_of_text: int, folder: Path) -> None:
    """Add the tokenizer to a model's folder, and the end-of-text token to its config."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for path in (folder / CONFIG, folder / "generation_config.json"):
        if not path.exists():
            continue
        config = json.loads(path.read_text())
        ends = config.get("eos_token_id")
        if end_of_text not in (ends if isinstance(ends, list) else [ends]):
            config |= dict.fromkeys(("bos_token_id", "eos_token_id"), end_of_text)
            path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
