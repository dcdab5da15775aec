"""Dropout whose masks depend on the sample, not on the order of computation.

A mask is a pure function of (seed, step, row of the global batch), the site in the model and the
element: a hash of counters, as in Salmon et al. 2011 (Parallel random numbers: as easy as 1, 2, 3).
It is the same for any micro-batch size, number of processes and device, after resuming, and when a
block is recomputed for its gradients. torch's generators are not used.

    trainer    sample_keys(seed, row, count)  ->  SampleKeys.set, before each micro-batch
    model      SampleDropout(p, site, keys), in place of nn.Dropout
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

# The rounds of lowbias32 (Chris Wellons 2018, Prospecting for Hash Functions), as int32.
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B - 2**32
# 2^64 over the golden ratio: the step of splitmix64 (Steele et al. 2014).
_STEP = 0x9E3779B97F4A7C15
_SITE = 0x9E3779B9


class SampleKeys:
    """Keys of the samples in the next forward; shared by all dropouts of a model.

    Attributes:
        words: (samples, 2) of int32; None before the first `set`.
    """

    def __init__(self) -> None:
        self.words: Tensor | None = None

    def set(self, words: Tensor) -> None:
        """Set the keys of the next micro-batch: rows from `sample_keys`.

        If the number of rows is unchanged, the tensor keeps its address, as captured graphs need.
        """
        if self.words is None or self.words.shape != words.shape:
            self.words = words.clone()
        else:
            self.words.copy_(words)


def sample_keys(seed: int, first: int, count: int) -> Tensor:
    """Return the keys of consecutive rows of a batch: splitmix64 of seed and row.

    Args:
        seed: Of the step.
        first: Row of the first sample in the global batch.
        count: How many samples.

    Returns:
        (count, 2) of int32, on the CPU.
    """
    with np.errstate(over="ignore"):
        z = np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(_STEP)
        z += np.uint64(seed)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return torch.from_numpy(z.view(np.int32).reshape(count, 2).copy())


class SampleDropout(nn.Module):
    """Zeroes elements with probability p while training, and scales the others by 1 / (1 - p).

    Args:
        p: The probability, from 0 to below 1.
        site: Number of this dropout in the model; each has masks of its own.
        keys: Of the samples.
    """

    def __init__(self, p: float, site: int, keys: SampleKeys):
        super().__init__()
        self.p = p
        self.site = site
        self.keys = keys

    def forward(self, x: Tensor) -> Tensor:
        """(samples, ...) -> the same.

        Raises:
            RuntimeError: The number of keys does not match.
        """
        if not self.training or self.p == 0.0:
            return x
        return x.masked_fill(self.dropped(x.shape, x.device), 0.0) * (1.0 / (1.0 - self.p))

    @torch.no_grad()
    def dropped(self, shape: torch.Size, device: torch.device) -> Tensor:
        """Return which elements of (samples, ...) are zeroed.

        Raises:
            RuntimeError: The number of keys does not match.
        """
        words = self.keys.words
        if words is None or len(words) != shape[0]:
            found = 0 if words is None else len(words)
            raise RuntimeError(f"dropout of {shape[0]} samples needs {shape[0]} keys, got {found}")
        elements = math.prod(shape[1:])
        first = words[:, :1] + _wrap(self.site * _SITE)
        second = words[:, 1:] ^ _wrap(self.site * _SECOND)
        x = torch.arange(elements, dtype=torch.int32, device=device) ^ first
        x ^= (x >> 16) & 0xFFFF  # `>>` repeats the sign
        x *= _FIRST
        x ^= second
        x ^= (x >> 15) & 0x1FFFF
        x *= _SECOND
        # The last xor of lowbias32 changes low bits, which a comparison does not see.
        return (x < round(self.p * 2**32) - 2**31).view(shape)

    def extra_repr(self) -> str:
        """Return the text that `print` shows."""
        return f"p={self.p}, site={self.site}"


def use_sample_dropout(module: nn.Module) -> SampleKeys:
    """Replace every nn.Dropout in a module, numbered in the order of their names.

    Dropout called as a function (`F.dropout`, the `dropout_p` of attention) is not replaced.

    Returns:
        The keys to set before each forward.
    """
    keys = SampleKeys()
    found = sorted(name for name, part in module.named_modules() if type(part) is nn.Dropout)
    for site, name in enumerate(found):
        owner, _, attribute = name.rpartition(".")
        parent = module.get_submodule(owner)
        setattr(parent, attribute, SampleDropout(getattr(parent, attribute).p, site, keys))
    return keys


def _wrap(number: int) -> int:
    """Take the low 32 bits as int32."""
    return (number + 2**31) % 2**32 - 2**31
