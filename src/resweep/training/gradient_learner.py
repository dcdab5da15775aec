"""A training in memory: model, engine, batches and the step reached.

All randomness is derived from (seed, step), nothing is drawn from a stream that would have to be
saved: a trainer restored from a checkpoint continues bit for bit.

Where several processes train together, each has a trainer and calls the same methods: those marked
`together` are called on all when rank 0 calls them.
"""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resweep.canonical import digest
from resweep.data.prefetch import Prefetch
from resweep.data.store import Prepared
from resweep.systems.language.batches import TrainBatches, eval_batches
from resweep.systems.language.build import build_model
from resweep.systems.language.dropout import sample_keys
from resweep.training.device import is_shared, matmul_precision, to_device
from resweep.training.engine import make_engine
from resweep.training.gradients import SAMPLE_COUNT
from resweep.training.micro_batch_limit import MicroBatchLimit
from resweep.training.optimizer import parameter_groups
from resweep.training.processes import ALONE, Processes, together
from resweep.training.schedule import learning_rate
from resweep.training.snapshot import Snapshot, read_counters, read_moments, to_memory

log = logging.getLogger(__name__)


class Trainer:
    """Trains one run; `step` optimizer steps are done.

    Args:
        config: A resolved configuration (`resweep.store.identity.resolve`): `max_steps` and
            `vocab_size` are numbers.
        data: The prepared data set.
        device: Where to compute.
        processes: Those that train together.
        most_sequences: Sequences per forward and process that are known to fit; None: unknown.
        micro_batch_limit: Where one of several processes leaves word that they do not.

    Attributes:
        micro_batch: Sequences per forward and process.
        parent: Folder of the weights that the run starts from, if it starts from any.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        data: Prepared,
        device: torch.device,
        processes: Processes = ALONE,
        most_sequences: int | None = None,
        micro_batch_limit: MicroBatchLimit | None = None,
    ):
        self.config = config
        self.training: Mapping[str, Any] = config["training"]
        self.data = data
        # Opened once: the folder may be made anew from other text while this trains on.
        self.splits = {name: data.split(name) for name in data.tokens}
        self.device = device
        self.processes = processes
        self.max_steps: int = self.training["max_steps"]
        self.context_length: int = config["model"]["context_length"]
        self.sequences_per_step: int = (
            self.training["batch_size"] * self.training["gradient_accumulation_steps"]
        )
        self.sequences_here = self.sequences_per_step // processes.world_size
        self.first_row = processes.rank * self.sequences_here
        self.micro_batch_limit = micro_batch_limit
        limits = (self.training["max_gpu_batch_size"], most_sequences, self.sequences_here)
        self.micro_batch = min(self.training["batch_size"], *(n for n in limits if n))
        self.eval_batch: int = min(
            n for n in (self.training["eval_batch_size"], most_sequences) if n
        )
        seed = self.training["seed"]
        order = (self.splits["train"], self.context_length, self.sequences_per_step, seed)
        self.batches = TrainBatches(*order)
        self.sample_batches = TrainBatches(*order)  # the other one belongs to the prefetch's thread
        self.prefetch = Prefetch(self._rows_at, device, self.max_steps)
        checkpoint = config["run"]["checkpoint"]
        self.parent = None if checkpoint is None else Path(checkpoint)
        self.model = build_model(config["model"], self.parent)
        start = config["initialization"]
        weight_seed = seed if start["weight_seed"] is None else start["weight_seed"]
        generator = torch.Generator().manual_seed(derive_seed(weight_seed, "initialization"))
        self.model.initialize(start, generator)
        self.model.checkpoint_blocks(self.training["gradient_checkpointing"])
        self.model.to(device)
        lr_scales = self.model.lr_scales(start)
        groups = parameter_groups(self.model, self.training["weight_decay"], lr_scales)
        self.engine = make_engine(self.model, groups, self.training, device, processes)
        self.step = 0
        # Losses since the last line of metrics.jsonl: part of the state, so that a resumed run
        # averages over the same steps. Of this process's sequences alone, until they are read.
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.loss_count = 0
        self.grad_norm = torch.zeros((), device=device)
        # Of the step just done, for a snapshot.
        self.kept_gradients: dict[str, Tensor] | None = None
        self.kept_samples: dict[str, Tensor] | None = None

    @property
    def tokens(self) -> int:
        """Training tokens seen."""
        return self.step * self.sequences_per_step * self.context_length

    @together
    def train_step(self, keep_gradients: bool = False) -> None:
        """Do one optimizer step on the next batch.

        Args:
            keep_gradients: Keep its gradients for the next snapshot.
        """
        rows = self.prefetch.at(self.step)
        samples = self.training["gradient_samples"] if keep_gradients else None
        self.kept_samples = self._sample_gradients(samples) if samples else None
        self.loss_sum += self._compute_gradients(rows, self.first_row, self.sequences_per_step)
        self.kept_gradients = self._copy_gradients() if keep_gradients else None
        rate = learning_rate(self.step, self.training, self.max_steps)
        self.grad_norm = self.engine.update(rate, self.training["grad_clip"])
        self.loss_count += 1
        self.step += 1

    def _compute_gradients(self, rows: Tensor, first_row: int, sequences: int) -> Tensor:
        """Go through rows of this process in micro-batches, smaller ones where memory is short.

        Args:
            rows: (rows, tokens + 1)
            first_row: The place of the first one in the step's batch.
            sequences: How many the gradients are a mean over, all processes together.

        Returns:
            The sum of their mean losses by their shares.

        Raises:
            torch.OutOfMemoryError: A single sequence does not fit; or, where there are other
                processes, a micro-batch: they would wait for this one forever.
        """
        while True:
            try:
                return self._accumulate(rows, first_row, sequences)
            except torch.OutOfMemoryError:
                self._note_shortage(self.micro_batch)
                if self.micro_batch == 1 or self.processes.together:
                    raise
            self._free_memory()
            self.micro_batch //= 2
            log.warning("out of memory: goes on with %d sequences a forward", self.micro_batch)

    def _accumulate(self, rows: Tensor, first_row: int, sequences: int) -> Tensor:
        self.engine.begin()
        seed = derive_seed(self.training["seed"], "dropout", self.step)
        keys = to_device(sample_keys(seed, first_row, len(rows)), self.device)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        with matmul_precision(self.device, self.training["precision"]):
            for first in range(0, len(rows), self.micro_batch):
                part = rows[first : first + self.micro_batch]
                self.model.sample_keys.set(keys[first : first + self.micro_batch])
                last = first + len(part) == len(rows)
                total += self.engine.accumulate(part, len(part) / sequences, last)
        return total

    def _note_shortage(self, sequences: int) -> None:
        """Where there are other processes, leave word that so many sequences did not fit."""
        if self.processes.together and self.micro_batch_limit and not is_shared(self.device):
            self.micro_batch_limit.note(sequences // 2)

    def _free_memory(self) -> None:
        """Give back what an attempt that did not fit has left behind."""
        self.engine.begin()
        if self.training["compile"]:
            torch.compiler.reset()  # graphs keep their memory, and code of sizes that do not fit
        torch.cuda.empty_cache()

    def _sample_gradients(self, count: int) -> dict[str, Tensor]:
        """Return the gradients of `count` equal parts of the step's batch: (count, *shape) each.

        A part has the same sequences however many processes share it.
        """
        batch = torch.from_numpy(self.sample_batches.at(self.step)).to(self.device)
        size = self.sequences_per_step // count
        here = size // self.processes.world_size
        samples = []
        for sample in range(count):
            first = sample * size + self.processes.rank * here
            self._compute_gradients(batch[first : first + here], first, size)
            samples.append(self._copy_gradients())
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}

    def _copy_gradients(self) -> dict[str, Tensor]:
        """Return the gradients in main memory, float32; of rank 0 alone they are of use."""
        gradients = self.engine.gradients()
        if self.processes.rank:
            return {}
        return to_memory({name: gradient.float() for name, gradient in gradients.items()})

    @together
    def interval_metrics(self) -> dict[str, float]:
        """Return metrics of the steps since the last call, and start a new interval."""
        metrics = {
            "train/loss": self.processes.sum(self.loss_sum).item() / max(1, self.loss_count),
            "lr": learning_rate(self.step - 1, self.training, self.max_steps),
            "grad_norm": self.grad_norm.item(),
            "tokens": self.tokens,
        }
        self.loss_sum.zero_()
        self.loss_count = 0
        return metrics

    @together
    def evaluate(self, split: str) -> dict[str, float]:
        """Return `{split}/loss` (nats per token) and `{split}/perplexity`; changes nothing."""
        batches = eval_batches(
            self.splits[split],
            self.context_length,
            self.eval_batch,
            self.training["eval_sequences"],
        )
        self.model.eval()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        rank, world_size = self.processes.rank, self.processes.world_size
        for first in range(0, len(batches), world_size):
            # All processes compute, since shards of a model can only be gathered together.
            mine = batches[min(first + rank, len(batches) - 1)]
            loss = self._eval_loss(to_device(torch.from_numpy(mine), self.device))
            if first + rank < len(batches):
                total += loss
        self.model.train()
        mean = self.processes.sum(total).item() / (sum(map(len, batches)) * self.context_length)
        return {f"{split}/loss": mean, f"{split}/perplexity": math.exp(min(mean, 700.0))}

    def _eval_loss(self, batch: Tensor) -> Tensor:
        """Return the sum of the losses of a batch, in halves where memory is short."""
        try:
            with matmul_precision(self.device, self.training["precision"]):
                return self.engine.eval_loss(batch)
        except torch.OutOfMemoryError:
            self._note_shortage(self.eval_batch)
            if len(batch) == 1 or self.processes.together:
                raise
        self._free_memory()
        half = len(batch) // 2
        return self._eval_loss(batch[:half]) + self._eval_loss(batch[half:])

    @together
    def snapshot(self) -> Snapshot:
        """Return all of the training as it is now, in main memory; on rank 0 of use."""
        weights, moments = self.engine.state()
        counters = {
            "step": self.step,
            "optimizer_steps": self.engine.optimizer_steps,
            "loss_sum": self.processes.sum(self.loss_sum).item(),
            "loss_count": self.loss_count,
        }
        if self.kept_samples is not None:
            counters[SAMPLE_COUNT] = self.training["gradient_samples"]
        if self.processes.rank:
            weights, moments = {}, {}
        return Snapshot(
            self.model,
            self.data,
            to_memory(weights),
            to_memory(moments),
            counters,
            self.kept_gradients,
            self.kept_samples,
        )

    @together
    def begin(self) -> None:
        """Start from the weights that the configuration names, if it names any; optimizer anew."""
        if self.parent is not None:
            self.engine.load(self.model.read_parent(self.parent), {}, 0)

    @together
    def load(self, folder: Path) -> None:
        """Continue from a checkpoint, whichever engine made it."""
        counters = read_counters(folder)
        self.engine.load(self.model.read(folder), read_moments(folder), counters["optimizer_steps"])
        self.step = counters["step"]
        self.loss_sum.fill_(counters["loss_sum"] if self.processes.rank == 0 else 0.0)
        self.loss_count = counters["loss_count"]

    def _rows_at(self, step: int) -> Any:
        rows = self.batches.at(step)
        return rows[self.first_row : self.first_row + self.sequences_here]


def derive_seed(*parts: Any) -> int:
    """Return a seed below 2^63 that depends on all parts."""
    return int(digest(list(parts), 16), 16) >> 1
