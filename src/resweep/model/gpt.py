"""A GPT written for speed, with the parameter names and shapes of transformers' GPT-2.

Pre-norm blocks, GELU (tanh approximation), fused scaled-dot-product attention, tied embeddings.
Projections are stored (in, out) as GPT-2 does, so that a state dict is a GPT-2 checkpoint as it is.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resweep.model.gpt2_format import read_weights, write_model
from resweep.model.language_model import LanguageModel


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
    """Causal self-attention with several heads."""

    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool):
        super().__init__()
        self.n_head = n_head
        self.dropout = dropout
        self.c_attn = Projection(n_embd, 3 * n_embd, bias)
        self.c_proj = Projection(n_embd, n_embd, bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        batch, tokens, width = x.shape
        q, k, v = (
            part.view(batch, tokens, self.n_head, width // self.n_head).transpose(1, 2)
            for part in self.c_attn(x).split(width, dim=2)
        )
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        y = self.c_proj(y.transpose(1, 2).reshape(batch, tokens, width))
        return F.dropout(y, dropout) if dropout else y


class MLP(nn.Module):
    """Two projections with a GELU between them, four times as wide inside."""

    def __init__(self, n_embd: int, dropout: float, bias: bool):
        super().__init__()
        self.dropout = dropout
        self.c_fc = Projection(n_embd, 4 * n_embd, bias)
        self.c_proj = Projection(4 * n_embd, n_embd, bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        y = self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))
        return F.dropout(y, self.dropout) if self.dropout and self.training else y


class Block(nn.Module):
    """Attention and MLP, each on the normalised residual stream."""

    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool):
        super().__init__()
        self.ln_1 = LayerNorm(n_embd, bias)
        self.attn = Attention(n_embd, n_head, dropout, bias)
        self.ln_2 = LayerNorm(n_embd, bias)
        self.mlp = MLP(n_embd, dropout, bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """Embeddings, blocks and the last norm: everything below the output head."""

    def __init__(
        self,
        vocab_size: int,
        context_length: int,
        n_layer: int,
        n_embd: int,
        n_head: int,
        dropout: float,
        bias: bool,
    ):
        super().__init__()
        self.dropout = dropout
        self.wte = nn.Embedding(vocab_size, n_embd, _weight=torch.empty(vocab_size, n_embd))
        self.wpe = nn.Embedding(context_length, n_embd, _weight=torch.empty(context_length, n_embd))
        self.h = nn.ModuleList(Block(n_embd, n_head, dropout, bias) for _ in range(n_layer))
        self.ln_f = LayerNorm(n_embd, bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens) of int64 -> (batch, tokens, width)."""
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        if self.dropout and self.training:
            x = F.dropout(x, self.dropout)
        for block in self.h:
            x = block(x)
        return self.ln_f(x)


class GPT(LanguageModel):
    """A causal language model whose output head shares the token embeddings.

    Args:
        config: The `model` section of a configuration.
        vocab_size: Number of tokens.
    """

    def __init__(self, config: Mapping[str, Any], vocab_size: int):
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.context_length = config["context_length"]
        self.transformer = Transformer(
            vocab_size,
            config["context_length"],
            config["n_layer"],
            config["n_embd"],
            config["n_head"],
            config["dropout"],
            config["bias"],
        )
        self.note_shapes()

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens) of int64 -> logits (batch, tokens, vocab_size)."""
        return F.linear(self.transformer(tokens), self.transformer.wte.weight)

    def loss(self, sequences: Tensor, reduction: str = "mean") -> Tensor:
        """Cross-entropy of each token given those before it, in nats.

        Args:
            sequences: (batch, tokens + 1), int64.
            reduction: `mean` or `sum` over all predicted tokens.
        """
        logits = self(sequences[:, :-1])
        return F.cross_entropy(
            logits.view(-1, self.vocab_size), sequences[:, 1:].reshape(-1), reduction=reduction
        )

    def initialize(self, settings: Mapping[str, Any], generator: torch.Generator) -> None:
        """Draw all weights anew: normal, projections into the residual stream scaled down.

        Matrices ~ N(0, init_std), those into the residual stream over sqrt(2 n_layer) (GPT-2,
        Radford et al. 2019, section 2.3); norms 1, biases 0.
        """
        init_std = settings["init_std"]
        residual_std = init_std / math.sqrt(2 * len(self.transformer.h))
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith("c_proj.weight"):
                    parameter.normal_(0.0, residual_std, generator=generator)
                elif parameter.dim() == 2:
                    parameter.normal_(0.0, init_std, generator=generator)
                else:
                    parameter.fill_(1.0 if name.endswith("weight") else 0.0)

    def flops_per_token(self) -> float:
        """Floating-point operations of one training step per token.

        6 for each parameter, 12 n_layer n_embd context_length for attention (PaLM, Chowdhery et
        al. 2022, appendix B); position embeddings multiply nothing and do not count.
        """
        sizes = {name: shape.numel() for name, shape in self.shapes.items()}
        parameters = sum(sizes.values()) - sizes["transformer.wpe.weight"]
        attention = 12 * len(self.transformer.h) * self.transformer.wte.embedding_dim
        return 6 * parameters + attention * self.context_length

    def write(self, state: Mapping[str, Tensor], folder: Path) -> None:
        """Write a GPT-2 folder of these parameters (`resweep.model.gpt2_format`)."""
        write_model(state, self.config, self.vocab_size, folder)

    def read(self, folder: Path) -> dict[str, Tensor]:
        """Return the parameters of a GPT-2 folder; raises ConfigError where they do not fit."""
        return read_weights(self.shapes, folder)
