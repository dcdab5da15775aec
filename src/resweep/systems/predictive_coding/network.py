"""The decoder: predictions from level to level, and the energy of states.

    z0         (images, patches, values of a patch)            the top: free, without a prediction
    h_1        predicted as z0 W + b + positions               free
    h_l+1      predicted as block_l(h_l), l = 1 .. num_blocks  free
    image      predicted as h_last V + c                       clamped

    E = 1/2 sum_l |h_l - prediction of h_l|^2 + 1/2 |image - its prediction|^2
        + sum_l (l1 |h_l|_1 + l2 |h_l|^2)

per image, summed over patches and units (Rao and Ballard 1999; Whittington and Bogacz 2017, section
2, with unit variances). Each term has the states of two neighbouring levels, so its gradients are
local: no gradient passes through more than one level.

All blocks are computed at once: their weights are stacked along the first dimension, and so are the
states that they read.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resweep.systems.predictive_coding.sections import Model

NORM_EPS = 1e-5
POSITION_BASE = 10_000.0  # longest wavelength of the positions, over 2 pi


class StackedLinear(nn.Module):
    """A linear map for each block: (blocks, rows, inputs) -> (blocks, rows, outputs)."""

    def __init__(self, blocks: int, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(blocks, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(blocks, 1, outputs))

    def forward(self, x: Tensor, of: slice) -> Tensor:
        """Apply the maps of some blocks."""
        return torch.baddbmm(self.bias[of], x, self.weight[of])


class StackedNorm(nn.Module):
    """A layer norm for each block: (blocks, rows, width) -> the same."""

    def __init__(self, blocks: int, width: int):
        super().__init__()
        self.gain = nn.Parameter(torch.empty(blocks, 1, width))
        self.bias = nn.Parameter(torch.empty(blocks, 1, width))

    def forward(self, x: Tensor, of: slice) -> Tensor:
        """Apply the norms of some blocks."""
        return torch.addcmul(
            self.bias[of], F.layer_norm(x, x.shape[-1:], eps=NORM_EPS), self.gain[of]
        )


class Blocks(nn.Module):
    """Pre-norm transformer blocks that are applied side by side.

    Args:
        model: The section.
    """

    def __init__(self, model: Model):
        super().__init__()
        count, width = model.num_blocks, model.hidden_size
        self.heads = model.num_heads
        self.norm_1 = StackedNorm(count, width)
        self.attention = StackedLinear(count, width, 3 * width)
        self.attention_out = StackedLinear(count, width, width)
        self.norm_2 = StackedNorm(count, width)
        self.mlp = StackedLinear(count, width, model.mlp_size)
        self.mlp_out = StackedLinear(count, model.mlp_size, width)

    def forward(self, h: Tensor, of: slice) -> Tensor:
        """Return h + attention(norm(h)) + MLP(...) of some blocks, each of its own states.

        Args:
            h: (blocks, images, patches, width).
            of: Which blocks.
        """
        blocks, images, patches, width = h.shape
        rows = h.reshape(blocks, images * patches, width)
        q, k, v = (
            part.reshape(blocks * images, patches, self.heads, -1).transpose(1, 2)
            for part in self.attention(self.norm_1(rows, of), of).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        rows = rows + self.attention_out(mixed.reshape(blocks, images * patches, width), of)
        rows = rows + self.mlp_out(F.gelu(self.mlp(self.norm_2(rows, of), of)), of)
        return rows.view(blocks, images, patches, width)


@dataclass
class States:
    """The free states of a batch.

    Attributes:
        z0: (images, patches, values of a patch).
        h: (levels, images, patches, width); the first is below z0, the last above the image.
    """

    z0: Tensor
    h: Tensor


class Decoder(nn.Module):
    """All predictions of a model.

    Args:
        model: The section, with the shape of the images.
        patch_size: Pixels along an edge of a patch.
    """

    positions: Tensor

    def __init__(self, model: Model, patch_size: int):
        super().__init__()
        assert model.height and model.width and model.channels, "resolved"
        self.model = model
        self.rows, self.columns = model.height // patch_size, model.width // patch_size
        self.patch_size = patch_size
        self.patches = self.rows * self.columns
        self.values = patch_size * patch_size * model.channels
        self.levels = model.num_blocks + 1
        self.top = nn.Linear(self.values, model.hidden_size)
        self.blocks = Blocks(model) if model.num_blocks else None
        self.out = nn.Linear(model.hidden_size, self.values)
        positions = grid_positions(self.rows, self.columns, model.hidden_size)
        self.register_buffer("positions", positions, persistent=False)

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights: normal, with the variance 1 / inputs; biases are 0, gains 1.

        What a block adds to its states is scaled down by the square root of the number of blocks.
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif name.endswith("gain"):
                parameter.fill_(1.0)
            else:
                # nn.Linear stores (outputs, inputs), the stacked maps (blocks, inputs, outputs).
                inputs = parameter.shape[1]
                added = name.startswith("blocks.") and "_out." in name
                scale = math.sqrt(inputs * (self.model.num_blocks if added else 1))
                parameter.normal_(0.0, 1.0 / scale, generator=generator)

    def to_patches(self, images: Tensor) -> Tensor:
        """(n, height, width, channels) -> (n, patches, values)."""
        n, size = len(images), self.patch_size
        grid = images.reshape(n, self.rows, size, self.columns, size, -1)
        return grid.transpose(2, 3).reshape(n, self.patches, self.values)

    def to_images(self, patches: Tensor) -> Tensor:
        """(n, patches, values) -> (n, height, width, channels)."""
        n, size = len(patches), self.patch_size
        grid = patches.reshape(n, self.rows, self.columns, size, size, -1)
        return grid.transpose(2, 3).reshape(n, self.rows * size, self.columns * size, -1)

    def forward_states(self, z0: Tensor) -> States:
        """Return states in which each level is as the one above predicts it."""
        level = self.top(z0) + self.positions
        levels = [level]
        for block in range(self.levels - 1):
            assert self.blocks is not None
            level = self.blocks(level[None], slice(block, block + 1))[0]
            levels.append(level)
        return States(z0, torch.stack(levels))

    def reconstruct(self, z0: Tensor) -> Tensor:
        """Return what the top alone predicts of the image: (n, patches, values)."""
        prediction: Tensor = self.out(self.forward_states(z0).h[-1])
        return prediction

    def energies(self, states: States, images: Tensor) -> Tensor:
        """Return the energy of each image: (n,).

        Args:
            states: Of n images.
            images: (n, patches, values).
        """
        h = states.h
        predicted = (self.top(states.z0) + self.positions)[None]
        if self.blocks is not None:
            predicted = torch.cat([predicted, self.blocks(h[:-1], slice(None))])
        energy = 0.5 * (h - predicted).square().sum((0, 2, 3))
        energy = energy + 0.5 * (images - self.out(h[-1])).square().sum((1, 2))
        if self.model.intermediate_l1_coeff:
            energy = energy + self.model.intermediate_l1_coeff * h.abs().sum((0, 2, 3))
        if self.model.intermediate_l2_coeff:
            energy = energy + self.model.intermediate_l2_coeff * h.square().sum((0, 2, 3))
        return energy

    def matrices(self) -> list[str]:
        """Return the names of the parameters that weight decay applies to."""
        return [name for name, _ in self.named_parameters() if name.endswith("weight")]


def grid_positions(rows: int, columns: int, width: int) -> Tensor:
    """Return 2-D sinusoidal positions: (rows * columns, width).

    One half of the width encodes the row, the other the column, each with sines and cosines of
    wavelengths that grow geometrically (Vaswani et al. 2017, section 3.5).
    """
    quarter = width // 4
    frequencies = POSITION_BASE ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    parts = []
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    for coordinate in (row, column):
        angles = coordinate.reshape(-1, 1) * frequencies
        parts += [angles.sin(), angles.cos()]
    return torch.cat(parts, dim=1).float()
