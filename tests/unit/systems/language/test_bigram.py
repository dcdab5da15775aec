"""The loss of bigrams, which a language model should be below."""

import json
import math

import numpy as np
import pytest

from resweep.paths import Layout
from resweep.systems.language import bigram
from resweep.systems.language.corpus import SPLITS
from tests.support.corpus import settings
from tests.support.language import SYSTEM, ensure_tokens


def test_the_floor_of_bigrams_by_hand():
    train, val = np.array([0, 1, 0, 1, 0]), np.array([0, 1, 1])
    # After 0: 1 twice of 2 -> (2+1)/(2+2); after 1: 0 twice, 1 never -> (0+1)/(2+2).
    expected = -(math.log(3 / 4) + math.log(1 / 4)) / 2
    assert bigram.bigram_floor(train, val, 2) == pytest.approx(expected, abs=1e-12)


def test_the_floor_without_data_is_that_of_guessing():
    assert bigram.bigram_floor(np.array([0, 1]), np.array([1]), 257) == math.log(257)


def test_the_shipped_documentation_has_a_floor_worth_beating(tmp_path):
    data = ensure_tokens(settings(), Layout(tmp_path))
    described = json.loads((data.folder / "data.json").read_text())
    assert 2.4 < described["bigram_floor"] < 2.8
    assert sum(data.tokens.values()) > 400_000
    assert all(data.tokens[name] > 1000 for name in SPLITS)
    assert "tokens, vocabulary 257" in SYSTEM.describe_data(data.prepared)


def test_the_floor_of_large_vocabularies_is_counted_pair_by_pair(monkeypatch):
    monkeypatch.setattr(bigram, "CHUNK", 7)
    random = np.random.default_rng(0)
    train, val = random.integers(0, 40, 200), random.integers(0, 40, 50)
    counts = np.ones((60, 60))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    expected = -np.log(counts / counts.sum(1, keepdims=True))[val[:-1], val[1:]].mean()
    assert bigram.bigram_floor(train, val, 60) == pytest.approx(expected, abs=1e-12)
    large = bigram.bigram_floor(train.astype("<u4"), val.astype("<u4"), 2**20)
    assert 0.9 * math.log(2**20) < large < math.log(2**20)
