"""Which sequences each optimizer step sees: a pure function of (seed, step).

An epoch visits all windows of `context_length` tokens once, in random order and shifted by a random
offset, so that every token is seen once per epoch. There is no state between steps: a resumed run
reads the same batches, with any number of processes.
"""

import numpy as np
from numpy.random import Generator, Philox

from resweep.plurals import counted


class TrainBatches:
    """Batches of the training split.

    Args:
        tokens: The split, shape (tokens,).
        context_length: Tokens per sequence.
        batch_size: Sequences per optimizer step, over all processes and micro-batches.
        seed: Determines order and offsets.

    Raises:
        ValueError: The split has no full window.
    """

    def __init__(self, tokens: np.ndarray, context_length: int, batch_size: int, seed: int):
        self.tokens = tokens
        self.context_length = context_length
        self.batch_size = batch_size
        self.seed = seed
        self.windows = windows_per_epoch(len(tokens), context_length)
        if self.windows < 1:
            raise ValueError(
                f"{counted(len(tokens), 'token')}, too few for a window of {context_length} + 1"
            )
        self._epoch = -1
        self._starts = np.empty(0, np.int64)
        self._within = np.arange(context_length + 1)

    def at(self, step: int) -> np.ndarray:
        """Return the tokens of optimizer step `step` (from 0): (batch_size, context_length + 1)."""
        starts = np.empty(self.batch_size, np.int64)
        first, filled = step * self.batch_size, 0
        while filled < self.batch_size:
            epoch, position = divmod(first + filled, self.windows)
            taken = self._epoch_starts(epoch)[position : position + self.batch_size - filled]
            starts[filled : filled + len(taken)] = taken
            filled += len(taken)
        return self.tokens[starts[:, None] + self._within].astype(np.int64)

    def _epoch_starts(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            random = Generator(Philox(key=[self.seed, epoch]))
            spare = len(self.tokens) - 1 - self.windows * self.context_length
            offset = random.integers(0, spare, endpoint=True)
            self._starts = random.permutation(self.windows) * self.context_length + offset
            self._epoch = epoch
        return self._starts


def windows_per_epoch(tokens: int, context_length: int) -> int:
    """Number of sequences in one pass over `tokens` tokens.

    If several fit, one fewer than that, to leave room for any offset below `context_length`.
    """
    if tokens <= context_length:
        return 0
    return max(1, (tokens - context_length) // context_length)


def steps_for_epochs(tokens: int, context_length: int, batch_size: int, epochs: int) -> int:
    """Optimizer steps of `epochs` passes, the last batch filled from the following pass."""
    return -(-windows_per_epoch(tokens, context_length) * epochs // batch_size)


def eval_batches(
    tokens: np.ndarray, context_length: int, batch_size: int, sequences: int | None
) -> list[np.ndarray]:
    """Split tokens into consecutive sequences, the same at every evaluation.

    Args:
        tokens: The split, shape (tokens,).
        context_length: Tokens per sequence.
        batch_size: Sequences per batch.
        sequences: Maximum number of sequences, from the start; None for all.

    Returns:
        Arrays of shape (up to batch_size, context_length + 1), int64.
    """
    count = max(0, (len(tokens) - 1) // context_length)
    count = count if sequences is None else min(count, sequences)
    starts = np.arange(count) * context_length
    within = np.arange(context_length + 1)
    return [
        tokens[starts[first : first + batch_size, None] + within].astype(np.int64)
        for first in range(0, count, batch_size)
    ]
