"""The bigram baseline: the loss of a model that only sees the previous token."""

import math

import numpy as np

CHUNK = 2**22  # tokens counted at a time


def bigram_floor(train: np.ndarray, val: np.ndarray, vocab_size: int) -> float:
    """Cross-entropy of an add-one bigram model, in nats per token.

    p(b | a) = (n(a, b) + 1) / (n(a) + vocab_size), counted on the training split and evaluated on
    the validation split. Only pairs of the validation split are counted: memory grows with their
    number and with the vocabulary, not with its square.

    Args:
        train: Tokens, shape (tokens,).
        val: Tokens, shape (tokens,).
        vocab_size: Tokens are below it.
    """
    if len(val) < 2:
        return math.log(vocab_size)
    wanted, times = np.unique(_pairs(val, vocab_size), return_counts=True)
    counts = np.zeros(len(wanted), np.int64)
    before = np.zeros(vocab_size, np.int64)
    for start in range(0, len(train) - 1, CHUNK):
        part = train[start : start + CHUNK + 1]
        before += np.bincount(part[:-1], minlength=vocab_size)
        pairs = _pairs(part, vocab_size)
        places = np.minimum(np.searchsorted(wanted, pairs), len(wanted) - 1)
        counts += np.bincount(places[wanted[places] == pairs], minlength=len(wanted))
    log_p = np.log(counts + 1.0) - np.log(before[wanted // vocab_size] + float(vocab_size))
    return float(-(log_p * times).sum() / times.sum())


def _pairs(tokens: np.ndarray, vocab_size: int) -> np.ndarray:
    """Number each token and the one after it: shape (tokens - 1,), int64."""
    return tokens[:-1].astype(np.int64) * int(vocab_size) + tokens[1:]
