"""How gradients are computed and applied: by one process, or by several on parts of each batch.

    accumulate(part, ...)   forward and backward of a micro-batch    once a micro-batch
    gradients()             the step's gradients, whole              where they are wanted
    update(lr, max_norm)    clip, and apply                          once a step

Engines differ in what each process holds: all of it (`OneProcess`, `Ddp`), or a shard of moments,
gradients and parameters (`resweep.training.zero`). What goes in and out is always whole, so that a
checkpoint tells nothing of the engine, and any other may go on from it.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from resweep.config.training_section import Training
from resweep.training.objective import Objective
from resweep.training.optimizer import AdamW, Group, clip_gradients
from resweep.training.processes import Processes


class Engine(Protocol):
    """One process's share of the work; all processes call the same methods at the same time."""

    @property
    def optimizer_steps(self) -> int:
        """Updates so far."""

    def begin(self) -> None:
        """Drop the gradients of the step before."""

    def accumulate(self, part: Tensor, share: float, last: bool) -> Tensor:
        """Add the gradients of a micro-batch.

        Args:
            part: (rows, ...) of this process.
            share: Its rows over those of the whole step, all processes together.
            last: Whether it is this process's last one of the step.

        Returns:
            Its mean loss times `share`, detached.
        """

    def gradients(self) -> dict[str, Tensor]:
        """Return the step's gradients by name, whole, before clipping; on rank 0 of use."""

    def update(self, learning_rate: float, max_norm: float) -> Tensor:
        """Clip to a global norm (0: not at all) and apply; returns the norm before clipping."""

    def measure(self, batch: Tensor) -> Tensor:
        """Return the objective's sums over a batch, without gradients."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return parameters and moments by name, whole; on rank 0 of use."""

    def load(
        self, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor], steps: int
    ) -> None:
        """Restore what `state` gave; without moments the optimizer starts from scratch."""


class LossModule(nn.Module):
    """A model whose forward is its objective: what engines wrap."""

    def __init__(self, objective: Objective, training: Training, device: torch.device):
        super().__init__()
        self.model = objective.model
        self._type = device.type
        self._bf16 = training.precision == "bf16"
        self._measure = objective.measure
        self._loss: Any = objective.loss
        if training.compile:
            # Micro-batches have one size, and at most one other at the end: each gets its own code.
            mode = "reduce-overhead" if has_graphs(training, device) else None
            self._loss = torch.compile(objective.loss, dynamic=False, mode=mode)

    def forward(self, rows: Tensor, evaluating: bool = False) -> Tensor:
        """(rows, ...) -> loss, or the sums of an evaluation, which are not compiled."""
        with self._autocast():
            result: Tensor = self._measure(rows) if evaluating else self._loss(rows)
        return result

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._bf16:
            return torch.autocast(self._type, dtype=torch.bfloat16)
        return nullcontext()


def has_graphs(training: Training, device: torch.device) -> bool:
    """Whether CUDA graphs are wanted, and can be had."""
    return training.cuda_graphs and device.type == "cuda"


class OneProcess:
    """Everything in this process."""

    def __init__(
        self,
        objective: Objective,
        groups: list[Group],
        training: Training,
        device: torch.device,
        processes: Processes,
    ):
        self.model = model = objective.model
        self.processes = processes
        self.plain = LossModule(objective, training, device)
        self.module = self.wrap(self.plain, device)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.graphs = has_graphs(training, device)
        self.taken = False  # whether this step's gradients are apart from the graph
        self.optimizer = AdamW(
            model,
            groups,
            beta1=training.beta1,
            beta2=training.beta2,
            eps=training.adam_eps,
        )

    def wrap(self, module: LossModule, device: torch.device) -> Any:
        """Return what is trained through, in place of the module itself."""
        return module

    @property
    def optimizer_steps(self) -> int:
        """Updates so far."""
        return self.optimizer.steps

    def begin(self) -> None:
        """Drop the gradients of the step before."""
        self.optimizer.zero_grad()
        self.taken = False

    def accumulate(self, part: Tensor, share: float, last: bool) -> Tensor:
        """Add the gradients of a micro-batch; returns its mean loss times `share`."""
        loss = self._loss(part, share)
        loss.backward()
        self._take_gradients(last)
        return loss.detach()

    def _loss(self, part: Tensor, share: float) -> Tensor:
        """Return the scaled loss, in memory that no graph writes to."""
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()  # what the last replay made may go
        loss: Tensor = self.module(part) * share
        return loss

    def _take_gradients(self, last: bool) -> None:
        """Copy gradients that the next micro-batch adds to out of the memory of the graph."""
        if self.graphs and not last and not self.taken:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.clone()
            self.taken = True

    def gradients(self) -> dict[str, Tensor]:
        """Return the step's gradients by name."""
        named = self.optimizer.parameters.items()
        return {name: p.grad for name, p in named if p.grad is not None}

    def update(self, learning_rate: float, max_norm: float) -> Tensor:
        """Clip and apply; returns the norm before clipping."""
        norm = clip_gradients(self.parameters, max_norm)
        self.optimizer.step(learning_rate)
        return norm

    @torch.no_grad()
    def measure(self, batch: Tensor) -> Tensor:
        """Return the objective's sums over a batch, whatever other processes do."""
        sums: Tensor = self.plain(batch, True)
        return sums

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return parameters and moments by name."""
        weights = {name: p.detach() for name, p in self.model.named_parameters()}
        return weights, self.optimizer.state()

    @torch.no_grad()
    def load(
        self, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor], steps: int
    ) -> None:
        """Restore what `state` gave; without moments the optimizer starts from scratch."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])
        if moments:
            self.optimizer.load_state(moments, steps)


class Ddp(OneProcess):
    """Each process has all of the model and a part of the batch; gradients are averaged.

    torch averages over processes, so each scales its loss by their number: the sum is that of the
    whole batch.
    """

    def wrap(self, module: LossModule, device: torch.device) -> Any:
        """Return the module with what averages its gradients."""
        return DistributedDataParallel(
            module,
            device_ids=[device.index or 0] if device.type == "cuda" else None,
            forward_sync_buffers=False,
            gradient_as_bucket_view=True,
        )

    def accumulate(self, part: Tensor, share: float, last: bool) -> Tensor:
        """Add the gradients of a micro-batch, the last one with those of the other processes."""
        with nullcontext() if last else self.module.no_sync():
            loss = self._loss(part, share)
            (loss * self.processes.world_size).backward()
        self._take_gradients(last)
        return loss.detach()
