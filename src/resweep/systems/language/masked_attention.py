"""Per-sample dropout masks in models of transformers, as in our own.

    nn.Dropout                 replaced (`resweep.training.dropout`)
    on attention weights       computed by `attend`: fused kernels draw their own masks
    any other                  refused; detected by a forward of two tokens

Without dropout, transformers' call of torch's fused attention is kept.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from resweep.errors import ConfigError, Problem
from resweep.training.dropout import (
    SampleDropout,
    SampleKeys,
    sample_keys,
    use_sample_dropout,
)

DROPPING = "sample_dropout"  # the name of `attend` among transformers' attentions


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it, causal where there is no mask.

    Args:
        module: The layer; `sample_dropout` is its dropout.
        query: (batch, heads, tokens, width of a head).
        key, value: The same, maybe with fewer heads.
        attention_mask: (batch, 1, tokens, tokens), true where a token sees another.
        dropout: Probability; 0 when evaluating.
        scaling: Of the scores; None: one over the square root of a head's width.
        more: Further arguments of transformers' attention.

    Returns:
        (batch, tokens, heads, width of a head), and None for the attention weights.
    """
    if not dropout:
        plain = (attention_mask, 0.0, scaling)
        return sdpa_attention_forward(module, query, key, value, *plain, **more)
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    scale = 1 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    tokens = query.shape[2]
    seen = attention_mask
    if seen is None:
        seen = torch.ones(tokens, tokens, dtype=torch.bool, device=query.device).tril()
    scores = (query @ key.transpose(2, 3) * scale).masked_fill(~seen, -math.inf)
    weights = module.sample_dropout(scores.softmax(-1)).to(value.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(DROPPING, attend)
AttentionMaskInterface.register(DROPPING, sdpa_mask)


def use_keys(model: PreTrainedModel, p: float) -> SampleKeys:
    """Make all dropout of a model use the returned keys.

    Args:
        model: Built with `DROPPING` as its attention, if it has dropout.
        p: Dropout probability of its attention.
    """
    keys = use_sample_dropout(model)
    first = len([part for part in model.modules() if isinstance(part, SampleDropout)])
    layers = [part for part in model.modules() if "Attention" in type(part).__name__]
    for site, layer in enumerate(layers, first):
        layer.sample_dropout = SampleDropout(p, site, keys)
    return keys


class _Listener(TorchFunctionMode):
    """Detects dropout by functions of torch."""

    def __init__(self) -> None:
        self.heard = ""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
        training = args[2] if len(args) > 2 else kwargs.get("training", True)
        if func is F.dropout and p > 0 and training:
            self.heard = "dropout"
        if func is F.scaled_dot_product_attention and kwargs.get("dropout_p", 0.0) > 0:
            self.heard = "attention dropout"
        return func(*args, **kwargs)


@torch.no_grad()
def require_no_other_dropout(model: PreTrainedModel, keys: SampleKeys) -> None:
    """Refuse a model with masks from torch's generator.

    Raises:
        ConfigError: There are such masks.
    """
    keys.set(sample_keys(0, 0, 1))
    listener = _Listener()
    with torch.random.fork_rng(devices=[]), listener:
        model.train()
        model(input_ids=torch.zeros(1, 2, dtype=torch.int64), use_cache=False)
    keys.words = None
    if listener.heard:
        kind = model.config.model_type
        hint = f"the {listener.heard} masks of {kind} are not reproducible; set 0"
        raise ConfigError(Problem("trial", "model.dropout", None, hint))
