"""Learning by backpropagation: an objective, an engine, and the step reached.

All randomness is derived from (seed, step), without any generator state: a learner restored from a
checkpoint continues bit for bit.

If several processes train together, each has a learner, and methods marked `together` run on all
of them when rank 0 calls them.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resweep.config.training_section import Training
from resweep.data.prefetch import Prefetch
from resweep.training.device import is_shared, matmul_precision, to_device
from resweep.training.dropout import sample_keys
from resweep.training.gradients import SAMPLE_COUNT
from resweep.training.make_engine import make_engine
from resweep.training.objective import Objective
from resweep.training.optimizer import parameter_groups
from resweep.training.place import Place
from resweep.training.processes import together
from resweep.training.seeds import derive_seed
from resweep.training.snapshot import (
    GradientSnapshot,
    read_counters,
    read_extra_state,
    read_moments,
    to_memory,
)

log = logging.getLogger(__name__)


class GradientLearner:
    """Trains one run; `step` optimizer steps are done.

    Args:
        objective: Model, data and loss.
        training: The section; `max_steps` is a number.
        place: Where to compute.

    Attributes:
        micro_batch: Examples per forward and process.
    """

    def __init__(self, objective: Objective, training: Training, place: Place):
        assert training.max_steps is not None, "resolved"
        self.objective = objective
        self.training = training
        self.device = device = place.device
        self.processes = processes = place.processes
        self.limit = place.limit
        self.max_steps = training.max_steps
        self.rows_per_step = training.batch_size * training.gradient_accumulation_steps
        self.rows_here = self.rows_per_step // processes.world_size
        self.first_row = processes.rank * self.rows_here
        limits = (training.max_gpu_batch_size, place.most_rows, self.rows_here)
        self.micro_batch = min(training.batch_size, *(n for n in limits if n))
        self.eval_batch = min(n for n in (training.eval_batch_size, place.most_rows) if n)
        self.prefetch = Prefetch(self._rows_here_at, device, self.max_steps)
        objective.initialize()
        objective.recompute_blocks(training.gradient_checkpointing)
        objective.model.to(device)
        groups = parameter_groups(objective.model, training.weight_decay, objective.lr_scales())
        self.engine = make_engine(objective, groups, training, device, processes)
        self.step = 0
        # Losses since the last line of metrics.jsonl, for this process's rows only. Part of the
        # state, so that a resumed run averages over the same steps.
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.loss_count = 0
        self.grad_norm = torch.zeros((), device=device)
        # Of the last step, for a snapshot.
        self.kept_gradients: dict[str, Tensor] | None = None
        self.kept_samples: dict[str, Tensor] | None = None

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.objective.size

    @property
    def step_units(self) -> int:
        """Units per optimizer step."""
        return self.objective.step_units

    @property
    def step_flops(self) -> float | None:
        """Floating-point operations of an optimizer step."""
        return self.objective.step_flops

    @together
    def train_step(self, keep_gradients: bool = False) -> None:
        """Do one optimizer step on the next batch.

        Args:
            keep_gradients: Keep its gradients for the next snapshot.
        """
        rows = self.prefetch.at(self.step)
        samples = self.training.gradient_samples if keep_gradients else None
        self.kept_samples = self._sample_gradients(samples) if samples else None
        self.loss_sum += self._compute_gradients(rows, self.first_row, self.rows_per_step)
        self.kept_gradients = self._copy_gradients() if keep_gradients else None
        rate = self.objective.learning_rate(self.step, self.training, self.max_steps)
        self.grad_norm = self.engine.update(rate, self.training.grad_clip)
        self.objective.after_step()
        self.loss_count += 1
        self.step += 1

    def _compute_gradients(self, rows: Tensor, first_row: int, count: int) -> Tensor:
        """Compute gradients in micro-batches; halves their size when memory runs out.

        Args:
            rows: (rows, ...), of this process.
            first_row: Position of the first row in the step's batch.
            count: Number of rows that the gradients are averaged over, over all processes.

        Returns:
            The mean losses of the micro-batches, weighted by their shares and summed.

        Raises:
            torch.OutOfMemoryError: A single row does not fit; or, with several processes, a
                micro-batch does not: the others would wait for this one forever.
        """
        while True:
            try:
                return self._accumulate(rows, first_row, count)
            except torch.OutOfMemoryError:
                self._note_limit(self.micro_batch)
                if self.micro_batch == 1 or self.processes.together:
                    raise
            self._free_memory()
            self.micro_batch //= 2
            log.warning("out of memory: continuing with micro-batch size %d", self.micro_batch)

    def _accumulate(self, rows: Tensor, first_row: int, count: int) -> Tensor:
        self.engine.begin()
        dropout = self.objective.sample_keys
        if dropout is not None:
            seed = derive_seed(self.training.seed, "dropout", self.step)
            keys = to_device(sample_keys(seed, first_row, len(rows)), self.device)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        with matmul_precision(self.device, self.training.precision):
            for first in range(0, len(rows), self.micro_batch):
                part = rows[first : first + self.micro_batch]
                if dropout is not None:
                    dropout.set(keys[first : first + self.micro_batch])
                last = first + len(part) == len(rows)
                total += self.engine.accumulate(part, len(part) / count, last)
        return total

    def _note_limit(self, rows: int) -> None:
        """With several processes, record that this many rows did not fit."""
        if self.processes.together and self.limit and not is_shared(self.device):
            self.limit.note(rows // 2)

    def _free_memory(self) -> None:
        """Free the memory of an attempt that did not fit."""
        self.engine.begin()
        if self.training.compile:
            torch.compiler.reset()  # graphs hold memory
        torch.cuda.empty_cache()

    def _sample_gradients(self, count: int) -> dict[str, Tensor]:
        """Return the gradients of `count` equal parts of the step's batch: (count, *shape) each.

        The parts do not depend on the number of processes.
        """
        batch = torch.from_numpy(self.objective.rows_at(self.step)).to(self.device)
        size = self.rows_per_step // count
        here = size // self.processes.world_size
        samples = []
        for sample in range(count):
            first = sample * size + self.processes.rank * here
            self._compute_gradients(batch[first : first + here], first, size)
            samples.append(self._copy_gradients())
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}

    def _copy_gradients(self) -> dict[str, Tensor]:
        """Return the gradients in main memory, float32; empty except on rank 0."""
        gradients = self.engine.gradients()
        if self.processes.rank:
            return {}
        return to_memory({name: gradient.float() for name, gradient in gradients.items()})

    @together
    def interval_metrics(self) -> dict[str, float]:
        """Return metrics of the steps since the last call, and start a new interval."""
        loss = self.processes.sum(self.loss_sum).item() / max(1, self.loss_count)
        metrics = {
            self.objective.loss_name: loss,
            "lr": self.objective.learning_rate(self.step - 1, self.training, self.max_steps),
            "grad_norm": self.grad_norm.item(),
            **self.objective.interval_metrics(self.step),
        }
        self.loss_sum.zero_()
        self.loss_count = 0
        return metrics

    @together
    def evaluate(self) -> dict[str, float]:
        """Return the metrics of the objective's `eval_splits`; changes nothing."""
        metrics: dict[str, float] = {}
        for split in self.objective.eval_splits:
            metrics |= self._evaluate(split)
        return metrics

    @together
    def conclude(self) -> dict[str, float]:
        """Return the metrics of the test split, if it has examples; changes nothing."""
        return self._evaluate("test")

    def _evaluate(self, split: str) -> dict[str, float]:
        batches = self.objective.eval_batches(split, self.eval_batch)
        if not batches:
            return {}
        self.objective.model.eval()
        total = self._sum_over(batches)
        self.objective.model.train()
        rows = sum(map(len, batches))
        return self.objective.summarize(split, self.processes.sum(total).cpu(), rows)

    def _sum_over(self, batches: Sequence[np.ndarray]) -> Tensor:
        """Sum the objective's measurements over this process's share of the batches."""
        rank, world_size = self.processes.rank, self.processes.world_size
        total: Tensor | None = None
        for first in range(0, len(batches), world_size):
            # All processes compute, since sharded models need all of them in each forward.
            mine = batches[min(first + rank, len(batches) - 1)]
            sums = self._measure(to_device(torch.from_numpy(mine), self.device))
            if total is None:
                total = torch.zeros_like(sums, dtype=torch.float64)
            if first + rank < len(batches):
                total += sums
        assert total is not None
        return total

    def _measure(self, batch: Tensor) -> Tensor:
        """Measure a batch, in halves when memory runs out."""
        try:
            with matmul_precision(self.device, self.training.precision):
                return self.engine.measure(batch)
        except torch.OutOfMemoryError:
            self._note_limit(self.eval_batch)
            if len(batch) == 1 or self.processes.together:
                raise
        self._free_memory()
        half = len(batch) // 2
        return self._measure(batch[:half]) + self._measure(batch[half:])

    @together
    def snapshot(self) -> GradientSnapshot:
        """Return the complete state in main memory; only rank 0 gets it."""
        weights, moments = self.engine.state()
        counters = {
            "step": self.step,
            "optimizer_steps": self.engine.optimizer_steps,
            "loss_sum": self.processes.sum(self.loss_sum).item(),
            "loss_count": self.loss_count,
        }
        if self.kept_samples is not None:
            counters[SAMPLE_COUNT] = self.training.gradient_samples or 0
        if self.processes.rank:
            weights, moments = {}, {}
        return GradientSnapshot(
            objective=self.objective,
            weights=to_memory(weights),
            moments=to_memory(moments),
            extra_state=to_memory(self.objective.extra_state()),
            counters=counters,
            gradients=self.kept_gradients,
            gradient_samples=self.kept_samples,
        )

    @together
    def begin(self) -> None:
        """Start from the weights that the configuration names, if it names any."""
        weights = self.objective.read_parent()
        if weights is not None:
            self.engine.load(weights, {}, 0)
        self.objective.begin()

    @together
    def load(self, folder: Path) -> None:
        """Continue from a checkpoint, whichever engine made it."""
        counters = read_counters(folder)
        weights, moments = self.objective.read(folder), read_moments(folder)
        self.engine.load(weights, moments, counters["optimizer_steps"])
        self.objective.load_extra_state(read_extra_state(folder))
        self.step = counters["step"]
        self.loss_sum.fill_(counters["loss_sum"] if self.processes.rank == 0 else 0.0)
        self.loss_count = counters["loss_count"]

    def _rows_here_at(self, step: int) -> np.ndarray:
        return self.objective.rows_at(step)[self.first_row : self.first_row + self.rows_here]
