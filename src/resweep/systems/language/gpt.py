"""A GPT written for speed, with the parameter names and shapes of transformers' GPT-2.

Pre-norm blocks, GELU (tanh approximation), fused scaled-dot-product attention, tied embeddings.
Projections are stored as (in, out) like GPT-2's, so that a state dict is a valid GPT-2 checkpoint.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from resweep.systems.language.gpt2_format import read_weights, write_model
from resweep.systems.language.initialization import draw_matrices, is_hidden, width_ratio
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.language_model import LanguageModel
from resweep.systems.language.model_section import Model
from resweep.training.dropout import SampleDropout, SampleKeys


class Projection(nn.Module):
    """Affine map of the last dimension; `weight` is (in, out)."""

    def __init__(self, inputs: int, outputs: int, bias: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(x, self.weight.t(), self.bias)


class LayerNorm(nn.Module):
    """Layer normalisation with an optional bias."""

    def __init__(self, width: int, bias: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Attention(nn.Module):
    """Causal self-attention with several heads.

    Fused, except with dropout on attention weights: fused kernels draw their own masks.
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        bias: bool,
        attn_dropout: SampleDropout,
        resid_dropout: SampleDropout,
    ):
        super().__init__()
        self.n_head = n_head
        self.c_attn = Projection(n_embd, 3 * n_embd, bias)
        self.c_proj = Projection(n_embd, n_embd, bias)
        self.attn_dropout = attn_dropout
        self.resid_dropout = resid_dropout

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        batch, tokens, width = x.shape
        q, k, v = (
            part.view(batch, tokens, self.n_head, width // self.n_head).transpose(1, 2)
            for part in self.c_attn(x).split(width, dim=2)
        )
        if self.training and self.attn_dropout.p:
            scores = q @ k.transpose(2, 3) / math.sqrt(width // self.n_head)
            later = torch.ones(tokens, tokens, dtype=torch.bool, device=x.device).triu(1)
            weights = scores.masked_fill(later, -math.inf).softmax(-1)
            y = self.attn_dropout(weights).to(v.dtype) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).reshape(batch, tokens, width)))


class MLP(nn.Module):
    """Two projections with a GELU between them, four times as wide inside."""

    def __init__(self, n_embd: int, bias: bool, dropout: SampleDropout):
        super().__init__()
        self.c_fc = Projection(n_embd, 4 * n_embd, bias)
        self.c_proj = Projection(4 * n_embd, n_embd, bias)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        return self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))


class Block(nn.Module):
    """Attention and MLP, each on the normalised residual stream."""

    def __init__(self, n_embd: int, n_head: int, bias: bool, dropouts: list[SampleDropout]):
        super().__init__()
        attention, after_attention, after_mlp = dropouts
        self.ln_1 = LayerNorm(n_embd, bias)
        self.attn = Attention(n_embd, n_head, bias, attention, after_attention)
        self.ln_2 = LayerNorm(n_embd, bias)
        self.mlp = MLP(n_embd, bias, after_mlp)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """Embeddings, blocks and the last norm: everything below the output head.

    Attributes:
        recompute: Whether to recompute blocks in backward instead of keeping activations.
    """

    def __init__(
        self,
        vocab_size: int,
        context_length: int,
        n_layer: int,
        n_embd: int,
        n_head: int,
        dropout: float,
        bias: bool,
        keys: SampleKeys,
    ):
        super().__init__()
        self.recompute = False
        sites = range(1 + 3 * n_layer)
        embedding, *rest = (SampleDropout(dropout, site, keys) for site in sites)
        of_blocks = [rest[3 * layer : 3 * layer + 3] for layer in range(n_layer)]
        self.wte = nn.Embedding(vocab_size, n_embd, _weight=torch.empty(vocab_size, n_embd))
        self.wpe = nn.Embedding(context_length, n_embd, _weight=torch.empty(context_length, n_embd))
        self.drop = embedding
        self.h = nn.ModuleList(Block(n_embd, n_head, bias, dropouts) for dropouts in of_blocks)
        self.ln_f = LayerNorm(n_embd, bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens) of int64 -> (batch, tokens, width)."""
        x = self.drop(self.wte(tokens) + self.wpe.weight[: tokens.shape[1]])
        for block in self.h:
            if self.recompute and self.training:
                # Dropout masks are functions of keys: there is no generator state to keep.
                x = checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(x)
        return self.ln_f(x)


class GPT(LanguageModel):
    """A causal language model whose output head shares the token embeddings.

    Args:
        section: The `model` section of a configuration.
        vocab_size: Number of tokens.
    """

    def __init__(self, section: Model, vocab_size: int):
        super().__init__()
        self.section = section
        self.vocab_size = vocab_size
        self.context_length = section.context_length
        keys = SampleKeys()
        self.sample_keys = keys if section.dropout else None
        self.transformer = Transformer(
            vocab_size,
            section.context_length,
            section.n_layer,
            section.n_embd,
            section.n_head,
            section.dropout,
            section.bias,
            keys,
        )
        self.note_shapes()

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens) of int64 -> logits (batch, tokens, vocab_size)."""
        return F.linear(self.transformer(tokens), self.transformer.wte.weight)

    def initialize(self, settings: Initialization, generator: torch.Generator) -> None:
        """Initialize all weights (`resweep.systems.language.initialization`); norms 1, biases 0.

        The last norm starts at one over muP's width ratio: this is muP's logit multiplier, in a
        model that remains a GPT-2.
        """
        ratio = width_ratio(settings, self.section.n_embd)
        layers = self.section.n_layer
        draw_matrices(self.named_parameters(), settings, layers, generator, ratio)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.dim() == 1:
                    parameter.fill_(1.0 if name.endswith("weight") else 0.0)
            self.transformer.ln_f.weight.fill_(1.0 / ratio)

    def lr_scales(self, settings: Initialization) -> dict[str, float]:
        """Return muP's learning-rate multipliers: of hidden matrices and the last norm.

        Adam's steps do not depend on the size of gradients, so dividing the rate of the last norm
        by the width ratio is equivalent to a logit multiplier with an unscaled norm.
        """
        ratio = width_ratio(settings, self.section.n_embd)
        last_norm = {
            f"transformer.ln_f.{name}" for name, _ in self.transformer.ln_f.named_parameters()
        }
        return {
            name: 1.0 / ratio
            for name, parameter in self.named_parameters()
            if name in last_norm or is_hidden(name, parameter)
        }

    def checkpoint_blocks(self, on: bool) -> None:
        """Turn activation checkpointing on or off."""
        self.transformer.recompute = on

    def flops_per_token(self) -> float:
        """Floating-point operations of one training step per token.

        6 per parameter, and 12 n_layer n_embd context_length for attention (PaLM, Chowdhery et al.
        2022, appendix B); position embeddings do not count.
        """
        parameters = self.size - self.shapes["transformer.wpe.weight"].numel()
        attention = 12 * len(self.transformer.h) * self.transformer.wte.embedding_dim
        return 6 * parameters + attention * self.context_length

    def write(self, state: Mapping[str, Tensor], folder: Path) -> None:
        """Write a GPT-2 folder of these parameters (`resweep.systems.language.gpt2_format`)."""
        write_model(state, self.section, self.vocab_size, folder)

    def read(self, folder: Path) -> dict[str, Tensor]:
        """Return the parameters of a GPT-2 folder; raises ConfigError if they do not fit."""
        return read_weights(self.shapes, folder)
