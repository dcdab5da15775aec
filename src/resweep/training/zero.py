"""ZeRO by DeepSpeed (Rajbhandari et al. 2020): each process holds a shard of the training state.

    stage 1    shards the moments
    stage 2    also the gradients
    stage 3    also the parameters

DeepSpeed's own checkpoints depend on the number of processes. Here shards are gathered into full
tensors, parameter by parameter, when a snapshot is taken, and split again when one is loaded.
"""

import functools
import logging
import math
import os
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from resweep.config.training_section import Training
from resweep.training.engine import LossModule
from resweep.training.objective import Objective
from resweep.training.optimizer import Group
from resweep.training.processes import Processes

os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")

import deepspeed
from deepspeed.utils import (
    safe_get_full_grad,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
)

MOMENTS = ("exp_avg", "exp_avg_sq")

# None of its compiled operations is used. Detecting them needs a compiler, and building the one for
# sums between CPUs takes a minute and a gigabyte; if killed meanwhile, it leaves a lock that hangs.
deepspeed.ops.__compatible_ops__ = {}
logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
# DeepSpeed's deprecated calls are not for users to fix.
warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")


class Zero:
    """DeepSpeed's engine behind the interface of `resweep.training.engine`."""

    def __init__(
        self,
        objective: Objective,
        groups: list[Group],
        training: Training,
        device: torch.device,
        processes: Processes,
    ):
        self.model = model = objective.model
        self.shapes = objective.shapes
        self.processes = processes
        self.stage = int(training.distributed[-1])
        self.groups = groups
        named = dict(model.named_parameters())
        self.trained = {name: named[name] for group in groups for name in group.names}
        optimizer = torch.optim.AdamW(
            [
                {
                    "params": [named[name] for name in group.names],
                    "weight_decay": group.weight_decay,
                }
                for group in groups
            ],
            lr=training.learning_rate,
            betas=(training.beta1, training.beta2),
            eps=training.adam_eps,
            fused=True,
        )
        settings = {
            "train_micro_batch_size_per_gpu": 1,  # no effect: boundaries are set by hand
            "gradient_accumulation_steps": 1,
            "gradient_clipping": training.grad_clip,
            "zero_optimization": {"stage": self.stage},
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 10**9,
        }
        self.engine, self.optimizer, _, _ = deepspeed.initialize(
            model=LossModule(objective, training, device),
            optimizer=optimizer,
            config=settings,
            dist_init_required=False,
        )
        self._begin_moments()

    @property
    def optimizer_steps(self) -> int:
        """Updates so far."""
        state = next(iter(self.optimizer.optimizer.state.values()))
        return int(state["step"])

    def begin(self) -> None:
        """Clear the gradients of the previous step, as DeepSpeed also does after applying them."""
        self.engine.zero_grad()

    def accumulate(self, part: Tensor, share: float, last: bool) -> Tensor:
        """Add the gradients of a micro-batch; returns its mean loss times `share`."""
        self.engine.set_gradient_accumulation_boundary(last)
        loss = self.engine(part) * share
        self.engine.backward(loss * self.processes.world_size)  # averaged over processes
        return loss.detach()

    def gradients(self) -> dict[str, Tensor]:
        """Return the step's gradients by name, gathered one by one in rank 0's main memory."""
        return self._gathered(self.trained, safe_get_full_grad)

    def update(self, learning_rate: float, max_norm: float) -> Tensor:
        """Clip, as configured at the start, and apply; returns the norm before clipping.

        DeepSpeed skips a step whose gradients are not finite. Other engines do not, and get nan
        weights. So does this one, since divergence must not depend on the engine.
        """
        for given, group in zip(self.optimizer.param_groups, self.groups, strict=True):
            given["lr"] = learning_rate * group.lr_scale
        self.engine.step()
        norm = torch.as_tensor(self.engine.get_global_grad_norm(), dtype=torch.float32)
        if not norm.isfinite():
            for name, parameter in self.trained.items():
                self._set(parameter, torch.full(self.shapes[name], math.nan))
        return norm

    @torch.no_grad()
    def measure(self, batch: Tensor) -> Tensor:
        """Return the objective's sums over a batch."""
        sums: Tensor = self.engine(batch, True)
        return sums

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return parameters and moments by name, gathered in rank 0's main memory."""
        moments: dict[str, Tensor] = {}
        for kind in MOMENTS:
            get = functools.partial(safe_get_full_optimizer_state, optim_state_key=kind)
            found = self._gathered(self.trained, get)
            moments |= {f"{kind}.{name}": tensor for name, tensor in found.items()}
        return self._gathered(dict(self.model.named_parameters()), self._whole), moments

    def _whole(self, parameter: nn.Parameter) -> Tensor:
        with deepspeed.zero.GatheredParameters([parameter], enabled=self.stage == 3):
            return parameter.detach().clone()

    def _gathered(
        self, parameters: Mapping[str, nn.Parameter], get: Callable[[nn.Parameter], Tensor]
    ) -> dict[str, Tensor]:
        """Get a tensor for each parameter, on all processes; only rank 0 keeps them."""
        found: dict[str, Tensor] = {}
        for name, parameter in parameters.items():
            tensor = get(parameter)
            if self.processes.rank == 0:
                found[name] = tensor.cpu()
        return found

    @torch.no_grad()
    def load(
        self, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor], steps: int
    ) -> None:
        """Restore the result of `state`; without moments the optimizer starts from scratch."""
        for name, parameter in self.model.named_parameters():
            self._set(parameter, weights[name])
        for kind in MOMENTS if moments else ():
            for name, parameter in self.trained.items():
                whole = moments[f"{kind}.{name}"].to(parameter.device)
                safe_set_full_optimizer_state(parameter, whole, kind)
        for state in self.optimizer.optimizer.state.values():
            state["step"].fill_(steps)

    @torch.no_grad()
    def _set(self, parameter: nn.Parameter, whole: Tensor) -> None:
        """Set a parameter, and the copy of it that the optimizer updates."""
        with deepspeed.zero.GatheredParameters(
            [parameter], modifier_rank=0, enabled=self.stage == 3
        ):
            parameter.copy_(whole)
        if parameter.requires_grad:
            safe_set_full_fp32_param(parameter, whole.to(parameter.device))

    def _begin_moments(self) -> None:
        """Create the moments before DeepSpeed does at its first step, so that they can be set."""
        if self.stage == 3:
            shards = self.optimizer.fp32_partitioned_groups_flat
        else:
            shards = self.optimizer.single_partition_of_fp32_groups
        for shard in shards:
            self.optimizer.optimizer.state[shard] = {
                "step": torch.zeros((), dtype=torch.float32, device=shard.device),
                **{kind: torch.zeros_like(shard) for kind in MOMENTS},
            }
        if self.stage != 3:
            self.optimizer._lazy_init_hp_params_optimizer_state()
