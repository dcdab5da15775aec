"""A transformer that updates a few states over and over.

    question (rows, cells)  ->  x, embedded
    stage: target <- layers(target + [x] + sources), `repeat` times
    cycle: all stages; forward: outer_cycles of them, the first ones without gradient
    answer <- head(readout state)      halt <- linear(mean of the halt state over cells)

The states are carried from one supervision step to the next (`resweep.systems.loop_transformer.
objective`). Layers normalise after each of their two parts: RMSNorm(h + attention(h)), then
RMSNorm(h + SwiGLU(h)), as in the hierarchical and tiny recursive models (Wang et al. 2025;
Jolicoeur-Martineau 2025). Attention sees all cells; positions are rotary, and a learned vector for
each cell is added to its digit, since distances alone do not say where boxes and rows end. The only
bias is that of halting.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from resweep.systems.loop_transformer.sections import Arch
from resweep.systems.loop_transformer.size import inner_width, vocab_size

EPSILON = 1e-5  # of the norms
ROTARY_BASE = 10_000.0
HALT_BIAS = -5.0  # at first, nothing halts by itself


class Layer(nn.Module):
    """Attention and SwiGLU, each followed by a norm."""

    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, h: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(rows, cells, width) -> the same; cos and sin are (cells, width of a head)."""
        h = _norm(h + self._attend(h, cos, sin))
        gate, up = self.gate_up(h).chunk(2, dim=-1)
        return _norm(h + self.down(F.silu(gate) * up))

    def _attend(self, h: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        rows, cells, width = h.shape
        q, k, v = self.qkv(h).view(rows, cells, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(_turned(q, cos, sin), _turned(k, cos, sin), v)
        out: Tensor = self.out(y.transpose(1, 2).reshape(rows, cells, width))
        return out


def _norm(h: Tensor) -> Tensor:
    return F.rms_norm(h, (h.shape[-1],), eps=EPSILON)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn pairs of numbers by angles that grow with the position (Su et al. 2021)."""
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


class Network(nn.Module):
    """Embedding, layers, initial states and heads.

    Args:
        arch: The section.
        size: Of the boards.

    Attributes:
        recompute: Whether to recompute layers in backward instead of keeping activations.
    """

    def __init__(self, arch: Arch, size: int):
        super().__init__()
        self.arch = arch
        # Lists, since a module has attributes of its own that states could be called, as `update`.
        self.states = sorted(state.name for state in arch.known_states)
        owners = [*arch.depths]
        self.layers_of = {name: owners.index(owner) for name, owner in arch.layers_of.items()}
        self.recompute = False
        width, tokens = arch.hidden_size, vocab_size(size)
        self.embedding = nn.Embedding(tokens, width, _weight=torch.empty(tokens, width))
        places = torch.empty(size * size, width)
        self.places = nn.Parameter(places) if arch.learned_positions else None
        self.initial = nn.ParameterList(
            nn.Parameter(torch.empty(width), requires_grad=False) for _ in self.states
        )
        self.layers = nn.ModuleList(
            nn.ModuleList(Layer(width, arch.num_heads, inner_width(arch)) for _ in range(depth))
            for depth in arch.depths.values()
        )
        self.answer = nn.Linear(width, tokens, bias=False)
        self.halt = nn.Linear(width, 1)
        half = width // arch.num_heads // 2
        rates = ROTARY_BASE ** (-torch.arange(half) / half)
        angles = torch.outer(torch.arange(size * size), rates).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights: truncated normal of standard deviation 1 / sqrt(inputs).

        Embeddings are multiplied by sqrt(width) where they are used; states start at fixed vectors
        of standard deviation 1; halting starts at its bias.
        """
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.startswith("initial."):
                    _draw(parameter, 1.0, generator)
                else:
                    _draw(parameter, parameter.shape[-1] ** -0.5, generator)
            self.halt.weight.zero_()
            self.halt.bias.fill_(HALT_BIAS)

    def begin(self, rows: int, cells: int) -> Tensor:
        """Return the states that a puzzle starts with: (rows, states, cells, width)."""
        first = torch.stack(list(self.initial))
        return first[None, :, None].expand(rows, -1, cells, -1)

    def forward(self, states: Tensor, question: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Do the cycles of a supervision step.

        Args:
            states: (rows, states, cells, width).
            question: (rows, cells), tokens.

        Returns:
            The states after it, of the same shape and with gradients of the last cycles; logits
            (rows, cells, tokens); halting logits (rows,).
        """
        x = self.embedding(question)
        if self.places is not None:
            x = x + self.places
        x = math.sqrt(self.arch.hidden_size) * x
        known = dict(zip(self.states, states.unbind(1), strict=True))
        with torch.no_grad():
            for _ in range(self.arch.free_cycles):
                self._cycle(known, x.detach())
        for _ in range(self.arch.outer_cycles - self.arch.free_cycles):
            self._cycle(known, x)
        logits = self.answer(known[self.arch.read_from])
        halt = self.halt(known[self.arch.halts_by].mean(1))[:, 0]
        return torch.stack(list(known.values()), 1), logits, halt

    def _cycle(self, states: dict[str, Tensor], x: Tensor) -> None:
        """Do all stages, in place of the mapping's values."""
        for stage in self.arch.stages:
            for _ in range(stage.repeat):
                h = states[stage.target]
                if stage.include_inputs:
                    h = h + x
                for source in stage.sources:
                    h = h + states[source]
                layers = self.layers[self.layers_of[stage.target]]
                assert isinstance(layers, nn.ModuleList)
                for layer in layers:
                    h = self._through(layer, h)
                states[stage.target] = h

    def _through(self, layer: nn.Module, h: Tensor) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            result: Tensor = checkpoint(
                layer, h, self.cos, self.sin, use_reentrant=False, preserve_rng_state=False
            )
            return result
        after: Tensor = layer(h, self.cos, self.sin)
        return after


def _draw(parameter: nn.Parameter, deviation: float, generator: torch.Generator) -> None:
    nn.init.trunc_normal_(
        parameter, std=deviation, a=-2 * deviation, b=2 * deviation, generator=generator
    )


class LoopTransformer(nn.Module):
    """A network, and the average of its weights over the steps, if there is one.

    Both are parameters of one module, so that checkpoints, engines and other processes treat the
    average as they treat frozen weights.

    Args:
        arch: The section.
        size: Of the boards.
        averaged: Whether there is an average.
    """

    def __init__(self, arch: Arch, size: int, averaged: bool):
        super().__init__()
        self.network = Network(arch, size)
        self.average = copy.deepcopy(self.network).requires_grad_(False) if averaged else None

    @property
    def measured(self) -> Network:
        """The network that evaluations measure and reports show."""
        return self.network if self.average is None else self.average

    @torch.no_grad()
    def start_average(self) -> None:
        """Set the average to the weights."""
        if self.average is not None:
            for mean, now in zip(*self._both(), strict=True):
                mean.copy_(now)

    @torch.no_grad()
    def update_average(self, rate: float) -> None:
        """Move the average towards the weights; it keeps `rate` of itself."""
        if self.average is not None:
            torch._foreach_lerp_(*self._both(), 1 - rate)

    def _both(self) -> tuple[list[Tensor], list[Tensor]]:
        assert self.average is not None
        return list(self.average.parameters()), list(self.network.parameters())
