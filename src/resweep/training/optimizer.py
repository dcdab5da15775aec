"""AdamW with decoupled weight decay on matrices only (Loshchilov and Hutter 2019, algorithm 2).

`torch.optim.AdamW` computes the same, but importing it loads torch._dynamo, which adds a second to
the start of every trial. This calls the same fused kernel; a test compares the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Group:
    """Parameters that share their settings.

    Attributes:
        names: Of the parameters.
        weight_decay: Fraction of the weight subtracted per step, times the group's learning rate.
        lr_scale: Multiplier of the schedule's learning rate.
    """

    names: tuple[str, ...]
    weight_decay: float
    lr_scale: float = 1.0


def parameter_groups(
    model: nn.Module, weight_decay: float, lr_scales: Mapping[str, float] | None = None
) -> list[Group]:
    """Group the trained parameters: those with two or more dimensions decay, others do not.

    Args:
        model: The model.
        weight_decay: Of those that decay, at the schedule's rate. A group's scale does not change
            rate times decay, the fraction of a weight subtracted per step.
        lr_scales: Multipliers of the schedule's rate, by parameter name.
    """
    alike: dict[tuple[bool, float], list[str]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            kind = (parameter.dim() >= 2, (lr_scales or {}).get(name, 1.0))
            alike.setdefault(kind, []).append(name)
    return [
        Group(tuple(names), weight_decay / lr_scale if decays else 0.0, lr_scale)
        for (decays, lr_scale), names in sorted(alike.items(), reverse=True)
    ]


class AdamW:
    """Updates the parameters of a model in place.

    Args:
        model: The model.
        groups: The parameters to update, with their settings.
        beta1, beta2, eps: Of Adam.
    """

    def __init__(
        self, model: nn.Module, groups: Sequence[Group], *, beta1: float, beta2: float, eps: float
    ):
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.groups = groups
        named = dict(model.named_parameters())
        self.parameters = {name: named[name] for group in groups for name in group.names}
        self.exp_avg = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.exp_avg_sq = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.steps = 0
        # The kernel reads the count on its device; a new tensor each step would synchronize.
        self.count = torch.zeros((), device=next(iter(self.parameters.values())).device)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Apply one update; parameters without a gradient do not change."""
        self.steps += 1
        self.count.fill_(self.steps)
        for group in self.groups:
            used = [name for name in group.names if self.parameters[name].grad is not None]
            if not used:
                continue
            parameters: list[Tensor] = [self.parameters[name] for name in used]
            torch._fused_adamw_(
                parameters,
                [p.grad for p in parameters if p.grad is not None],
                [self.exp_avg[name] for name in used],
                [self.exp_avg_sq[name] for name in used],
                [],
                [self.count] * len(used),
                lr=learning_rate * group.lr_scale,
                beta1=self.beta1,
                beta2=self.beta2,
                weight_decay=group.weight_decay,
                eps=self.eps,
                amsgrad=False,
                maximize=False,
            )

    def zero_grad(self) -> None:
        """Clear all gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return the moments by name: `exp_avg.NAME`, `exp_avg_sq.NAME`."""
        moments = {"exp_avg": self.exp_avg, "exp_avg_sq": self.exp_avg_sq}
        return {
            f"{kind}.{name}": tensor
            for kind, tensors in moments.items()
            for name, tensor in tensors.items()
        }

    def load_state(self, state: Mapping[str, Tensor], steps: int) -> None:
        """Restore the result of `state`; raises KeyError if a parameter has no moments."""
        self.steps = steps
        for name in self.parameters:
            self.exp_avg[name].copy_(state[f"exp_avg.{name}"])
            self.exp_avg_sq[name].copy_(state[f"exp_avg_sq.{name}"])


def clip_gradients(parameters: Sequence[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients so that their global L2 norm is at most `max_norm`; 0: no clipping.

    Returns:
        The norm before clipping, a scalar tensor on the parameters' device.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if max_norm > 0:
        torch._foreach_mul_(gradients, torch.clamp(max_norm / (norm + 1e-6), max=1.0))
    return norm
