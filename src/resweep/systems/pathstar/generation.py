"""Greedy generation: a forward pass over the prompt, then one over each new token.

Keys and values of earlier tokens are kept, so that a token costs one position and not all of them.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from resweep.systems.language.gpt import GPT, Attention, Block

KeysAndValues = tuple[Tensor, Tensor]


@torch.no_grad()
def generate(model: GPT, prompts: Tensor, count: int) -> Tensor:
    """Return the most likely next tokens, each given the prompt and those before it.

    Args:
        model: In evaluation mode.
        prompts: (rows, tokens).
        count: Tokens to generate.

    Returns:
        (rows, count).
    """
    kept: list[KeysAndValues | None] = [None] * len(model.transformer.h)
    tokens, found, seen = prompts, [], 0
    for _ in range(count):
        logits = _next_logits(model, tokens, seen, kept)
        seen += tokens.shape[1]
        tokens = logits.argmax(-1, keepdim=True)
        found.append(tokens)
    return torch.cat(found, dim=1)


def _next_logits(model: GPT, tokens: Tensor, seen: int, kept: list[KeysAndValues | None]) -> Tensor:
    """(rows, tokens) that follow `seen` others -> (rows, vocab_size) of the token after them."""
    body = model.transformer
    x = body.wte(tokens) + body.wpe.weight[seen : seen + tokens.shape[1]]
    for layer, block in enumerate(body.h):
        assert isinstance(block, Block)
        x, kept[layer] = _block(block, x, kept[layer])
    return F.linear(body.ln_f(x[:, -1]), body.wte.weight)


def _block(block: Block, x: Tensor, before: KeysAndValues | None) -> tuple[Tensor, KeysAndValues]:
    attended, now = _attend(block.attn, block.ln_1(x), before)
    x = x + attended
    return x + block.mlp(block.ln_2(x)), now


def _attend(
    attention: Attention, x: Tensor, before: KeysAndValues | None
) -> tuple[Tensor, KeysAndValues]:
    rows, tokens, width = x.shape
    q, k, v = (
        part.view(rows, tokens, attention.n_head, -1).transpose(1, 2)
        for part in attention.c_attn(x).split(width, dim=2)
    )
    if before is not None:
        k, v = torch.cat([before[0], k], dim=2), torch.cat([before[1], v], dim=2)
    # One new token sees all; those of the prompt, only what is before them.
    y = F.scaled_dot_product_attention(q, k, v, is_causal=before is None)
    return attention.c_proj(y.transpose(1, 2).reshape(rows, tokens, width)), (k, v)
