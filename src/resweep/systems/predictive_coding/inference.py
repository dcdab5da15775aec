"""Inference: the states of a batch move down the gradient of their energy, the weights stay.

    z0 = 0, h = forward pass from it
    repeat `steps` times:  g = gradient of the energy, for each image and level at most `norm_clip`
                           v = momentum v + g,   state = state - rate_of_level v

The rate is `rate` next to the image and grows by `rate_factor` from level to level: it takes
many steps until the image has an effect on a distant level. Images do not influence each other.
"""

import torch
from torch import Tensor

from resweep.systems.predictive_coding.network import Decoder, States
from resweep.systems.predictive_coding.sections import Inference

TINY = 1e-12  # of a norm; keeps 0 / 0 away


def infer(decoder: Decoder, images: Tensor, settings: Inference) -> States:
    """Return the states of a batch after inference; they carry no gradients.

    Args:
        decoder: Its weights are not changed.
        images: (n, patches, values).
        settings: The section.
    """
    states = initial_states(decoder, images)
    rates = level_rates(decoder.levels, settings, images)
    z0_rate, h_rates = rates[0], rates[1:, None, None, None]
    z0_velocity, h_velocity = torch.zeros_like(states.z0), torch.zeros_like(states.h)
    for _ in range(settings.steps):
        z0_gradient, h_gradient = gradients(decoder, states, images)
        if settings.norm_clip > 0:
            _clip(z0_gradient, settings.norm_clip)
            _clip(h_gradient, settings.norm_clip)
        z0_velocity.mul_(settings.momentum).add_(z0_gradient)
        h_velocity.mul_(settings.momentum).add_(h_gradient)
        states.z0.sub_(z0_rate * z0_velocity)
        states.h.sub_(h_rates * h_velocity)
    return states


@torch.no_grad()
def initial_states(decoder: Decoder, images: Tensor) -> States:
    """Return z0 = 0 and the forward pass from it, which is the same for all images."""
    one = decoder.forward_states(torch.zeros_like(images[:1]))
    n = len(images)
    return States(torch.zeros_like(images), one.h.expand(-1, n, -1, -1).clone())


def level_rates(levels: int, settings: Inference, like: Tensor) -> Tensor:
    """Return the rate of z0, and of each level from there to the image: (1 + levels,)."""
    depths = torch.arange(levels, -1, -1, dtype=like.dtype, device=like.device)
    return settings.rate * settings.rate_factor**depths


@torch.enable_grad()
def gradients(decoder: Decoder, states: States, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of the energy with respect to z0 and to all levels."""
    free = States(states.z0.detach().requires_grad_(), states.h.detach().requires_grad_())
    energy = decoder.energies(free, images).sum()
    of_z0, of_h = torch.autograd.grad(energy, (free.z0, free.h))
    return of_z0, of_h


def _clip(gradient: Tensor, most: float) -> None:
    """Scale, in place, the gradient of each image (and level) to a norm of at most `most`."""
    norms = torch.linalg.vector_norm(gradient, dim=(-2, -1), keepdim=True)
    gradient.mul_((most / (norms + TINY)).clamp_(max=1.0))
