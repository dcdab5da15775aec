"""A training in memory: model, optimizer, batches and the step reached.

All randomness is derived from (seed, step), nothing is drawn from a stream that would have to be
saved: a trainer restored from a checkpoint continues bit for bit.
"""

import json
import math
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from resweep.canonical import digest
from resweep.data.batches import TrainBatches, eval_batches
from resweep.data.store import Prepared
from resweep.errors import ConfigError, Problem
from resweep.model.gpt import GPT
from resweep.model.gpt2_format import load_weights, save_model
from resweep.training.optimizer import AdamW, clip_gradients
from resweep.training.schedule import learning_rate

OPTIMIZER = "optimizer.safetensors"
STATE = "trainer.json"


class Trainer:
    """Trains one run; `step` optimizer steps are done.

    Args:
        config: A resolved configuration (`resweep.store.identity.resolve`): `max_steps` and
            `vocab_size` are numbers.
        data: The prepared data set.
        device: Where to compute.
    """

    def __init__(self, config: Mapping[str, Any], data: Prepared, device: torch.device):
        self.config = config
        self.training: Mapping[str, Any] = config["training"]
        self.data = data
        # Opened once: the folder may be made anew from other text while this trains on.
        self.splits = {name: data.split(name) for name in data.tokens}
        self.device = device
        self.max_steps: int = self.training["max_steps"]
        self.context_length: int = config["model"]["context_length"]
        self.sequences_per_step: int = (
            self.training["batch_size"] * self.training["gradient_accumulation_steps"]
        )
        seed = self.training["seed"]
        self.batches = TrainBatches(
            self.splits["train"], self.context_length, self.sequences_per_step, seed
        )
        self.model = GPT(config["model"], config["model"]["vocab_size"])
        generator = torch.Generator().manual_seed(derive_seed(seed, "initialization"))
        self.model.initialize(config["initialization"]["init_std"], generator)
        self.model.to(device)
        self.parameters = list(self.model.parameters())
        self.optimizer = AdamW(
            self.model,
            beta1=self.training["beta1"],
            beta2=self.training["beta2"],
            eps=self.training["adam_eps"],
            weight_decay=self.training["weight_decay"],
        )
        self.loss = torch.compile(self.model.loss) if self.training["compile"] else self.model.loss
        self.step = 0
        # Losses since the last line of metrics.jsonl: part of the state, so that a resumed run
        # averages over the same steps.
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.loss_count = 0
        self.grad_norm = torch.zeros((), device=device)

    @property
    def tokens(self) -> int:
        """Training tokens seen."""
        return self.step * self.sequences_per_step * self.context_length

    def train_step(self) -> None:
        """Do one optimizer step on the next batch, in micro-batches that fit the device."""
        sequences = torch.from_numpy(self.batches.at(self.step)).to(self.device, non_blocking=True)
        micro = self._micro_batch()
        self.optimizer.zero_grad()
        for first in range(0, self.sequences_per_step, micro):
            part = sequences[first : first + micro]
            self._seed_dropout(first)
            with self._autocast():
                loss = self.loss(part) * (len(part) / self.sequences_per_step)
            loss.backward()
            self.loss_sum += loss.detach()
        self.grad_norm = clip_gradients(self.parameters, self.training["grad_clip"])
        self.optimizer.step(learning_rate(self.step, self.training, self.max_steps))
        self.loss_count += 1
        self.step += 1

    def interval_metrics(self) -> dict[str, float]:
        """Return metrics of the steps since the last call, and start a new interval."""
        metrics = {
            "train/loss": self.loss_sum.item() / max(1, self.loss_count),
            "lr": learning_rate(self.step - 1, self.training, self.max_steps),
            "grad_norm": self.grad_norm.item(),
            "tokens": self.tokens,
        }
        self.loss_sum.zero_()
        self.loss_count = 0
        return metrics

    @torch.no_grad()
    def evaluate(self, split: str) -> dict[str, float]:
        """Return `{split}/loss` (nats per token) and `{split}/perplexity`; changes nothing."""
        self.model.eval()
        total, count = 0.0, 0
        batches = eval_batches(
            self.splits[split],
            self.context_length,
            self.training["eval_batch_size"],
            self.training["eval_sequences"],
        )
        for batch in batches:
            with self._autocast():
                loss = self.model.loss(torch.from_numpy(batch).to(self.device), reduction="sum")
            total += loss.item()
            count += batch.shape[0] * self.context_length
        self.model.train()
        mean = total / count
        return {f"{split}/loss": mean, f"{split}/perplexity": math.exp(min(mean, 700.0))}

    def save(self, folder: Path) -> None:
        """Write all of the training into an existing folder: weights, optimizer, counters."""
        save_model(self.model, self.config["model"], folder)
        save_file(self.optimizer.state(), folder / OPTIMIZER)
        state = {
            "step": self.step,
            "optimizer_steps": self.optimizer.steps,
            "loss_sum": self.loss_sum.item(),
            "loss_count": self.loss_count,
        }
        (folder / STATE).write_text(json.dumps(state, indent=2) + "\n")

    def load(self, folder: Path) -> None:
        """Continue from what `save` wrote."""
        state = json.loads((folder / STATE).read_text())
        load_weights(self.model, folder)
        self.optimizer.load_state(load_file(folder / OPTIMIZER), state["optimizer_steps"])
        self.step = state["step"]
        self.loss_sum.fill_(state["loss_sum"])
        self.loss_count = state["loss_count"]

    def _micro_batch(self) -> int:
        limit = self.training["max_gpu_batch_size"] or self.training["batch_size"]
        return min(limit, self.training["batch_size"])

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.training["precision"] == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _seed_dropout(self, first: int) -> None:
        """Dropout draws from torch's global generator: seed it for exactly this micro-batch."""
        if self.config["model"]["dropout"] > 0:
            torch.manual_seed(derive_seed(self.training["seed"], "dropout", self.step, first))


def derive_seed(*parts: Any) -> int:
    """Return a seed below 2^63 that depends on all parts."""
    return int(digest(list(parts), 16), 16) >> 1


def pick_device(name: str = "auto") -> torch.device:
    """Return the device to train on, set up to give equal results on equal devices.

    On a CPU one thread computes: several trials share a machine better than threads do.

    Raises:
        ConfigError: There is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        mend = "should be auto, cpu, cuda or cuda:N"
        raise ConfigError(Problem("command line", "--device", name, mend))
    if name != "cpu" and int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
        mend = f"is not there: torch finds {torch.cuda.device_count()} GPUs"
        raise ConfigError(Problem("command line", "--device", name, mend))
    if name.startswith("cuda"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first matmul
        torch.use_deterministic_algorithms(True, warn_only=True)
    else:
        torch.set_num_threads(1)
    return torch.device(name)
