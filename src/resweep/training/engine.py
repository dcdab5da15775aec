"""How gradients are computed and applied: by one process, or by several on parts of each batch.

    accumulate(part, ...)   forward and backward of a micro-batch    once per micro-batch
    gradients()             the step's full gradients                if requested
    update(lr, max_norm)    clip, and apply                          once per step

Engines differ in what each process holds: everything (`OneProcess`, `Ddp`), or a shard of moments,
gradients and parameters (`resweep.training.zero`). Inputs and outputs are always full tensors, so
checkpoints do not depend on the engine, and any other engine can continue from them.
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
    """Training steps of one process; all processes call the same methods at the same time."""

    @property
    def optimizer_steps(self) -> int:
        """Updates so far."""

    def begin(self) -> None:
        """Clear the gradients of the previous step."""

    def accumulate(self, part: Tensor, share: float, last: bool) -> Tensor:
        """Add the gradients of a micro-batch.

        Args:
            part: (rows, ...) of this process.
            share: Its fraction of the step's rows, over all processes.
            last: Whether it is this process's last micro-batch of the step.

        Returns:
            Its mean loss times `share`, detached.
        """

    def gradients(self) -> dict[str, Tensor]:
        """Return the step's full gradients by name, before clipping; only rank 0 gets them."""

    def update(self, learning_rate: float, max_norm: float) -> Tensor:
        """Clip to a global norm (0: not at all) and apply; returns the norm before clipping."""

    def measure(self, batch: Tensor) -> Tensor:
        """Return the objective's sums over a batch, without gradients."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return full parameters and moments by name; only rank 0 gets them."""

    def load(
        self, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor], steps: int
    ) -> None:
        """Restore the result of `state`; without moments the optimizer starts from scratch."""


class LossModule(nn.Module):
    """A model whose forward computes its objective, for engines to wrap."""

    def __init__(self, objective: Objective, training: Training, device: torch.device):
        super().__init__()
        self.model = objective.model
        self._type = device.type
        self._bf16 = training.precision == "bf16"
        self._measure = objective.measure
        self._loss: Any = objective.loss
        if training.compile:
            # Micro-batches have one size, and maybe a smaller last one: each is compiled.
            mode = "reduce-overhead" if has_graphs(training, device) else None
            self._loss = torch.compile(objective.loss, dynamic=False, mode=mode)

    def forward(self, rows: Tensor, evaluating: bool = False) -> Tensor:
        """(rows, ...) -> loss; or the sums of an evaluation, which is not compiled."""
        with self._autocast():
            result: Tensor = self._measure(rows) if evaluating else self._loss(rows)
        return result

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._bf16:
            return torch.autocast(self._type, dtype=torch.bfloat16)
        return nullcontext()


def has_graphs(training: Training, device: torch.device) -> bool:
    """Whether CUDA graphs are enabled and available."""
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
        self.copied = False  # whether this step's gradients were copied out of the graph
        self.optimizer = AdamW(
            model,
            groups,
            beta1=training.beta1,
            beta2=training.beta2,
            eps=training.adam_eps,
        )

    def wrap(self, module: LossModule, device: torch.device) -> Any:
        """Return the module to train with: itself, or a wrapper."""
        return module

    @property
    def optimizer_steps(self) -> int:
        """Updates so far."""
        return self.optimizer.steps

    def begin(self) -> None:
        """Clear the gradients of the previous step."""
        self.optimizer.zero_grad()
        self.copied = False

    def accumulate(self, part: Tensor, share: float, last: bool) -> Tensor:
        """Add the gradients of a micro-batch; returns its mean loss times `share`."""
        loss = self._loss(part, share)
        loss.backward()
        self._copy_gradients(last)
        return loss.detach()

    def _loss(self, part: Tensor, share: float) -> Tensor:
        """Return the scaled loss, in memory that no later graph replay overwrites."""
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()  # earlier outputs may be overwritten
        loss: Tensor = self.module(part) * share
        return loss

    def _copy_gradients(self, last: bool) -> None:
        """Copy gradients out of the graph's memory if another micro-batch follows."""
        if self.graphs and not last and not self.copied:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.clone()
            self.copied = True

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
        """Return the objective's sums over a batch, independently of other processes."""
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
        """Restore the result of `state`; without moments the optimizer starts from scratch."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])
        if moments:
            self.optimizer.load_state(moments, steps)


class Ddp(OneProcess):
    """Each process has the full model and a part of the batch; gradients are averaged.

    torch averages over processes, so each scales its loss by their number, which gives the sum over
    the whole batch.
    """

    def wrap(self, module: LossModule, device: torch.device) -> Any:
        """Return the module wrapped for gradient averaging."""
        return DistributedDataParallel(
            module,
            device_ids=[device.index or 0] if device.type == "cuda" else None,
            forward_sync_buffers=False,
            gradient_as_bucket_view=True,
        )

    def accumulate(self, part: Tensor, share: float, last: bool) -> Tensor:
        """Add the gradients of a micro-batch; the last one synchronizes with other processes."""
        with nullcontext() if last else self.module.no_sync():
            loss = self._loss(part, share)
            (loss * self.processes.world_size).backward()
        self._copy_gradients(last)
        return loss.detach()
