"""Edges and paths of a graph, next token by next token."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resweep.config.training_section import Training
from resweep.systems.language import gpt2_format
from resweep.systems.language.folder import CONFIG
from resweep.systems.language.gpt import GPT
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.pathstar.graph_data import GraphData
from resweep.systems.pathstar.model import language_model
from resweep.systems.pathstar.schedule import Schedule
from resweep.systems.pathstar.sections import Examples, Model, PathStarTraining
from resweep.training.objective import Objective
from resweep.training.seeds import derive_seed

IGNORED = -100  # torch's index of targets that do not count


class PathStarObjective(Objective):
    """A GPT over the examples of a graph; a row is a padded example, (length,) of int64.

    Args:
        model, training: Sections of a resolved configuration.
        data: Its data.
        parent: Folder of the initial weights, if any.
    """

    model: GPT
    loss_name = "train/loss/overall"

    def __init__(
        self, model: Model, training: PathStarTraining, data: GraphData, parent: Path | None
    ):
        assert training.max_steps is not None and training.batch_size is not None, "resolved"
        self.format = data.format
        self.training = training
        self.parent = parent
        rows = [data.rows("edges"), data.rows("paths")]
        self.rows = np.concatenate(rows)
        examples = Examples.of(self.format.data)
        seen = np.repeat([1, examples.repeats], [len(part) for part in rows])
        self.order = np.repeat(np.arange(len(self.rows)), seen)  # of an epoch, before shuffling
        self.val_rows = data.rows("val").astype(np.int64)
        of_edge, of_path = self.format.targets(training.loss_on)
        of_all = of_edge * examples.edges + of_path * examples.paths * examples.repeats
        self.targets_per_row = of_all / examples.train
        self.schedule = Schedule(training, training.max_steps)
        section = language_model(model, self.format)
        self.section = section
        self.model = GPT(section, self.format.vocab_size)
        self.shapes = self.model.shapes
        self.sample_keys = self.model.sample_keys
        self.rows_per_step = training.batch_size * training.gradient_accumulation_steps
        self.step_units = self.rows_per_step
        tokens = self.rows_per_step * section.context_length
        self.step_flops = self.model.flops_per_token() * tokens
        self._order_of = functools.lru_cache(maxsize=2)(self._draw_order)

    def initialize(self) -> None:
        """Initialize all weights from the training's seed."""
        seed = derive_seed(self.training.seed, "initialization")
        self.model.initialize(Initialization(), torch.Generator().manual_seed(seed))

    def recompute_blocks(self, on: bool) -> None:
        """Turn activation checkpointing on or off."""
        self.model.checkpoint_blocks(on)

    def learning_rate(self, step: int, training: Training, max_steps: int) -> float:
        """Return the learning rate of an optimizer step."""
        return self.schedule.rate(step)

    def rows_at(self, step: int) -> np.ndarray:
        """Return the examples of a step; each epoch has all of them, in an order of its own."""
        positions = np.arange(step * self.rows_per_step, (step + 1) * self.rows_per_step)
        epochs, within = np.divmod(positions, len(self.order))
        parts = [(int(epoch), within[epochs == epoch]) for epoch in np.unique(epochs)]
        chosen = np.concatenate([self._order_of(epoch)[part] for epoch, part in parts])
        return self.rows[chosen].astype(np.int64)

    def _draw_order(self, epoch: int) -> np.ndarray:
        random = np.random.Generator(np.random.Philox(key=[self.training.seed, epoch]))
        return random.permutation(self.order)

    def loss(self, rows: Tensor) -> Tensor:
        """Return the cross-entropy per counted token, in nats.

        The sum over the rows is divided by the number of tokens that as many rows have on average
        in an epoch: the mean over the batch's own tokens would depend on how a batch is split.
        """
        total = F.cross_entropy(
            self.model(rows[:, :-1]).flatten(0, 1),
            rows[:, 1:].masked_fill(~self._counted(rows), IGNORED).flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self.training.label_smoothing,
        )
        return total / (len(rows) * self.targets_per_row)

    def _counted(self, rows: Tensor) -> Tensor:
        """Return which tokens after the first one count: (rows, length - 1) of bool."""
        if self.training.loss_on == "all":
            return rows[:, 1:] != self.format.token("PAD")
        position = torch.arange(1, rows.shape[1], device=rows.device)
        is_path = rows[:, :1] == self.format.token("PATH")
        of_path = position >= self.format.prompt
        of_edge = position == self.format.edge_length - 1
        return torch.where(is_path, of_path, of_edge) & (rows[:, 1:] != self.format.token("PAD"))

    def measure(self, rows: Tensor) -> Tensor:
        """Return sums over paths, as one vector of float64.

        Of the loss of all counted tokens; for each token of the path, of its loss (teacher-forced,
        without smoothing) and of how often it is generated; and of how often the path is.
        """
        known = self.format
        logits = self.model(rows[:, :-1])
        losses = F.cross_entropy(
            logits.transpose(1, 2).float(), rows[:, 1:], reduction="none"
        ).double()
        path = slice(known.prompt, known.path_length)
        right = self.generate(rows[:, : known.prompt]) == rows[:, path]
        counted = losses[:, : known.path_length - 1]
        of_path = counted[:, known.prompt - 1 :]
        overall = of_path if self.training.loss_on == "target" else counted
        return torch.cat(
            [
                overall.sum()[None],
                of_path.sum(0),
                right.double().sum(0),
                right.all(1).double().sum()[None],
            ]
        )

    def generate(self, prompts: Tensor) -> Tensor:
        """Return the path after each prompt, greedily: (rows, prompt) -> (rows, l)."""
        from resweep.systems.pathstar.generation import generate

        return generate(self.model, prompts, self.format.data.graph_l)

    def eval_batches(self, split: str, most_rows: int) -> Sequence[np.ndarray]:
        """Return the held-out paths; there are no test paths."""
        if split == "test":
            return []
        rows = self.val_rows[: self.training.eval_sequences]
        return [rows[first : first + most_rows] for first in range(0, len(rows), most_rows)]

    def summarize(self, split: str, sums: Tensor, rows: int) -> dict[str, float]:
        """Return losses in nats per token, and accuracies; the last token has two names."""
        length = self.format.data.graph_l
        overall, losses, right, whole = (sums / rows).split([1, length, length, 1])
        counted = self.format.targets(self.training.loss_on)[1]
        metrics = {
            "val/loss/overall": overall.item() / counted,
            "val/accuracy/path": whole.item(),
        }
        for name, values in (("loss", losses.tolist()), ("accuracy", right.tolist())):
            for token, value in enumerate(values, 1):
                metrics[f"val/{name}/token_{token}"] = value
            metrics[f"val/{name}/token_l"] = values[-1]
        return metrics

    def write(self, weights: Mapping[str, Tensor], folder: Path) -> None:
        """Write a folder that transformers can load as a GPT-2."""
        gpt2_format.write_model(weights, self.section, self.format.vocab_size, folder)
        config = json.loads((folder / CONFIG).read_text())
        for name, special in (("bos", "EOS"), ("eos", "EOS"), ("pad", "PAD")):
            config[f"{name}_token_id"] = self.format.token(special)
        (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")

    def read(self, folder: Path) -> dict[str, Tensor]:
        """Return the parameters of a checkpoint."""
        return gpt2_format.read_weights(self.shapes, folder)

    def read_parent(self) -> dict[str, Tensor] | None:
        """Return the parameters of `run.checkpoint`."""
        return None if self.parent is None else self.read(self.parent)
